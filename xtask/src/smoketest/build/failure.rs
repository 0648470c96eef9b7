//! The cause of a failed build, found in its output.

use std::fs;
use std::path::Path;

use regex::Regex;

use super::Build;
use super::logged_commands::FailedCommand;

/// Why a build failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::smoketest) enum FailureCause {
    /// A manifest lists a path that the image does not have.
    PathNotInImage,
    /// A program is not installed.
    ProgramNotInstalled(String),
    /// `configure` stopped with this message.
    Configure(String),
    /// A download failed.
    Network {
        /// The URL or host, where the output names one.
        url: Option<String>,
        /// The flavor that needs the download.
        flavor: Option<String>,
    },
    /// The disk is full.
    NoSpace,
    /// Go looked for a module in a tree that has none.
    GoModules,
    /// GNU make 4.3 or later joined the names of the flavors.
    FlavorsJoined,
    /// The build directory of an earlier build is in the way.
    StaleBuild,
    /// Not found in the output.
    Unknown,
}

/// Number of last lines that are printed.
const LAST_LINES: usize = 30;

impl FailedCommand {
    /// The last lines that the command printed.
    pub(in crate::smoketest) fn last_lines(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.output_tail.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].to_vec()
    }

    /// Finds the cause in the output.
    pub(in crate::smoketest) fn cause(&self, build: &Build<'_>) -> FailureCause {
        let flavors = build.manifest_flavors.values().flatten().map(|flavor| flavor.as_str().to_owned());
        find_cause(build.tree, &flavors.collect::<Vec<_>>(), &self.output_tail)
    }
}

fn find_cause(tree: &Path, flavors: &[String], output: &str) -> FailureCause {
    // This tree's build and rkt's name the paths that are listed and missing with these words.
    if output.contains("not in the image") || output.contains("are missing from") {
        return FailureCause::PathNotInImage;
    }
    if output.to_ascii_lowercase().contains("no space left on device") {
        return FailureCause::NoSpace;
    }
    if output.contains("go.mod file not found") || output.contains("cannot find main module") {
        return FailureCause::GoModules;
    }
    let joined = |name: &str| {
        !flavors.iter().any(|flavor| flavor == name) && flavors.iter().any(|f| name.starts_with(f.as_str()))
    };
    let makefiles = Regex::new(MISSING_MAKEFILE_REGEX).ok();
    if makefiles.is_some_and(|regex| regex.captures_iter(output).any(|found| joined(&found[1]))) {
        return FailureCause::FlavorsJoined;
    }
    if let Some(network) = find_failed_download(tree, flavors, output) {
        return network;
    }
    let first = |pattern: &str| {
        let found = Regex::new(pattern).ok()?.captures(output)?;
        found.iter().skip(1).flatten().next().map(|group| group.as_str().trim().to_owned())
    };
    if let Some(program) = first(NOT_INSTALLED_REGEX) {
        return FailureCause::ProgramNotInstalled(program);
    }
    if let Some(message) = first(CONFIGURE_ERROR_REGEX) {
        return FailureCause::Configure(message);
    }
    if output.contains("No rule to make target") {
        return FailureCause::StaleBuild;
    }
    FailureCause::Unknown
}

/// A download that failed: by the program's message, else by its exit status in a recipe that downloads.
fn find_failed_download(tree: &Path, flavors: &[String], output: &str) -> Option<FailureCause> {
    let recipe = Regex::new(FAILED_RECIPE_REGEX).ok()?.captures(output);
    let makefile = recipe.as_ref().map(|found| &found[1]);
    let text = makefile.and_then(|path| fs::read_to_string(tree.join(path)).ok()).unwrap_or_default();
    let downloads = ["wget ", "curl ", "git clone", "git fetch"].iter().any(|program| text.contains(program));
    let status = recipe.as_ref().map_or("", |found| &found[2]);
    let is_quiet_failure = downloads && NETWORK_EXIT_STATUSES.contains(&status);
    if !is_quiet_failure && !NETWORK_MESSAGES.iter().any(|words| output.contains(words)) {
        return None;
    }
    let url = Regex::new(URL_REGEX).ok()?;
    let last_url = |text: &str| url.find_iter(text).last().map(|found| found.as_str().to_owned());
    let of_recipe = makefile.and_then(|path| path.strip_prefix("stage1/usr_from_")?.split('/').next());
    let of_url = last_url(output).and_then(|url| flavor_that_downloads(tree, flavors, &url));
    Some(FailureCause::Network {
        url: last_url(output).or_else(|| last_url(&text)),
        flavor: of_recipe.map(str::to_owned).or(of_url),
    })
}

/// The flavor that has the host of a URL in one of its makefiles.
fn flavor_that_downloads(tree: &Path, flavors: &[String], url: &str) -> Option<String> {
    let host = url.split('/').nth(2)?;
    let names = |flavor: &&String| {
        let entries =
            fs::read_dir(tree.join(format!("stage1/usr_from_{flavor}"))).into_iter().flatten().flatten();
        let mut makefiles =
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "mk"));
        makefiles.any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(host)))
    };
    flavors.iter().find(names).cloned()
}

/// Messages of curl, git, Go and wget for an unreachable host.
const NETWORK_MESSAGES: &[&str] = &[
    "Could not resolve host",
    "unable to resolve host",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "No route to host",
    "failed: Connection refused",
    "Failed to connect to",
    "Could not connect to server",
    "failed: Connection timed out",
    "no such host",
    "The requested URL returned error",
    "Unable to establish SSL connection",
];

