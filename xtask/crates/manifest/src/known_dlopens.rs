//! Libraries that are loaded by name and leave no trace in DT_NEEDED: a table for images without `.note.dlopen`.

use super::library_name::{LibraryName, NameKind};
use super::selection::Selection;
use usr::file_info::FileInfo;
use usr::path::UsrPath;

/// One row: when a file of this name is listed, these libraries may be loaded with dlopen(3).
struct KnownDlopen {
    /// The file that loads, by name; a library by its stem.
    loader: &'static str,
    /// The stems it may load.
    loads: &'static [&'static str],
    /// What for.
    what_for: &'static str,
    /// Where that is written.
    source: &'static str,
}

/// What glibc, systemd and PAM load by name. systemd from v256 on says so itself in `.note.dlopen`.
const TABLE: &[KnownDlopen] = &[
    KnownDlopen {
        loader: "libc",
        loads: &["libnss_files"],
        what_for: "users, groups and hosts of /etc; without it User= and Group= fail with 217 and 216",
        source: "nsswitch.conf(5); rkt#3714",
    },
    KnownDlopen {
        loader: "libpthread",
        loads: &["libgcc_s"],
        what_for: "unwinding in pthread_cancel and pthread_exit",
        source: "glibc sysdeps/nptl/unwind-forcedunwind.c",
    },
    KnownDlopen {
        loader: "libc",
        loads: &["libgcc_s"],
        what_for: "unwinding in pthread_cancel, pthread_exit and backtrace",
        source: "glibc misc/unwind-link.c",
    },
    KnownDlopen {
        loader: "systemd-cryptsetup",
        loads: &["libcryptsetup", "libtss2-esys", "libfido2"],
        what_for: "unlocking encrypted volumes",
        source: "systemd src/shared/cryptsetup-util.c",
    },
    KnownDlopen {
        loader: "systemd-repart",
        loads: &["libcryptsetup", "libfdisk"],
        what_for: "making encrypted partitions",
        source: "systemd src/shared/cryptsetup-util.c",
    },
    KnownDlopen {
        loader: "systemd-nspawn",
        loads: &["libcryptsetup", "libseccomp"],
        what_for: "images with verity, system call filters",
        source: "systemd src/shared/dissect-image.c",
    },
    KnownDlopen {
        loader: "systemd-coredump",
        loads: &["libdw", "libelf"],
        what_for: "stack traces of core dumps",
        source: "systemd src/shared/elf-util.c",
    },
    KnownDlopen {
        loader: "journalctl",
        loads: &["libqrencode", "libpcre2-8"],
        what_for: "sealing keys as QR code, --grep",
        source: "systemd src/shared/qrcode-util.c, pcre2-util.c",
    },
    KnownDlopen {
        loader: "systemd-resolved",
        loads: &["libidn2", "libidn"],
        what_for: "international domain names",
        source: "systemd src/shared/idn-util.c",
    },
    KnownDlopen {
        loader: "systemd-udevd",
        loads: &["libkmod"],
        what_for: "loading kernel modules",
        source: "systemd src/shared/module-util.c",
    },
    KnownDlopen {
        loader: "systemd-networkd",
        loads: &["libip4tc"],
        what_for: "masquerading by iptables",
        source: "systemd src/shared/firewall-util-iptables.c",
    },
    KnownDlopen {
        loader: "libpam",
        loads: &["pam_unix", "pam_deny", "pam_permit", "pam_env", "pam_systemd"],
        what_for: "the modules that /etc/pam.d names",
        source: "pam.d(5)",
    },
];

/// A library that a listed file may load by name and the stage does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DlopenHint {
    /// The listed file that may load it.
    pub by: UsrPath,
    /// The libraries in the image.
    pub libraries: Vec<UsrPath>,
    /// What for, and where that is written.
    pub because: String,
}

/// Rows of the table that a stage does not meet, where the image could.
pub fn advice(stage: &Selection<'_>, of_stem: impl Fn(&str) -> Vec<UsrPath>) -> Vec<DlopenHint> {
    let says_itself = has_notes(stage);
    let mut advice: Vec<DlopenHint> = Vec::new();
    for row in TABLE.iter().filter(|row| !(says_itself && row.source.starts_with("systemd"))) {
        let Some((by, _)) = stage.files().find(|(path, _)| is_named(path, row.loader)) else { continue };
        let is_met = |stem: &str| {
            stage.present.iter().any(|path| is_named(path, stem) && is_dlopened_as(path, stem, stage))
        };
        let missing = row.loads.iter().filter(|stem| !is_met(stem));
        let mut libraries: Vec<UsrPath> = missing
            .filter_map(|stem| of_stem(stem).into_iter().find(|path| is_dlopened_as(path, stem, stage)))
            .collect();
        libraries.retain(|library| !advice.iter().any(|known| known.libraries.contains(library)));
        if !libraries.is_empty() {
            let because = format!("{} ({})", row.what_for, row.source);
            advice.push(DlopenHint { by: by.clone(), libraries, because });
        }
    }
    advice
}

/// Whether dlopen(3) uses this name: for a library by its soname, for a PAM module by that of its file. The file behind
/// a soname is of no use without it.
fn is_dlopened_as(path: &UsrPath, stem: &str, stage: &Selection<'_>) -> bool {
    let end = stage.tree.resolve(path).end;
    match end.node().and_then(|file| stage.tree.file_info(file.as_str())) {
        _ if stem.starts_with("pam_") => true,
        Some(FileInfo::Elf(elf)) if elf.soname.is_some() => elf.soname.as_deref() == Some(path.name()),
        _ => LibraryName::parse(path.name()).is_some_and(|name| matches!(name.kind, NameKind::Soname(_))),
    }
}

/// Whether a library of this stem is loaded by name by something in the table: nothing needs it that a file shows.
pub fn is_loaded_by_name(stem: &str) -> bool {
    TABLE.iter().any(|row| row.loads.contains(&stem))
}

/// A systemd that says itself what it loads: the table would only repeat it.
fn has_notes(stage: &Selection<'_>) -> bool {
    stage.files().any(|(_, facts)| matches!(facts, FileInfo::Elf(elf) if !elf.dlopen.is_empty()))
}

fn is_named(path: &UsrPath, name: &str) -> bool {
    // A name starts with its stem, and asking that first is what keeps the table cheap.
    path.name() == name
        || path.name().starts_with(name)
            && LibraryName::parse(path.name()).is_some_and(|library| library.stem == name)
}
