//! rkt's build: `autogen.sh`, `configure`, `make clean`, `make`.

use std::path::Path;
use std::process::Command;

use super::{Build, FLAVORS_OPTION, join_flavors, read_build_file};
use coreos_types::{Board, Error, Result, shell::quote};

/// GNU make 4.3 and later add no space to an empty variable with `+=`. rkt makes a space that way and separates the
/// flavors by it; a variable on the command line stays as it is.
const SPACE_VARIABLE: &str = "_MISC_CTS_SPACE_";

/// Optional features that need libraries of the host; no check here uses them, so `configure` gets
/// `--enable-FEATURE=auto`.
const OPTIONAL_FEATURES: [&str; 2] = ["tpm", "sdjournal"];

/// Checks that autoconf and make can build in a directory: neither can quote its path (Autoconf manual, "File System
/// Conventions"; GNU make manual, "Rule Syntax").
pub(super) fn check_quotable_path(tree: &Path) -> Result<()> {
    let text = tree.to_string_lossy();
    let is_plain = |c: &char| c.is_alphanumeric() || "/._-+@,^".contains(*c);
    let Some(special) = text.chars().find(|c| !is_plain(c)) else { return Ok(()) };
    let plain = "/var/tmp/rkt";
    Err(Error::failed(format!(
        "rkt's build cannot work in {text}: autoconf and make interpret {special:?} in its path"
    ))
    .with_hint(format!("git clone {} {plain} && cargo xtask --repo {plain} smoketest", quote(&text))))
}

impl Build<'_> {
    /// All steps, in order.
    pub(super) fn autotools_commands(&self, board: Board, image: &Path) -> [Command; 4] {
        let mut configure = self.go_command("./configure");
        configure.args(self.configure_arguments(board, image));
        let make = |target: &[&str]| {
            let mut make = self.go_command("make");
            make.arg("-j2").args(&self.make).args(self.space_variable_argument()).args(target);
            make
        };
        [self.go_command("./autogen.sh"), configure, make(&["clean"]), make(&[])]
    }

    /// The arguments of `configure`. The image that was verified comes last: no other argument replaces it.
    fn configure_arguments(&self, board: Board, image: &Path) -> Vec<String> {
        let mut arguments = vec![format!("{FLAVORS_OPTION}{}", join_flavors(&self.flavors_to_build(board)))];
        let text = read_build_file(&self.tree.join("configure.ac")).unwrap_or_default();
        let known = OPTIONAL_FEATURES.iter().filter(|name| text.contains(&format!("AC_ARG_ENABLE([{name}]")));
        arguments.extend(known.map(|name| format!("--enable-{name}=auto")));
        arguments.extend(self.configure.iter().cloned());
        arguments.push(format!("--with-coreos-local-pxe-image-path={}", image.display()));
        arguments.push(format!("--with-coreos-local-pxe-image-systemd-version={}", self.systemd));
        arguments
    }

    /// A command with `GO111MODULE=off` where the environment does not set it and the tree has no `go.mod`: it can be
    /// built in a GOPATH only.
    fn go_command(&self, program: &str) -> Command {
        let mut command = self.command(program);
        if std::env::var_os("GO111MODULE").is_none() && !self.tree.join("go.mod").exists() {
            command.env("GO111MODULE", "off");
        }
        command
    }

    /// The argument that keeps the list of flavors apart under GNU make 4.3 and later, where the tree needs it and no
    /// argument has it.
    fn space_variable_argument(&self) -> Option<String> {
        let makefile = read_build_file(&self.tree.join("makelib/misc.mk")).unwrap_or_default();
        let is_given = self.make.iter().any(|word| word.starts_with(SPACE_VARIABLE));
        (makefile.contains(SPACE_VARIABLE) && !is_given).then(|| format!("{SPACE_VARIABLE}=$() "))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use coreos_types::{Flavor, SystemdVersion};

    use super::*;

    fn build<'a>(tree: &'a Path, selected: &'a [String], configure: &[&str]) -> Build<'a> {
        let flavor = |word: &&str| Flavor::new(word).unwrap();
        Build {
            tree,
            manifest_flavors: BTreeMap::from([(
                Board::Amd64,
                ["coreos", "kvm"].iter().map(flavor).collect(),
            )]),
            selected_flavors: selected,
            systemd: SystemdVersion(252),
            configure: configure.iter().map(|&word| word.to_owned()).collect(),
            make: Vec::new(),
        }
    }

    #[test]
    fn paths_that_make_cannot_quote_are_refused() {
        assert_eq!(check_quotable_path(Path::new("/home/me/rkt-1.30.0+git")), Ok(()));
        for path in ["/home/o'brien/rkt", "/a b", "/a:b", "/$(x)", "/a#b", "/a%b", "/a\nb"] {
            let error = check_quotable_path(Path::new(path)).unwrap_err();
            assert!(error.message.contains("interpret") && error.hint.is_some(), "{error:?}");
        }
    }

    #[test]
    fn image_options_follow_all_other_arguments() {
        let home = tempfile::tempdir().unwrap();
        for name in ["autogen.sh", "configure.ac"] {
            fs::write(home.path().join(name), "").unwrap();
        }
        let image =
            "--with-coreos-local-pxe-image-path=/i.gz --with-coreos-local-pxe-image-systemd-version=v252";
        for (selected, configure, expected) in [
            (&[][..], &[][..], "--with-stage1-flavors=coreos,kvm"),
            (&["coreos"], &[], "--with-stage1-flavors=coreos"),
            (&[], &["--disable-tpm"], "--with-stage1-flavors=coreos,kvm --disable-tpm"),
            (
                &["kvm"],
                &["--with-coreos-local-pxe-image-path=/other"],
                "--with-stage1-flavors=kvm --with-coreos-local-pxe-image-path=/other",
            ),
            // The argument decides which flavors are expected, as `configure` takes the last one.
            (
                &[],
                &["--with-stage1-flavors=coreos,fly"],
                "--with-stage1-flavors=coreos --with-stage1-flavors=coreos,fly",
            ),
        ] {
            let selected: Vec<String> = selected.iter().map(|&word: &&str| word.to_owned()).collect();
            let build = build(home.path(), &selected, configure);
            let arguments = build.configure_arguments(Board::Amd64, Path::new("/i.gz")).join(" ");
            assert_eq!(arguments, format!("{expected} {image}"));
        }
    }

    #[test]
    fn known_features_are_optional() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("configure.ac"), "AC_ARG_ENABLE([tpm],\n").unwrap();
        let arguments =
            build(home.path(), &[], &["--disable-tpm"]).configure_arguments(Board::Amd64, Path::new("/i"));
        assert_eq!(arguments[1..3], ["--enable-tpm=auto", "--disable-tpm"]);
    }

    #[test]
    fn space_variable_is_set_if_the_tree_uses_it() {
        let home = tempfile::tempdir().unwrap();
        let mut build = build(home.path(), &[], &[]);
        assert_eq!(build.space_variable_argument(), None);
        fs::create_dir(home.path().join("makelib")).unwrap();
        fs::write(home.path().join("makelib/misc.mk"), "\t$(eval _MISC_CTS_SPACE_ += ) \\\n").unwrap();
        assert_eq!(build.space_variable_argument().as_deref(), Some("_MISC_CTS_SPACE_=$() "));
        build.make = vec!["_MISC_CTS_SPACE_=x".into()];
        assert_eq!(build.space_variable_argument(), None);
    }
}
