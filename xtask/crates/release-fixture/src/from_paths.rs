//! An image from a list of paths: the type of each file and the targets of symlinks are inferred from the names.

use std::collections::BTreeSet;

use super::elf::ElfStub;
use super::image::ImageSpec;
use coreos_types::release::Board;

/// Adds every listed path to an image; `needs` returns the `DT_NEEDED` names of the ELF file at a path.
///
/// Files in `bin`, `sbin` and a `systemd` directory are programs; files further below a `systemd` directory are units.
/// Libraries are chains of symlinks: `libz.so -> libz.so.1 -> libz.so.1.2.8`, `libc.so.6 -> libc-2.21.so`. The directories
/// that systemd ships empty are directories. A path that the image has already is unchanged.
#[must_use]
pub fn with_listed(mut image: ImageSpec, paths: &[&str], needs: impl Fn(&str) -> Vec<String>) -> ImageSpec {
    let listed: BTreeSet<&str> = paths.iter().copied().collect();
    for path in &listed {
        if image.has(path) {
            continue;
        }
        image = match InferredKind::from_path(path, &listed) {
            InferredKind::Link(target) => image.link(path, &target),
            InferredKind::Library(soname) => {
                let stub = ElfStub::library(image.board(), &soname);
                image.elf(path, with_needs(stub, &needs(path)))
            }
            InferredKind::DynamicLoader => {
                let stub = ElfStub::library(image.board(), loader(image.board()));
                image.elf(path, stub.system_dirs(["/lib64/", "/usr/lib64/"]))
            }
            InferredKind::Program => {
                let needs = needs(path);
                image.program(path, &needs.iter().map(String::as_str).collect::<Vec<_>>())
            }
            InferredKind::Unit => image.text(path, "[Unit]\n"),
            InferredKind::Directory => image.directory(path),
        };
    }
    image
}

fn with_needs(stub: ElfStub, needs: &[String]) -> ElfStub {
    stub.needs(needs.iter().map(String::as_str))
}

/// The soname of the loader of a board.
pub fn loader(board: Board) -> &'static str {
    match board {
        Board::Amd64 => "ld-linux-x86-64.so.2",
        Board::Arm64 => "ld-linux-aarch64.so.1",
    }
}

/// The kind of a path, inferred from its name and the other paths.
enum InferredKind {
    Link(String),
    Library(String),
    DynamicLoader,
    Program,
    Unit,
    Directory,
}

impl InferredKind {
    fn from_path(path: &str, listed: &BTreeSet<&str>) -> InferredKind {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(so) = SharedObject::parse(name) {
            let neighbours =
                listed.iter().filter_map(|other| other.strip_prefix(directory)?.strip_prefix('/'));
            return so
                .infer(neighbours.filter_map(SharedObject::parse).filter(|other| other.stem == so.stem));
        }
        let systemd = directory.ends_with("/systemd");
        match name {
            "system-sleep" | "system-shutdown" | "system-generators" | "user-generators" => {
                InferredKind::Directory
            }
            _ if directory.is_empty() => InferredKind::Directory,
            _ if systemd || directory.ends_with("bin") => InferredKind::Program,
            _ => InferredKind::Unit,
        }
    }
}

/// The name of a shared object: `libc-2.21.so`, `libz.so`, `libz.so.1.2.8`, `ld-linux-x86-64.so.2`.
#[derive(Clone, Copy)]
struct SharedObject<'a> {
    name: &'a str,
    /// `libc`, `libz`, `ld`.
    stem: &'a str,
    /// The version before `.so`, as in glibc's libraries.
    release: &'a str,
    /// The text after `.so.`.
    version: &'a str,
}

