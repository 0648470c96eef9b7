//! File names of shared libraries: stem, kind of name, and version.

use std::cmp::Ordering;

/// The parts of a library's file name. `libz.so.1.2.8` has stem `libz`, `libc-2.21.so` has stem `libc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LibraryName<'a> {
    /// The part that stays the same from one version to the next.
    pub stem: &'a str,
    /// The kind of name.
    pub kind: NameKind,
    /// The version; empty for a linker name.
    pub version: &'a str,
}

/// The kinds of names of one library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// `.so.N`: the name in `DT_NEEDED`. Mostly a symlink, at times the file itself.
    Soname,
    /// `.so`: the name that the link editor searches at build time.
    LinkerName,
    /// `.so.X.Y[.Z]`: the file that a soname points to.
    RealName,
    /// `-2.21.so`, `-231.so`: the real names of glibc and systemd.
    DashedRealName,
}

impl NameKind {
    /// Whether a name of this kind usually is the file that a symlink points to.
    pub fn is_real_name(self) -> bool {
        matches!(self, NameKind::RealName | NameKind::DashedRealName)
    }
}

impl<'a> LibraryName<'a> {
    /// Whether a library of this name can replace the other: the same kind, and not older.
    pub fn can_replace(&self, old: &LibraryName<'_>) -> bool {
        self.kind == old.kind && compare_versions(self.version, old.version).is_ge()
    }

    /// Whether the version is greater, whatever the kinds.
    pub fn is_newer_than(&self, old: &LibraryName<'_>) -> bool {
        compare_versions(self.version, old.version).is_gt()
    }

    /// Whether a file of this name belongs to the soname `.so.VERSION`: `.so.2.0.1` belongs to `.so.2` and not to
    /// `.so.1`; a version before `.so` says nothing about the soname.
    pub fn belongs_to_soname(&self, soname_version: &str) -> bool {
        let rest = self.version.strip_prefix(soname_version);
        match self.kind {
            NameKind::RealName => rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            kind => kind == NameKind::DashedRealName,
        }
    }

    /// Parses a file name; `None` for a name that is not a library's, such as those of the files that accompany one
    /// (`libstdc++.so.6.0.33-gdb.py`, `libcrypto.so.3.hmac`, `libc.so.6.debug`).
    pub fn parse(name: &'a str) -> Option<LibraryName<'a>> {
        if name.starts_with('.') {
            return None;
        }
        let (stem, kind, version) = match name.strip_suffix(".so") {
            Some(base) => parse_dashed(base).unwrap_or((base, NameKind::LinkerName, "")),
            None => {
                let (stem, version) = name.split_once(".so.")?;
                if !is_version_after_so(version) {
                    return None;
                }
                let kind = if version.contains('.') { NameKind::RealName } else { NameKind::Soname };
                (stem, kind, version)
            }
        };
        // glibc's loader is `ld-linux-x86-64.so.2` to programs and was `ld-2.21.so` on disk.
        let stem = if stem.starts_with("ld-linux") { "ld" } else { stem };
        (!stem.is_empty()).then_some(LibraryName { stem, kind, version })
    }

    /// Parses the last component of a path.
    pub fn from_path(path: &'a (impl AsRef<str> + ?Sized)) -> Option<LibraryName<'a>> {
        LibraryName::parse(path.as_ref().rsplit('/').next()?)
    }

    /// Parses `STEM.so` as a linker name, a version before `.so` taken for a part of the stem: `libglib-2.0.so` is the
    /// linker name of `libglib-2.0.so.0`. The name alone does not distinguish it from a real name like `libc-2.21.so`.
    pub fn parse_linker_name(name: &'a str) -> Option<LibraryName<'a>> {
        let stem = name.strip_suffix(".so").filter(|stem| !stem.is_empty() && !stem.starts_with('.'))?;
        Some(LibraryName { stem, kind: NameKind::LinkerName, version: "" })
    }
}

/// A name without the version at its end: `libpcre` for the stems `libpcre2-8` and `libpcre`; not `libz` for `libzstd`.
pub fn strip_trailing_version(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || "-._".contains(c))
}

/// `libc-2.21`: the version after a dash is dotted or has three digits, since in `libpcre2-8` the 8 belongs to the
/// stem.
fn parse_dashed(base: &str) -> Option<(&str, NameKind, &str)> {
    let is_version = |text: &str| {
        let rest = text.trim_start_matches(is_digit);
        let digits = text.len() - rest.len();
        digits >= 3 || (digits > 0 && rest.strip_prefix('.').is_some_and(|minor| minor.starts_with(is_digit)))
    };
    let at = base.match_indices('-').map(|(at, _)| at).find(|&at| at > 0 && is_version(&base[at + 1..]))?;
    Some((&base[..at], NameKind::DashedRealName, &base[at + 1..]))
}

/// Whether the text after `.so.` is a version: numbers between dots, each with at most a short suffix (`1.0.2k`,
/// `5.0rc1`), and a distribution's revision (`1.2-3`).
fn is_version_after_so(text: &str) -> bool {
    let is_number = |part: &str| {
        let suffix = part.trim_start_matches(is_digit);
        let letters = suffix.trim_end_matches(is_digit);
        let is_known = letters.len() <= 1 || matches!(letters, "rc" | "beta");
        suffix.len() < part.len() && is_known && letters.chars().all(|c| c.is_ascii_lowercase())
    };
    text.split(['.', '-', '~', '+']).all(is_number)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// Compares versions as Debian does (deb-version(7)): numbers as numbers, `~` before the end of the text, letters
/// before other characters. Words for a version before the final one (`rc`, `beta`, …) count as `~`.
fn compare_versions(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let (text, text_other) =
            (take_while(&mut one, |c| !is_digit(c)), take_while(&mut other, |c| !is_digit(c)));
        let order = compare_nondigit_parts(text, text_other);
        if order.is_ne() || (one.is_empty() && other.is_empty()) {
            return order;
        }
        let (number, number_other) = (take_while(&mut one, is_digit), take_while(&mut other, is_digit));
        let (number, number_other) = (number.trim_start_matches('0'), number_other.trim_start_matches('0'));
        let order = number.len().cmp(&number_other.len()).then_with(|| number.cmp(number_other));
        if order.is_ne() {
            return order;
        }
    }
}

fn take_while<'a>(text: &mut &'a str, keep: impl Fn(char) -> bool) -> &'a str {
    let (taken, rest) = text.split_at(text.find(|c| !keep(c)).unwrap_or(text.len()));
    *text = rest;
    taken
}

