//! The tree's own build: clean, then everything.
//!
//! A tree with `autogen.sh` and `configure.ac` is built by rkt's autotools ([`autotools`]); any other by
//! `stage1/Makefile`. Both get the path of an image that this process has verified.

mod autotools;
mod failure;
mod logged_commands;
mod tracked_files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::no_follow;
use crate::bounded_file;
use crate::images::ImageSet;
use crate::trusted_owners::TrustedOwners;
use coreos_types::{Board, Error, Flavor, Result, SystemdVersion};

pub(super) use self::failure::Explanation;
use self::logged_commands::{FailedCommand, LoggedCommands};

/// More than any makefile or `configure.ac` has.
const MAX_BUILD_FILE_LEN: u64 = 4 << 20;

/// The text of a makefile or `configure.ac`; `None` where it cannot be read.
fn read_build_file(path: &Path) -> Option<String> {
    let bytes = bounded_file::read(path, MAX_BUILD_FILE_LEN).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) struct Build<'a> {
    /// The tree, absolute.
    pub tree: &'a Path,
    /// The flavors that have manifests, by board to build.
    pub manifest_flavors: BTreeMap<Board, BTreeSet<Flavor>>,
    /// The flavors that `--flavor` selects; empty selects all.
    pub selected_flavors: &'a [String],
    /// The systemd version in coreos-common.mk.
    pub systemd: SystemdVersion,
    /// Further arguments for rkt's `configure`.
    pub configure: Vec<String>,
    /// Further arguments for `make` and `make clean`.
    pub make: Vec<String>,
}

pub(super) struct BuildOutcome {
    /// `None` where every command succeeded.
    pub failure: Option<FailedCommand>,
    /// The commands that ran, and the file with their output.
    pub log: LoggedCommands,
    /// Files of the checkout that the build changed and that were restored.
    pub restored: Vec<String>,
}

/// `--with-stage1-flavors`, the option of rkt's `configure`.
const FLAVORS_OPTION: &str = "--with-stage1-flavors=";

impl Build<'_> {
    /// Whether rkt's autotools build the tree, and not `stage1/Makefile`.
    pub(super) fn uses_autotools(&self) -> bool {
        ["autogen.sh", "configure.ac"].iter().all(|file| self.tree.join(file).is_file())
    }

    /// The boards that one run builds: rkt's build makes the board of this machine only.
    pub(super) fn buildable_boards(&self) -> Vec<Board> {
        let is_built =
            |board: &&Board| !self.uses_autotools() || board.uname_machine() == std::env::consts::ARCH;
        self.manifest_flavors.keys().filter(is_built).copied().collect()
    }

    /// The flavors to build for a board: those of `--flavor`, else those of a `--with-stage1-flavors` among the
    /// arguments, else all that have manifests.
    pub(super) fn flavors_to_build(&self, board: Board) -> Vec<Flavor> {
        let configured = self.configure.iter().rev().find_map(|word| word.strip_prefix(FLAVORS_OPTION));
        let selected: Option<Vec<&str>> = match configured {
            _ if !self.selected_flavors.is_empty() => {
                Some(self.selected_flavors.iter().map(String::as_str).collect())
            }
            Some(list) if self.uses_autotools() => Some(list.split(',').collect()),
            _ => None,
        };
        let is_built =
            |flavor: &&Flavor| selected.as_ref().is_none_or(|words| words.contains(&flavor.as_str()));
        self.manifest_flavors.get(&board).into_iter().flatten().filter(is_built).cloned().collect()
    }

    /// Checks that every selected flavor has manifests for some board.
    pub(super) fn check_selected_flavors(&self) -> Result<()> {
        let known: BTreeSet<&str> = self.manifest_flavors.values().flatten().map(Flavor::as_str).collect();
        let unknown = self.selected_flavors.iter().find(|flavor| !known.contains(flavor.as_str()));
        unknown.map_or(Ok(()), |unknown| {
            let why = format!("the tree has no manifests in stage1/usr_from_{unknown}");
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            Err(Error::failed(format!("--flavor {unknown}: {why}"))
                .with_hint(format!("use one of the tree's flavors: {known}")))
        })
    }

    /// A directory that `make clean` does not remove, for logs and files of a boot.
    pub(super) fn create_log_directory(&self) -> Result<PathBuf> {
        let name = if self.uses_autotools() { "build-rkt-smoketest" } else { "stage1/build-smoketest" };
        let directory = self.tree.join(name);
        no_follow::create_dir_all(self.tree, &directory)?;
        Ok(directory)
    }

    /// The build directory of a board. rkt names it after its version; others may be left from other versions.
    pub(super) fn build_directory(&self, board: Board) -> PathBuf {
        if !self.uses_autotools() {
            return self.tree.join(format!("stage1/build-{board}"));
        }
        let argument =
            self.make.iter().rev().find_map(|word| word.strip_prefix("BUILDDIR=")).map(str::to_owned);
        let given = argument.or_else(|| std::env::var("BUILDDIR").ok());
        let directory = given.or_else(|| self.configured_build_directory());
        self.tree.join(directory.as_deref().unwrap_or("build-rkt-VERSION"))
    }

    /// The name of the build directory in the Makefile that `configure` wrote. It has the version of configure.ac, and not
    /// always that of `RKT_VERSION`, which may have a commit.
    fn configured_build_directory(&self) -> Option<String> {
        let makefile = read_build_file(&self.tree.join("Makefile"))?;
        let path = makefile.lines().find_map(|line| line.strip_prefix("BUILDDIR ?= "))?;
        let name = path.rsplit('/').next()?.trim();
        let is_build = name.starts_with("build-rkt-") && name != "build-rkt-smoketest";
        is_build.then(|| name.to_owned())
    }

    /// Cleans, then builds everything, from copies of the images that are verified while they are copied. A failed
    /// build is not an error here, but [`BuildOutcome::failure`].
    pub(super) fn clean_and_build(&self, images: &ImageSet) -> Result<BuildOutcome> {
        let uses_autotools = self.uses_autotools();
        if uses_autotools {
            autotools::check_quotable_path(self.tree)?;
        }
        let directory = self.create_log_directory()?;
        // Another user could replace the copy of an image.
        TrustedOwners::from_env().check_file(self.tree, &directory)?;
        let copies = directory.join("checkout");
        let path = directory.join("build.log");
        // Left by a build that was killed.
        let mut restored =
            tracked_files::restore(self.tree, &copies, logged_commands::last_heartbeat_end(&path))?;
        let mut log = LoggedCommands::create(path)?;
        let mut failure = None;
        // rkt's generated Makefile has the path of the copied image: the copy is kept until the next run.
        let image_directory = directory.join("images");
        no_follow::remove_all_if_exists(&image_directory)?;
        no_follow::create_dir_all(self.tree, &image_directory)?;
        for board in self.buildable_boards() {
            let image = image_directory.join(format!("{board}.cpio.gz"));
            images.copy_verified_board(board, &image)?;
            failure = if uses_autotools {
                tracked_files::save(self.tree, &copies)?;
                let failed = log.run_all(self.autotools_commands(board, &image));
                restored.extend(tracked_files::restore(self.tree, &copies, None)?);
                failed?
            } else {
                log.run_all(self.stage1_makefile_commands(board, &image))?
            };
            if failure.is_some() {
                break;
            }
        }
        Ok(BuildOutcome { failure, log, restored })
    }

    fn stage1_makefile_commands(&self, board: Board, image: &Path) -> [Command; 2] {
        let make = |target: &[&str]| {
            let mut make = self.command("make");
            make.args(["-C", "stage1"]).arg(format!("RKT_STAGE1_COREOS_BOARD={board}"));
            if !self.selected_flavors.is_empty() {
                make.arg(format!("RKT_STAGE1_FLAVORS={}", join_flavors(&self.flavors_to_build(board))));
            }
            make.arg("-j2").args(&self.make).args(target);
            make.env("XTASK", FETCH_STAND_IN).env("XTASK_FETCH_FLAGS", "").env("XTASK_IMAGE", image);
            make
        };
        [make(&["clean"]), make(&[])]
    }

    /// A command in the tree; the environment is passed on, messages are in English.
    fn command(&self, program: &str) -> Command {
        let mut command = logged_commands::supervised_command(program);
        command.current_dir(self.tree).env("LC_ALL", "C");
        command
    }
}

