//! What `ld.so --list` prints, and what of it is wrong.

use std::collections::BTreeSet;
use std::process::Output;
use std::sync::LazyLock;

use regex::Regex;

/// What the loader said of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoaderOutput {
    /// The absolute paths that it resolved.
    pub resolved: Vec<String>,
    /// What is wrong, each once.
    pub problems: Vec<String>,
}

/// Reads a whole answer. A loader that ends badly without a word has a problem of its own.
pub(super) fn from_output(output: &Output) -> LoaderOutput {
    let mut said = parse(&String::from_utf8_lossy(&output.stdout), &String::from_utf8_lossy(&output.stderr));
    if said.problems.is_empty() && !output.status.success() {
        let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("no word").to_owned();
        said.problems.push(format!("the loader ended with {}: {last}", output.status));
    }
    said
}

/// Reads what stands on both outputs.
///
/// A missing library is `X => not found` or `P: error while loading shared libraries: X: cannot open …`; a missing
/// version is `P: L: version 'V' not found (required by O)`, on standard error and with exit status 0.
pub fn parse(stdout: &str, stderr: &str) -> LoaderOutput {
    let mut said = LoaderOutput::default();
    let mut problems = BTreeSet::new();
    let lines = stdout.lines().chain(stderr.lines());
    for found in lines.filter_map(|line| LINE.as_ref()?.captures(line)) {
        let group = |name: &str| found.name(name).map(|group| group.as_str().to_owned());
        if let Some(name) = group("absent").or_else(|| group("unopened")) {
            problems.insert(format!("{name} is not found"));
        }
        said.resolved.extend(group("path"));
        problems.extend(group("other").or_else(|| group("version")).or_else(|| group("symbol")));
    }
    said.problems.extend(problems);
    said
}

/// The lines of the loader that say something (glibc `elf/rtld.c`, `elf/dl-version.c`, `elf/dl-error.c`).
static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        ^[\ \t]* (?<absent>[^\ ]+) \ =>\ not\ found
        | ^[\ \t]* [^\ ]+ \ =>\ (?<path>/[^\ ]*)
        | error\ while\ loading\ shared\ libraries:\ (?<unopened>.*?):\ cannot\ open\ shared\ object\ file
        | error\ while\ loading\ shared\ libraries:\ (?<other>.*)
        | ^[^:]*:\ (?<version>.*'\ not\ found\ \(required\ by\ .*)
        | ^(?<symbol>.*(?:symbol\ lookup\ error|undefined\ symbol).*)",
    )
    .ok()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_links_names_what_it_loads() {
        let text = "\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 => /usr/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let said = parse(text, "");
        assert_eq!(said.resolved, ["/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(said.problems, [""; 0]);
        assert_eq!(super::parse("\tstatically linked\n", ""), LoaderOutput::default());
    }

    #[test]
    fn a_missing_library_is_named_once() {
        let error = "/usr/lib/systemd/systemd: error while loading shared libraries: libpam.so.0: cannot open \
                     shared object file: No such file or directory\n";
        assert_eq!(parse("", error).problems, ["libpam.so.0 is not found"]);
        assert_eq!(parse("\tlibpam.so.0 => not found\n", error).problems, ["libpam.so.0 is not found"]);
    }

    #[test]
    fn a_missing_version_is_a_problem_although_the_loader_ends_well() {
        let error = "/usr/bin/b: /lib64/libc.so.6: version `GLIBC_2.38' not found (required by /usr/bin/b)\n";
        let problem = "/lib64/libc.so.6: version `GLIBC_2.38' not found (required by /usr/bin/b)";
        assert_eq!(parse("\tlibc.so.6 => /lib64/libc.so.6 (0x7)\n", error).problems, [problem]);
    }

    #[test]
    fn other_words_of_the_loader_are_kept() {
        let error = "x: error while loading shared libraries: /lib64/libz.so.1: file too short";
        assert_eq!(parse("", error).problems, ["/lib64/libz.so.1: file too short"]);
    }
}