/// Compares the parts of two versions between numbers.
fn compare_nondigit_parts(one: &str, other: &str) -> Ordering {
    const BEFORE_FINAL: [&str; 5] = ["alpha", "beta", "pre", "rc", "dev"];
    let weights = |text: &str| -> Vec<u32> {
        let word = text.trim_start_matches(['-', '.', '_', '~']);
        let early = BEFORE_FINAL.iter().any(|early| word.starts_with(early));
        let text = if early { format!("~{word}") } else { text.to_owned() };
        let weight = |c: char| match c {
            '~' => 0,
            c if c.is_ascii_alphabetic() => u32::from(c) + 1,
            c => u32::from(c) + 256,
        };
        // The end of the text comes after `~` and before everything else.
        text.chars().map(weight).chain([1]).collect()
    };
    weights(one).cmp(&weights(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_version_cannot_replace() {
        let can_replace = |new: &str, old: &str| match (LibraryName::parse(new), LibraryName::parse(old)) {
            (Some(new), Some(old)) => new.can_replace(&old),
            _ => false,
        };
        assert!(can_replace("libgcrypt.so.20", "libgcrypt.so.11"));
        assert!(can_replace("libz.so.1.2.11", "libz.so.1.2.8"));
        assert!(can_replace("libc-2.23.so", "libc-2.21.so"));
        assert!(can_replace("libsystemd-shared-258.so", "libsystemd-shared-258~rc1.so"));
        assert!(!can_replace("libsystemd-shared-258~rc1.so", "libsystemd-shared-258.so"));
        assert!(!can_replace("libnsl.so.1", "libnsl.so.2"));
        assert!(!can_replace("libz.so.1", "libz.so.1.2.8"));
    }

    #[test]
    fn versions_are_ordered_as_by_dpkg() {
        let ascending = [
            "1.0.2",
            "1.0.2k",
            "1.0.2-1",
            "1.0.10",
            "2",
            "2.1",
            "252.39-1~deb12u1",
            "252.39-1~deb12u2",
            "252.39-1",
            "257~rc1",
            "257",
            "257.9",
            "258~rc1",
            "258-rc2",
            "258",
            "258.1-1~bpo13+1",
            "258.1-1",
            "258.1-1+deb13u1",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (other_at, other) in ascending.iter().enumerate() {
                assert_eq!(compare_versions(one, other), at.cmp(&other_at), "{one} {other}");
            }
        }
        assert_eq!(compare_versions("1.02.1", "1.2.1"), Ordering::Equal);
    }

    #[test]
    fn real_name_belongs_to_its_own_soname() {
        for (name, soname, expected) in [
            ("libnsl.so.2.0.1", "2", true),
            ("libnsl.so.2.0.1", "1", false),
            ("libnsl.so.2.0.1", "2.0", true),
            ("libgcrypt.so.20.1", "2", false),
            ("libc-2.21.so", "6", true),
            ("libc.so.6", "6", false),
        ] {
            let belongs = LibraryName::parse(name).is_some_and(|name| name.belongs_to_soname(soname));
            assert_eq!(belongs, expected, "{name} {soname}");
        }
    }

    #[test]
    fn family_is_the_stem_without_its_number() {
        for (one, other, expected) in [
            ("libpcre2-8", "libpcre", true),
            ("libfuse3", "libfuse", true),
            ("libz", "libzstd", false),
            ("libargon2", "libz", false),
            ("libitm", "libcrypt", false),
            ("libcrypto", "libcrypt", false),
        ] {
            assert_eq!(
                strip_trailing_version(one) == strip_trailing_version(other),
                expected,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn rkt_manifest_names_are_parsed() {
        for (name, stem, kind, version) in [
            ("libc-2.21.so", "libc", NameKind::DashedRealName, "2.21"),
            ("libsystemd-shared-231.so", "libsystemd-shared", NameKind::DashedRealName, "231"),
            ("libsystemd-shared-257.9.so", "libsystemd-shared", NameKind::DashedRealName, "257.9"),
            (
                "libsystemd-shared-252.39-1~deb12u2.so",
                "libsystemd-shared",
                NameKind::DashedRealName,
                "252.39-1~deb12u2",
            ),
            ("libz.so.1.2.8", "libz", NameKind::RealName, "1.2.8"),
            ("libz.so.1", "libz", NameKind::Soname, "1"),
            ("libz.so", "libz", NameKind::LinkerName, ""),
            ("libpcre2-8.so", "libpcre2-8", NameKind::LinkerName, ""),
            ("libpcre2-8.so.0.11.2", "libpcre2-8", NameKind::RealName, "0.11.2"),
            ("libglib-2.0.so.0", "libglib-2.0", NameKind::Soname, "0"),
            ("libcrypto.so.1.0.0", "libcrypto", NameKind::RealName, "1.0.0"),
            ("libcrypto.so.1.0.2k", "libcrypto", NameKind::RealName, "1.0.2k"),
            ("libx.so.5.0rc1", "libx", NameKind::RealName, "5.0rc1"),
            ("ld-linux-x86-64.so.2", "ld", NameKind::Soname, "2"),
            ("ld-2.21.so", "ld", NameKind::DashedRealName, "2.21"),
            ("libgssapi_krb5.so.2.2", "libgssapi_krb5", NameKind::RealName, "2.2"),
            ("libnss_files-2.21.so", "libnss_files", NameKind::DashedRealName, "2.21"),
        ] {
            assert_eq!(LibraryName::parse(name), Some(LibraryName { stem, kind, version }), "{name}");
        }
        let glib = LibraryName { stem: "libglib-2.0", kind: NameKind::LinkerName, version: "" };
        assert_eq!(LibraryName::parse_linker_name("libglib-2.0.so"), Some(glib));
    }

    #[test]
    fn accompanying_file_is_not_a_library() {
        for name in [
            "bash",
            "systemd-journald.socket",
            "ld.so.conf.d",
            "x.sock",
            "libstdc++.so.6.0.33-gdb.py",
            "libguile-3.0.so.1.6.0-gdb.scm",
            "libcrypto.so.3.2.1.hmac",
            ".libcrypto.so.3.hmac",
            ".libz.so",
            "libc.so.6.debug",
            "libx.so.1.2.gz",
            "libx.so.1.orig",
            "libx.so.1~",
            "libx.so.1.2_debug",
            "libx.so.",
            "libx.so.1..2",
        ] {
            assert_eq!(LibraryName::parse(name), None, "{name}");
        }
    }
}
