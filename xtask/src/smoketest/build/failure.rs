//! Explains a failed build by its output.

use std::collections::BTreeSet;

use regex::{Captures, Regex};

use super::{Build, read_build_file};
use crate::smoketest::host::list_dir;
use coreos_types::{Flavor, shell::quote};

/// Why a build failed, and what to do.
pub(crate) struct Explanation {
    pub why: String,
    pub hint: String,
    /// Whether no change of the tree can help: a program, a library, the network or space is missing.
    pub is_outside_tree: bool,
}

impl Build<'_> {
    /// The explanation of a failure, if the output has one. `rerun` is the command line of this run, with words and
    /// without options; `drop_missing` removes the missing paths from the manifests.
    pub(crate) fn explain_failure(
        &self,
        output: &str,
        rerun: &dyn Fn(&[&str], &[&str]) -> String,
        drop_missing: String,
    ) -> Option<Explanation> {
        let in_tree =
            |why: &str, hint: String| Some(Explanation { why: why.to_owned(), hint, is_outside_tree: false });
        let outside = |why: String, hint: String| Some(Explanation { why, hint, is_outside_tree: true });
        let this_run = || rerun(&[], &[]);
        // This tree's build and rkt's name the paths that are listed and missing with these words.
        if output.contains("not in the image") || output.contains("are missing from") {
            return in_tree("a manifest lists a path that the image does not have", drop_missing);
        }
        if output.to_ascii_lowercase().contains("no space left on device") {
            let hint = format!("free space on the disk of {}", self.tree.display());
            return outside("the disk is full".to_owned(), hint);
        }
        if output.contains("go.mod file not found") || output.contains("cannot find main module") {
            let why = "Go looked for a module, and the tree is older than Go modules";
            return in_tree(why, format!("GO111MODULE=off {}", this_run()));
        }
        if self.has_joined_flavors(output) {
            let why = "GNU make 4.3 or later joined the names of the flavors";
            return in_tree(why, rerun(&["--make", "_MISC_CTS_SPACE_=$() "], &[]));
        }
        if let Some(explanation) = self.explain_failed_download(output, rerun) {
            return Some(explanation);
        }
        if let Some(program) = first_group(NOT_INSTALLED_REGEX, output) {
            let why = format!("the build needs {program}, which is not installed");
            return outside(why, format!("install {program}, then: {}", this_run()));
        }
        if let Some(message) = first_group(CONFIGURE_ERROR_REGEX, output) {
            let other = match message {
                _ if message.starts_with("TPM ") => rerun(&["--configure=--disable-tpm"], &[]),
                _ if message.starts_with("Host systemd-journal") => {
                    rerun(&["--configure=--disable-sdjournal"], &[])
                }
                _ => "add an argument for it: --configure=ARG".to_owned(),
            };
            let hint = format!("install what configure reports as missing, or: {other}");
            return outside(message.to_owned(), hint);
        }
        if output.contains("No rule to make target") {
            let directories = self.buildable_boards().into_iter().map(|board| self.build_directory(board));
            let words: Vec<String> = directories.map(|path| quote(&path.display().to_string())).collect();
            let words = words.join(" ");
            let why = "files of an earlier build may be in the way";
            return in_tree(why, format!("rm -rf {words} && {}", this_run()));
        }
        None
    }

    fn tree_flavors(&self) -> impl Iterator<Item = &str> {
        self.manifest_flavors.values().flatten().map(Flavor::as_str)
    }

    /// Whether make looked for the makefile of a flavor whose name is that of several flavors.
    fn has_joined_flavors(&self, output: &str) -> bool {
        let is_joined = |name: &str| {
            self.tree_flavors().all(|flavor| flavor != name)
                && self.tree_flavors().any(|flavor| name.starts_with(flavor))
        };
        let makefiles = Regex::new(MISSING_MAKEFILE_REGEX).ok();
        makefiles.is_some_and(|regex| regex.captures_iter(output).any(|found| is_joined(&found[1])))
    }

    /// The explanation of a download that failed: by the program's message, else by its exit status in a recipe that
    /// downloads.
    fn explain_failed_download(
        &self,
        output: &str,
        rerun: &dyn Fn(&[&str], &[&str]) -> String,
    ) -> Option<Explanation> {
        let recipe = captures(FAILED_RECIPE_REGEX, output);
        let makefile = recipe.as_ref().map(|found| &found[1]);
        let text = makefile.and_then(|path| read_build_file(&self.tree.join(path))).unwrap_or_default();
        let downloads =
            ["wget ", "curl ", "git clone", "git fetch"].iter().any(|program| text.contains(program));
        let status = recipe.as_ref().map_or("", |found| &found[2]);
        let is_quiet_failure = downloads && NETWORK_EXIT_STATUSES.contains(&status);
        if !is_quiet_failure && !NETWORK_MESSAGES.iter().any(|words| output.contains(words)) {
            return None;
        }
        let url = Regex::new(URL_REGEX).ok()?;
        let last_url = |text: &str| url.find_iter(text).last().map(|found| found.as_str().to_owned());
        let of_recipe = makefile.and_then(|path| path.strip_prefix("stage1/usr_from_")?.split('/').next());
        let of_url = last_url(output).and_then(|url| self.flavor_that_downloads(&url));
        let flavor = of_recipe.map(str::to_owned).or(of_url);
        let of_flavor = flavor.as_ref().map_or_else(String::new, |flavor| format!(" of flavor {flavor}"));
        let url = last_url(output).or_else(|| last_url(&text)).unwrap_or_else(|| "a file".to_owned());
        let boards = self.buildable_boards();
        let built: BTreeSet<Flavor> = boards.iter().flat_map(|&board| self.flavors_to_build(board)).collect();
        let others = built.iter().map(Flavor::as_str).filter(|other| flavor.as_deref() != Some(*other));
        let options: Vec<&str> = others.flat_map(|other| ["--flavor", other]).collect();
        let hint = match flavor {
            Some(_) if !options.is_empty() => rerun(&options, &["flavors"]),
            _ => "connect to the network, or set the proxy variables of the environment".to_owned(),
        };
        let why = format!("the build{of_flavor} downloads {url}, and that failed");
        Some(Explanation { why, hint, is_outside_tree: true })
    }

    /// The flavor that has the host of a URL in one of its makefiles.
    fn flavor_that_downloads(&self, url: &str) -> Option<String> {
        let host = url.split('/').nth(2)?;
        let names_host = |flavor: &&str| {
            let paths = list_dir(&self.tree.join(format!("stage1/usr_from_{flavor}"))).into_iter();
            let mut makefiles = paths.filter(|path| path.extension().is_some_and(|end| end == "mk"));
            makefiles.any(|path| read_build_file(&path).is_some_and(|text| text.contains(host)))
        };
        self.tree_flavors().find(names_host).map(str::to_owned)
    }
}

