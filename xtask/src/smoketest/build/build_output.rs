//! The results in a build directory.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Build, read_build_file};
use crate::smoketest::host::list_dir;
use coreos_types::{Board, Flavor};

/// The directory with the files that rkt's build took from the image for the root filesystem at `path`, which is
/// `BUILDDIR/aci-for-FLAVOR-flavor/rootfs`.
pub(in crate::smoketest) fn find_image_rootfs(path: &Path) -> Option<PathBuf> {
    let directory = path.parent()?;
    let flavor = flavor_of_aci_dir(directory.file_name()?.to_str()?)?;
    let rootfs = directory.parent()?.join(format!("tmp/usr_from_{flavor}/cbu/rootfs"));
    Some(rootfs).filter(|rootfs| rootfs.join("usr").is_dir())
}

/// The flavor in `aci-for-FLAVOR-flavor`.
fn flavor_of_aci_dir(name: &str) -> Option<Flavor> {
    let word = name.strip_prefix("aci-for-").and_then(|rest| rest.strip_suffix("-flavor"))?;
    Flavor::from_dir_name(&format!("usr_from_{word}"))
}

impl Build<'_> {
    /// The build directory of a board. rkt names it after its version; others may be left from other versions.
    pub(in crate::smoketest) fn build_directory(&self, board: Board) -> PathBuf {
        if !self.uses_autotools() {
            return self.tree.join(format!("stage1/build-{board}"));
        }
        let argument = self.make.iter().rev().find_map(|word| word.strip_prefix("BUILDDIR="));
        if let Some(directory) = argument.map(str::to_owned).or_else(|| std::env::var("BUILDDIR").ok()) {
            return self.tree.join(directory);
        }
        let configured =
            self.configured_version().map(|version| self.tree.join(format!("build-rkt-{version}")));
        configured
            .filter(|directory| directory.is_dir())
            .or_else(|| newest_build_directory(self.tree))
            .unwrap_or_else(|| self.tree.join("build-rkt-VERSION"))
    }

    /// The build directory of the board of this machine, else of the first.
    pub(in crate::smoketest) fn native_build_directory(&self) -> PathBuf {
        let native = self.boards.iter().find(|board| board.uname_machine() == std::env::consts::ARCH);
        self.build_directory(native.or(self.boards.first()).copied().unwrap_or(Board::Amd64))
    }

    /// The version that `configure` wrote into the Makefile.
    fn configured_version(&self) -> Option<String> {
        let makefile = read_build_file(&self.tree.join("Makefile"))?;
        let line = makefile.lines().find_map(|line| line.strip_prefix("RKT_VERSION := "))?;
        Some(line.trim().to_owned())
    }
}

/// The build directory of rkt with the newest root filesystem.
fn newest_build_directory(tree: &Path) -> Option<PathBuf> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let builds = list_dir(tree).into_iter().filter(|path| name(path).starts_with("build-rkt-"));
    let flavors = builds.flat_map(|build| list_dir(&build));
    let flavors = flavors.filter(|path| flavor_of_aci_dir(&name(path)).is_some());
    let time = |flavor: &Path| fs::metadata(flavor.join("rootfs")).ok()?.modified().ok();
    let (_, newest) = flavors.filter_map(|flavor| Some((time(&flavor)?, flavor))).max()?;
    newest.parent().map(Path::to_owned)
}