/// The command that `stage1/Makefile` runs instead of `cargo xtask fetch`: moves the copied image to the FILE of `--output
/// FILE`, or prints its path. Both paths are data of the script, so no quoting of them can fail; make reads `$$` as one
/// `$`.
const FETCH_STAND_IN: &str = r#"sh -c 'for word; do if [ "$$last" = --output ]; then exec mv -- "$$XTASK_IMAGE" "$$word"; fi; last=$$word; done; printf "%s\n" "$$XTASK_IMAGE"' xtask"#;

/// Flavors as rkt writes a list of them.
fn join_flavors(flavors: &[Flavor]) -> String {
    flavors.iter().map(Flavor::as_str).collect::<Vec<_>>().join(",")
}

/// The directory with the files that rkt's build took from the image for the root filesystem at `path`, which is
/// `BUILDDIR/aci-for-FLAVOR-flavor/rootfs`.
pub(super) fn find_image_rootfs(path: &Path) -> Option<PathBuf> {
    let directory = path.parent()?;
    let flavor = directory.file_name()?.to_str()?.strip_prefix("aci-for-")?.strip_suffix("-flavor")?;
    let rootfs = directory.parent()?.join(format!("tmp/usr_from_{flavor}/cbu/rootfs"));
    Some(rootfs).filter(|rootfs| rootfs.join("usr").is_dir())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn build_directory_is_the_configured_one() {
        let home = tempfile::tempdir().unwrap();
        let mut build = Build {
            tree: home.path(),
            manifest_flavors: BTreeMap::new(),
            selected_flavors: &[],
            systemd: SystemdVersion(252),
            configure: Vec::new(),
            make: Vec::new(),
        };
        for name in ["autogen.sh", "configure.ac"] {
            fs::write(home.path().join(name), "").unwrap();
        }
        // Of another version.
        fs::create_dir_all(home.path().join("build-rkt-1.29.0/aci-for-coreos-flavor/rootfs")).unwrap();
        for (written, expected) in [
            ("$(MK_TOPLEVEL_ABS_SRCDIR)/build-rkt-1.30.0+git", "build-rkt-1.30.0+git"),
            ("build-rkt-x/../..", "build-rkt-VERSION"),
            ("build-rkt-x/", "build-rkt-VERSION"),
            ("$(MK_TOPLEVEL_ABS_SRCDIR)/build-rkt-smoketest", "build-rkt-VERSION"),
        ] {
            let makefile = format!("RKT_VERSION := 1.30.0+git0123456-dirty\nBUILDDIR ?= {written}\n");
            fs::write(home.path().join("Makefile"), makefile).unwrap();
            assert_eq!(build.build_directory(Board::Amd64), home.path().join(expected), "{written}");
        }
        build.make = ["BUILDDIR=one", "BUILDDIR=other"].map(str::to_owned).into();
        assert_eq!(build.build_directory(Board::Amd64), home.path().join("other"));
    }
}
