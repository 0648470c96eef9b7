//! Libraries that are loaded with dlopen(3) and are not in DT_NEEDED: a table for images without `.note.dlopen`.

use super::image_index::ImageIndex;
use super::selection::Selection;
use usr::{FileInfo, LibraryName, NameKind, UsrPath};

/// A file, and the libraries that the file may load with dlopen(3).
struct KnownDlopen {
    /// Name of the file; the stem of a library.
    loader: &'static str,
    /// Stems of the libraries.
    loads: &'static [&'static str],
    /// Purpose, and the reference that documents the call.
    reason: &'static str,
}

/// The dlopen(3) calls of glibc, systemd and PAM. systemd v256 and later declare theirs in `.note.dlopen`.
const TABLE: &[KnownDlopen] = &[
    KnownDlopen {
        loader: "libc",
        loads: &["libnss_files"],
        reason: "users, groups and hosts of /etc; without it User= and Group= fail with 217 and 216 (nsswitch.conf(5); rkt#3714)",
    },
    KnownDlopen {
        loader: "libpthread",
        loads: &["libgcc_s"],
        reason: "unwinding in pthread_cancel and pthread_exit (glibc sysdeps/nptl/unwind-forcedunwind.c)",
    },
    KnownDlopen {
        loader: "libc",
        loads: &["libgcc_s"],
        reason: "unwinding in pthread_cancel, pthread_exit and backtrace (glibc misc/unwind-link.c)",
    },
    KnownDlopen {
        loader: "systemd-cryptsetup",
        loads: &["libcryptsetup", "libtss2-esys", "libfido2"],
        reason: "unlocking encrypted volumes (systemd src/shared/cryptsetup-util.c)",
    },
    KnownDlopen {
        loader: "systemd-repart",
        loads: &["libcryptsetup", "libfdisk"],
        reason: "making encrypted partitions (systemd src/shared/cryptsetup-util.c)",
    },
    KnownDlopen {
        loader: "systemd-nspawn",
        loads: &["libcryptsetup", "libseccomp"],
        reason: "images with verity, system call filters (systemd src/shared/dissect-image.c)",
    },
    KnownDlopen {
        loader: "systemd-coredump",
        loads: &["libdw", "libelf"],
        reason: "stack traces of core dumps (systemd src/shared/elf-util.c)",
    },
    KnownDlopen {
        loader: "journalctl",
        loads: &["libqrencode", "libpcre2-8"],
        reason: "sealing keys as QR code, --grep (systemd src/shared/qrcode-util.c, pcre2-util.c)",
    },
    KnownDlopen {
        loader: "systemd-resolved",
        loads: &["libidn2", "libidn"],
        reason: "international domain names (systemd src/shared/idn-util.c)",
    },
    KnownDlopen {
        loader: "systemd-udevd",
        loads: &["libkmod"],
        reason: "loading kernel modules (systemd src/shared/module-util.c)",
    },
    KnownDlopen {
        loader: "systemd-networkd",
        loads: &["libip4tc"],
        reason: "masquerading by iptables (systemd src/shared/firewall-util-iptables.c)",
    },
    KnownDlopen {
        loader: "libpam",
        loads: &["pam_unix", "pam_deny", "pam_permit", "pam_env", "pam_systemd"],
        reason: "the modules that /etc/pam.d names (pam.d(5))",
    },
];

/// The rows of the table with libraries that are in the image and not in the selection: the listed file, its unlisted
/// libraries, and the reason.
pub fn find_unlisted<'a>(
    selection: &'a Selection<'_>,
    index: &ImageIndex<'a>,
) -> Vec<(&'a UsrPath, Vec<&'a UsrPath>, &'static str)> {
    // The rows of systemd are redundant where a selected file has `.note.dlopen`.
    let has_dlopen_notes = selection.elf_files().any(|(_, elf)| !elf.dlopen_notes.is_empty());
    let mut unlisted: Vec<(&UsrPath, Vec<&UsrPath>, &str)> = Vec::new();
    for row in TABLE.iter().filter(|row| !(has_dlopen_notes && row.reason.contains("(systemd "))) {
        let is_file = |path: &UsrPath| selection.tree.read_file_info(path.as_str()).is_some();
        let mut loaders = selection.paths.iter().filter(|path| has_name_or_stem(path, row.loader));
        let Some(by) = loaders.find(|path| is_file(path)) else { continue };
        let is_met = |stem: &str| selection.paths.iter().any(|path| is_loaded_as(path, stem, selection));
        let missing = row.loads.iter().filter(|stem| !is_met(stem));
        let in_image = missing.filter_map(|stem| {
            let mut libraries = index.names.with_stem(stem).iter().copied();
            libraries.find(|path| is_dlopen_name(path, stem, selection))
        });
        let is_new = |library: &&UsrPath| !unlisted.iter().any(|(_, known, _)| known.contains(library));
        let libraries: Vec<&UsrPath> = in_image.filter(is_new).collect();
        if !libraries.is_empty() {
            unlisted.push((by, libraries, row.reason));
        }
    }
    unlisted
}

fn is_loaded_as(path: &UsrPath, stem: &str, selection: &Selection<'_>) -> bool {
    has_name_or_stem(path, stem) && is_dlopen_name(path, stem, selection)
}

/// Whether dlopen(3) is called with this name: the soname of a library, or the file name of a PAM module. A real name
/// is not enough without its soname.
fn is_dlopen_name(path: &UsrPath, stem: &str, selection: &Selection<'_>) -> bool {
    let end = selection.tree.resolve(path).end;
    match end.node().and_then(|file| selection.tree.read_file_info(file.as_str())) {
        _ if stem.starts_with("pam_") => true,
        Some(FileInfo::Elf(elf)) if elf.soname.is_some() => elf.soname.as_deref() == Some(path.name()),
        _ => LibraryName::from_path(path).is_some_and(|name| name.kind == NameKind::Soname),
    }
}

/// The name by which the table has a file that loads libraries.
pub fn loader_name(path: &UsrPath) -> Option<&'static str> {
    TABLE.iter().map(|row| row.loader).find(|loader| has_name_or_stem(path, loader))
}

/// The selected libraries that the files of this name may load according to the table, and the NSS modules that libc
/// loads by the names in nsswitch.conf(5).
pub fn find_loaded_by<'s>(loader: &str, selection: &'s Selection<'_>) -> impl Iterator<Item = &'s UsrPath> {
    let rows = TABLE.iter().filter(|row| row.loader == loader);
    let stems: Vec<&str> = rows.flat_map(|row| row.loads).copied().collect();
    let is_nss_module = |path: &UsrPath| path.name().starts_with("libnss_") && path.name().contains(".so.");
    let is_libc = loader == "libc";
    selection.paths.iter().filter(move |path| {
        is_libc && is_nss_module(path) || stems.iter().any(|stem| is_loaded_as(path, stem, selection))
    })
}

/// Whether a file of the table may load a library of this stem: the dependency is not visible in DT_NEEDED.
pub fn is_loaded_by_name(stem: &str) -> bool {
    TABLE.iter().any(|row| row.loads.contains(&stem))
}

fn has_name_or_stem(path: &UsrPath, name: &str) -> bool {
    // The cheap comparison of prefixes comes first.
    path.name() == name
        || path.name().starts_with(name)
            && LibraryName::from_path(path).is_some_and(|library| library.stem == name)
}
