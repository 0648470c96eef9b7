//! An image from a list of paths: the type of each file and the targets of symlinks are inferred from the names.

use std::collections::BTreeSet;

use super::elf::ElfStub;
use super::image_spec::ImageSpec;
use usr::{LibraryName, NameKind};

/// The directories that systemd ships empty.
const EMPTY_DIRECTORIES: [&str; 4] =
    ["system-sleep", "system-shutdown", "system-generators", "user-generators"];

/// Adds every listed path to an image; `needs` returns the `DT_NEEDED` names of the ELF file at a path.
///
/// Files in `bin`, `sbin` and a `systemd` directory are programs; files further below a `systemd` directory are units.
/// Libraries are chains of symlinks: `libz.so -> libz.so.1 -> libz.so.1.2.8`, `libc.so.6 -> libc-2.21.so`. The directories
/// that systemd ships empty are directories. A path that the image has already is unchanged.
pub fn with_inferred_files(
    mut image: ImageSpec,
    paths: &[&str],
    needs: impl Fn(&str) -> Vec<String>,
) -> ImageSpec {
    let listed: BTreeSet<&str> = paths.iter().copied().collect();
    for path in &listed {
        if image.files.contains_key(*path) {
            continue;
        }
        let needed = needs(path);
        let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(library) = LibraryName::parse(name) else {
            image = match name {
                _ if directory.is_empty() || EMPTY_DIRECTORIES.contains(&name) => image.directory(path),
                _ if directory.ends_with("/systemd") || directory.ends_with("bin") => {
                    image.program(path, &needed)
                }
                _ => image.text(path, "[Unit]\n"),
            };
            continue;
        };
        let neighbours = listed.iter().filter_map(|other| other.strip_prefix(directory)?.strip_prefix('/'));
        let libraries = neighbours.filter_map(|name| Some((name, LibraryName::parse(name)?)));
        let family: Vec<_> = libraries.filter(|(_, other)| other.stem == library.stem).collect();
        image = match symlink_target(&library, &family) {
            Some(target) => image.link(path, target),
            None if library.stem == "ld" => {
                let stub = ElfStub::library(image.board, image.board.loader_name());
                image.elf(path, stub.as_loader(["/lib64/", "/usr/lib64/"]))
            }
            None => {
                let stub = ElfStub::library(image.board, find_soname(&library, &family).unwrap_or(name));
                image.elf(path, stub.needs(needed))
            }
        };
    }
    image
}

/// The symlink's target among the names of the same stem; `None` for a real file.
fn symlink_target<'a>(library: &LibraryName<'_>, family: &[(&'a str, LibraryName<'_>)]) -> Option<&'a str> {
    match library.kind {
        NameKind::LinkerName => find_soname(library, family),
        NameKind::DashedRealName => None,
        NameKind::Soname | NameKind::RealName => {
            let real = family.iter().filter(|(_, other)| {
                other.version != library.version && other.belongs_to_soname(library.version)
            });
            let target =
                real.max_by_key(|(_, other)| (other.kind == NameKind::DashedRealName, other.version.len()));
            target.map(|(name, _)| *name)
        }
    }
}

/// The shortest soname among the names of the same stem that can be this file's.
fn find_soname<'a>(library: &LibraryName<'_>, family: &[(&'a str, LibraryName<'_>)]) -> Option<&'a str> {
    let sonames = family.iter().filter(|(_, other)| {
        matches!(other.kind, NameKind::Soname | NameKind::RealName)
            && (library.kind == NameKind::LinkerName || library.belongs_to_soname(other.version))
    });
    sonames.min_by_key(|(_, other)| other.version.len()).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::image_spec::NodeSpec;
    use super::*;
    use coreos_types::{Board, Vendor};

    #[test]
    fn types_are_inferred_from_names() {
        let listed = [
            "lib64/ld-2.21.so",
            "lib64/ld-linux-x86-64.so.2",
            "lib64/libc-2.21.so",
            "lib64/libc.so.6",
            "lib64/libdl.so",
            "lib64/libdl.so.2",
            "lib64/libdl-2.21.so",
            "lib64/ld.so.conf",
            "lib64/libz.so.1",
            "lib64/libz.so.1.2.8",
            "lib64/libselinux.so",
            "lib64/libselinux.so.1",
            "lib64/systemd/libsystemd-shared-231.so",
            "lib64/systemd/systemd-logind",
            "lib64/systemd/system-sleep",
            "lib64/systemd/system/syslog.socket",
            "sbin/sshd",
        ];
        let image = ImageSpec::new(Vendor::COREOS, Board::Amd64, &"991.0.0".parse().unwrap(), "229");
        let image = with_inferred_files(image, &listed, |_| Vec::new());
        let shown = |path| match &image.files[path] {
            NodeSpec::Link(target) => format!("-> {target}"),
            NodeSpec::Elf(stub) if !stub.info().system_dirs.is_empty() => String::from("loader"),
            NodeSpec::Elf(stub) => match &stub.info().soname {
                Some(soname) => format!("library {soname}"),
                None => String::from("program"),
            },
            NodeSpec::Bytes(_) => String::from("text"),
            NodeSpec::Directory => String::from("directory"),
        };
        for (path, what) in [
            ("lib64/ld-2.21.so", "loader"),
            ("lib64/ld-linux-x86-64.so.2", "-> ld-2.21.so"),
            ("lib64/libc-2.21.so", "library libc.so.6"),
            ("lib64/libc.so.6", "-> libc-2.21.so"),
            ("lib64/libdl.so", "-> libdl.so.2"),
            ("lib64/ld.so.conf", "text"),
            ("lib64/libz.so.1", "-> libz.so.1.2.8"),
            ("lib64/libz.so.1.2.8", "library libz.so.1"),
            ("lib64/libselinux.so", "-> libselinux.so.1"),
            ("lib64/libselinux.so.1", "library libselinux.so.1"),
            ("lib64/systemd/libsystemd-shared-231.so", "library libsystemd-shared-231.so"),
            ("lib64/systemd/systemd-logind", "program"),
            ("lib64/systemd/system-sleep", "directory"),
            ("lib64/systemd/system/syslog.socket", "text"),
            ("sbin/sshd", "program"),
        ] {
            assert_eq!(shown(path), what, "{path}");
        }
    }
}