fn captures<'t>(regex: &str, text: &'t str) -> Option<Captures<'t>> {
    Regex::new(regex).ok()?.captures(text)
}

fn first_group<'t>(regex: &str, text: &'t str) -> Option<&'t str> {
    captures(regex, text)?.iter().skip(1).flatten().next().map(|group| group.as_str().trim())
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
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use coreos_types::{Board, SystemdVersion};

    use super::*;

    #[test]
    fn build_output_is_explained() {
        let home = tempfile::tempdir().unwrap();
        let kvm = home.path().join("stage1/usr_from_kvm");
        fs::create_dir_all(&kvm).unwrap();
        fs::write(
            kvm.join("kernel.mk"),
            "URL := https://kernel.test/linux.tar.xz\nx:\n\twget --quiet \"$(URL)\"\n",
        )
        .unwrap();
        let flavors = ["coreos", "kvm"].map(|word| Flavor::new(word).unwrap());
        let build = Build {
            tree: home.path(),
            manifest_flavors: BTreeMap::from([(Board::Amd64, flavors.into())]),
            selected_flavors: &[],
            systemd: SystemdVersion(252),
            configure: Vec::new(),
            make: Vec::new(),
        };
        let rerun = |with: &[&str], without: &[&str]| {
            let without = without.iter().map(|option| format!(" (not {option})")).collect::<String>();
            format!("rerun {}{without}", with.join(" ")).trim_end().to_owned()
        };
        let program = |name: &str| {
            let why = format!("the build needs {name}, which is not installed");
            Some((why, format!("install {name}, then: rerun"), true))
        };
        let network = |of_flavor: &str, url: &str, hint: &str| {
            Some((format!("the build{of_flavor} downloads {url}, and that failed"), hint.to_owned(), true))
        };
        let in_tree = |why: &str, hint: &str| Some((why.to_owned(), hint.to_owned(), false));
        let not_in_image = in_tree("a manifest lists a path that the image does not have", "drop");
        let kernel = network(
            " of flavor kvm",
            "https://kernel.test/linux.tar.xz",
            "rerun --flavor coreos (not flavors)",
        );
        let connect = "connect to the network, or set the proxy variables of the environment";
        let joined = in_tree(
            "GNU make 4.3 or later joined the names of the flavors",
            "rerun --make _MISC_CTS_SPACE_=$()",
        );
        let stale = in_tree(
            "files of an earlier build may be in the way",
            &format!("rm -rf {} && rerun", home.path().join("stage1/build-amd64-usr").display()),
        );
        let configure = |message: &str, other: &str| {
            let hint = format!("install what configure reports as missing, or: {other}");
            Some((message.to_owned(), hint, true))
        };
        for (output, expected) in [
            (
                "Files listed in m/manifest.txt are missing from t/usr.squashfs:\nlib64/libkmod.so.2.3.7",
                not_in_image.clone(),
            ),
            ("flavor kvm: 1 listed path is not in the image:\n  bin/x", not_in_image),
            (
                "tools/x.go:1:2: no required module provides package a/b: go.mod file not found in current directory",
                in_tree(
                    "Go looked for a module, and the tree is older than Go modules",
                    "GO111MODULE=off rerun",
                ),
            ),
            (
                "stage1/rootfs.mk:20: stage1/usr_from_coreoskvm/usr_from_coreoskvm.mk: No such file or directory\nmake: *** No rule to make target 'x'.",
                joined,
            ),
            ("make: *** [stage1/usr_from_kvm/kernel.mk:3: /b/linux.tar.xz] Error 4", kernel.clone()),
            (
                "--  https://kernel.test/linux.tar.xz\nwget: unable to resolve host address ‘kernel.test’",
                kernel,
            ),
            ("fatal: unable to access: Could not resolve host: git.test", network("", "a file", connect)),
            (
                "link: mapping output file failed: no space left on device\nmake: *** [a.mk:57: init] Error 2",
                Some((
                    "the disk is full".into(),
                    format!("free space on the disk of {}", home.path().display()),
                    true,
                )),
            ),
            ("./autogen.sh: line 5: aclocal: command not found", program("aclocal")),
            ("make: gcc: Command not found", program("gcc")),
            (
                "Can't exec \"aclocal\": No such file or directory at /usr/share/autoconf/Autom4te/FileUtils.pm line 274.",
                program("aclocal"),
            ),
            ("exec: \"actool\": executable file not found in $PATH", program("actool")),
            ("curl: (22) The requested URL returned error: 404", network("", "a file", connect)),
            ("/bin/sh: 1: mksquashfs: not found", program("mksquashfs")),
            ("env: ‘bash’: No such file or directory", program("bash")),
            ("make: pkg-config: No such file or directory", program("pkg-config")),
            ("unsquashfs is not installed (squashfs-tools)", program("unsquashfs")),
            ("configure: error: *** wget not found", program("wget")),
            (
                "configure: error: *** TPM is enabled, but could not find required development files",
                configure(
                    "TPM is enabled, but could not find required development files",
                    "rerun --configure=--disable-tpm",
                ),
            ),
            (
                "configure: error: no acceptable C compiler found in $PATH",
                configure(
                    "no acceptable C compiler found in $PATH",
                    "add an argument for it: --configure=ARG",
                ),
            ),
            ("make: *** No rule to make target 'a', needed by 'b'.  Stop.", stale),
            ("x.c:1: error: expected ';'\nmake: *** [Makefile:3: x.o] Error 1", None),
            // A compiler that ends with 4 downloads nothing.
            ("make: *** [Makefile:3: x.o] Error 4", None),
        ] {
            let explained = build.explain_failure(output, &rerun, "drop".into());
            let explained = explained.map(|found| (found.why, found.hint, found.is_outside_tree));
            assert_eq!(explained, expected, "{output}");
        }
    }
}
