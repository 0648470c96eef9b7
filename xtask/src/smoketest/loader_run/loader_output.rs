//! Parser for the output of `ld.so --list`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::smoketest::sandbox::{FinishedRun, ProgramEnd};

/// The parsed output of the loader for one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LoaderOutput {
    /// The absolute paths that it resolved.
    pub resolved: Vec<String>,
    /// The problems, without duplicates.
    pub problems: Vec<String>,
    /// The end of a loader that crashed, hung or could not be executed.
    pub failure: Option<ProgramEnd>,
}

impl LoaderOutput {
    /// Parses a whole run. A loader that fails and prints nothing known is a problem of its own.
    pub(super) fn from_run(run: &FinishedRun) -> LoaderOutput {
        let stderr = String::from_utf8_lossy(&run.stderr);
        let mut output = parse(&String::from_utf8_lossy(&run.stdout), &stderr);
        output.failure = Some(run.end).filter(|end| !matches!(end, ProgramEnd::Exited(_)));
        if output.failure.is_some() || output.problems.is_empty() && run.end != ProgramEnd::Exited(0) {
            let last = stderr.lines().rfind(|line| !line.trim().is_empty());
            // The line may be of any length.
            let last = last.map(|line| format!(": {}", line.chars().take(200).collect::<String>()));
            let last = last.unwrap_or_default();
            output.problems.push(format!("the loader {}{last}", run.end));
        }
        output
    }
}

/// Longest line that can be one of the loader's: two paths and a text.
const MAX_LINE_LEN: usize = 10_000;

/// Parses standard output and standard error.
///
/// A missing library is `X => not found` or `P: error while loading shared libraries: X: cannot open …`; a missing
/// version is `P: L: version 'V' not found (required by O)`, on standard error and with exit status 0.
fn parse(stdout: &str, stderr: &str) -> LoaderOutput {
    let mut output = LoaderOutput::default();
    let mut problems = BTreeSet::new();
    let lines = stdout.lines().chain(stderr.lines()).filter(|line| line.len() <= MAX_LINE_LEN);
    for found in lines.filter_map(|line| LINE.as_ref()?.captures(line)) {
        let group = |name: &str| found.name(name).map(|group| group.as_str().to_owned());
        if let Some(name) = group("absent").or_else(|| group("unopened")) {
            problems.insert(format!("{name} is not found"));
        }
        output.resolved.extend(group("path"));
        problems.extend(group("other").or_else(|| group("version")).or_else(|| group("symbol")));
    }
    output.problems.extend(problems);
    output
}

/// The relevant lines of the loader's output (glibc `elf/rtld.c`, `elf/dl-version.c`, `elf/dl-error.c`).
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
    fn linked_file_lists_what_it_loads() {
        let text = "\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 => /usr/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let output = parse(text, "");
        assert_eq!(output.resolved, ["/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(output.problems, [""; 0]);
        assert_eq!(super::parse("\tstatically linked\n", ""), LoaderOutput::default());
    }

    #[test]
    fn missing_library_is_reported_once() {
        let error = "/usr/lib/systemd/systemd: error while loading shared libraries: libpam.so.0: cannot open \
                     shared object file: No such file or directory\n";
        assert_eq!(parse("", error).problems, ["libpam.so.0 is not found"]);
        assert_eq!(parse("\tlibpam.so.0 => not found\n", error).problems, ["libpam.so.0 is not found"]);
    }

    #[test]
    fn missing_version_is_a_problem_with_exit_0() {
        let error = "/usr/bin/b: /lib64/libc.so.6: version `GLIBC_2.38' not found (required by /usr/bin/b)\n";
        let problem = "/lib64/libc.so.6: version `GLIBC_2.38' not found (required by /usr/bin/b)";
        assert_eq!(parse("\tlibc.so.6 => /lib64/libc.so.6 (0x7)\n", error).problems, [problem]);
    }

    #[test]
    fn other_errors_are_kept_as_they_are() {
        let error = "x: error while loading shared libraries: /lib64/libz.so.1: file too short";
        assert_eq!(parse("", error).problems, ["/lib64/libz.so.1: file too short"]);
    }
}