/// Exit statuses of wget (4 network, 8 server error), curl (6, 7, 22, 28, 35, 56) and git (128).
const NETWORK_EXIT_STATUSES: &[&str] = &["4", "8", "6", "7", "22", "28", "35", "56", "128"];

/// The makefile of a recipe that failed, and its exit status.
const FAILED_RECIPE_REGEX: &str = r"\*\*\* \[([^\]:]+):[0-9]+: [^\]]+\] Error ([0-9]+)";
/// A makefile of a flavor that make did not find; the name of the flavor.
const MISSING_MAKEFILE_REGEX: &str =
    r"stage1/usr_from_([a-z0-9]+)/usr_from_[a-z0-9]+\.mk: No such file or directory";
const URL_REGEX: &str = r#"https?://[^ \t\n'"`)]+"#;
/// Messages of shells, env, make, Perl, Go, configure and `stage1/Makefile` for a missing program.
const NOT_INSTALLED_REGEX: &str = r"(?mx)
        ^[^\n]*:\ (?:line\ [0-9]+:\ |[0-9]+:\ )?([A-Za-z0-9_./+-]+):\ (?:[Cc]ommand\ )?not\ found$
        | ^(?:env|/usr/bin/env):\ [\x27\x22‘]?([A-Za-z0-9_./+-]+)[\x27\x22’]?:\ No\ such\ file\ or\ directory$
        | ^make(?:\[[0-9]+\])?:\ ([A-Za-z0-9_+-]+):\ No\ such\ file\ or\ directory$
        | Can\x27t\ exec\ \x22([^\x22]+)\x22:\ No\ such\ file\ or\ directory
        | exec:\ \x22([^\x22]+)\x22:\ executable\ file\ not\ found
        | ^([A-Za-z0-9_+-]+)\ is\ not\ installed
        | configure:\ error:\ (?:\*\*\*\ )?(?:required\ program\ )?[\x27\x22]?([A-Za-z0-9_+-]+)[\x27\x22]?\ (?:is\ )?not\ found";
const CONFIGURE_ERROR_REGEX: &str = r"(?m)^configure: error: (?:\*\*\* )?(.+)$";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn build_output_gives_the_cause() {
        let home = tempfile::tempdir().unwrap();
        let kvm = home.path().join("stage1/usr_from_kvm");
        fs::create_dir_all(&kvm).unwrap();
        fs::write(
            kvm.join("kernel.mk"),
            "URL := https://kernel.test/linux.tar.xz\nx:\n\twget --quiet \"$(URL)\"\n",
        )
        .unwrap();
        let program = |name: &str| FailureCause::ProgramNotInstalled(name.into());
        let network = |url: Option<&str>, flavor: Option<&str>| FailureCause::Network {
            url: url.map(str::to_owned),
            flavor: flavor.map(str::to_owned),
        };
        let kernel = Some("https://kernel.test/linux.tar.xz");
        for (output, cause) in [
            (
                "Files listed in m/manifest.txt are missing from t/usr.squashfs:\nlib64/libkmod.so.2.3.7",
                FailureCause::PathNotInImage,
            ),
            ("flavor kvm: 1 listed path is not in the image:\n  bin/x", FailureCause::PathNotInImage),
            (
                "tools/x.go:1:2: no required module provides package a/b: go.mod file not found in current directory",
                FailureCause::GoModules,
            ),
            (
                "stage1/rootfs.mk:20: stage1/usr_from_coreoskvm/usr_from_coreoskvm.mk: No such file or directory\nmake: *** No rule to make target 'x'.",
                FailureCause::FlavorsJoined,
            ),
            (
                "make: *** [stage1/usr_from_kvm/kernel.mk:3: /b/linux.tar.xz] Error 4",
                network(kernel, Some("kvm")),
            ),
            (
                "--  https://kernel.test/linux.tar.xz\nwget: unable to resolve host address ‘kernel.test’",
                network(kernel, Some("kvm")),
            ),
            ("fatal: unable to access: Could not resolve host: git.test", network(None, None)),
            (
                "link: mapping output file failed: no space left on device\nmake: *** [a.mk:57: init] Error 2",
                FailureCause::NoSpace,
            ),
            ("./autogen.sh: line 5: aclocal: command not found", program("aclocal")),
            ("make: gcc: Command not found", program("gcc")),
            (
                "Can't exec \"aclocal\": No such file or directory at /usr/share/autoconf/Autom4te/FileUtils.pm line 274.",
                program("aclocal"),
            ),
            ("exec: \"actool\": executable file not found in $PATH", program("actool")),
            ("curl: (22) The requested URL returned error: 404", network(None, None)),
            ("/bin/sh: 1: mksquashfs: not found", program("mksquashfs")),
            ("env: ‘bash’: No such file or directory", program("bash")),
            ("make: pkg-config: No such file or directory", program("pkg-config")),
            ("unsquashfs is not installed (squashfs-tools)", program("unsquashfs")),
            ("configure: error: *** wget not found", program("wget")),
            (
                "configure: error: *** TPM is enabled, but could not find required development files",
                FailureCause::Configure(
                    "TPM is enabled, but could not find required development files".into(),
                ),
            ),
            ("make: *** No rule to make target 'a', needed by 'b'.  Stop.", FailureCause::StaleBuild),
            ("x.c:1: error: expected ';'\nmake: *** [Makefile:3: x.o] Error 1", FailureCause::Unknown),
            // A compiler that ends with 4 downloads nothing.
            ("make: *** [Makefile:3: x.o] Error 4", FailureCause::Unknown),
        ] {
            assert_eq!(find_cause(home.path(), &["coreos".into(), "kvm".into()], output), cause, "{output}");
        }
    }
}