impl<'a> SharedObject<'a> {
    fn parse(name: &'a str) -> Option<SharedObject<'a>> {
        let at = name.find(".so")?;
        let version = match name[at + 3..].strip_prefix('.') {
            Some(version) => version,
            None if name.len() == at + 3 => "",
            None => return None,
        };
        let before = &name[..at];
        let digits = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let (stem, release) = match before.rsplit_once('-') {
            _ if before.starts_with("ld-linux") => ("ld", ""),
            Some((stem, release)) if digits(release) && stem != "libsystemd-shared" => (stem, release),
            _ => (before, ""),
        };
        Some(SharedObject { name, stem, release, version })
    }

    /// The symlink's target among the paths of the same stem; `None` for the real file.
    fn infer(self, family: impl Iterator<Item = SharedObject<'a>>) -> InferredKind {
        let family: Vec<SharedObject<'a>> = family.collect();
        let real_of = |soname: SharedObject<'a>| {
            let longer = |other: &&SharedObject<'a>| {
                !other.release.is_empty() || other.version.starts_with(&format!("{}.", soname.version))
            };
            family.iter().filter(longer).max_by_key(|other| (other.release.len(), other.version.len()))
        };
        if self.release.is_empty()
            && !self.version.is_empty()
            && let Some(real) = real_of(self)
        {
            return InferredKind::Link(real.name.to_owned());
        }
        let sonames = family.iter().filter(|other| other.release.is_empty() && !other.version.is_empty());
        let soname = match self.version {
            "" => sonames.min_by_key(|other| other.version.len()),
            _ => sonames
                .filter(|other| {
                    self.version == other.version || self.version.starts_with(&format!("{}.", other.version))
                })
                .min_by_key(|other| other.version.len()),
        };
        match soname {
            Some(soname) if self.release.is_empty() && self.version.is_empty() => {
                InferredKind::Link(soname.name.to_owned())
            }
            _ if self.stem == "ld" => InferredKind::DynamicLoader,
            soname => InferredKind::Library(soname.map_or(self.name, |soname| soname.name).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{InferredKind, SharedObject};
    use std::collections::BTreeSet;

    #[test]
    fn types_are_inferred_from_names() {
        let listed: BTreeSet<&str> = [
            "lib64/ld-2.21.so",
            "lib64/ld-linux-x86-64.so.2",
            "lib64/libc-2.21.so",
            "lib64/libc.so.6",
            "lib64/libdl.so",
            "lib64/libdl.so.2",
            "lib64/libdl-2.21.so",
            "lib64/libz.so.1",
            "lib64/libz.so.1.2.8",
            "lib64/libselinux.so",
            "lib64/libselinux.so.1",
            "lib64/systemd/libsystemd-shared-231.so",
        ]
        .into();
        let shown = |path| match InferredKind::from_path(path, &listed) {
            InferredKind::Link(target) => format!("-> {target}"),
            InferredKind::Library(soname) => format!("library {soname}"),
            InferredKind::DynamicLoader => String::from("loader"),
            InferredKind::Program => String::from("program"),
            InferredKind::Unit => String::from("unit"),
            InferredKind::Directory => String::from("directory"),
        };
        for (path, what) in [
            ("lib64/ld-2.21.so", "loader"),
            ("lib64/ld-linux-x86-64.so.2", "-> ld-2.21.so"),
            ("lib64/libc-2.21.so", "library libc.so.6"),
            ("lib64/libc.so.6", "-> libc-2.21.so"),
            ("lib64/libdl.so", "-> libdl.so.2"),
            ("lib64/libz.so.1", "-> libz.so.1.2.8"),
            ("lib64/libz.so.1.2.8", "library libz.so.1"),
            ("lib64/libselinux.so", "-> libselinux.so.1"),
            ("lib64/libselinux.so.1", "library libselinux.so.1"),
            ("lib64/systemd/libsystemd-shared-231.so", "library libsystemd-shared-231.so"),
            ("lib64/systemd/systemd-logind", "program"),
            ("lib64/systemd/system-sleep", "directory"),
            ("lib64/systemd/system/syslog.socket", "unit"),
            ("sbin/sshd", "program"),
        ] {
            assert_eq!(shown(path), what, "{path}");
        }
        assert!(SharedObject::parse("ld.so.conf").is_some_and(|so| so.version == "conf"));
    }
}
