//! The name of a shared library: stem, and how its version is written.

use std::sync::LazyLock;

use regex::Regex;

/// A library's file name, taken apart. `libz.so.1.2.8` has stem `libz`, `libc-2.21.so` has stem `libc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryName<'a> {
    /// What stays the same from one version to the next.
    pub stem: &'a str,
    /// How the version is written.
    pub shape: Shape<'a>,
}

/// How a version is written in a file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape<'a> {
    /// `.so.N`: what the loader asks for. Mostly a link, at times the file itself.
    Soname(&'a str),
    /// `.so`: what the linker asks for at build time.
    Dev,
    /// `.so.X.Y[.Z]`: the file behind a soname.
    Dotted(&'a str),
    /// `-2.21.so`, `-231.so`: glibc's and systemd's way.
    Dashed(&'a str),
}

impl<'a> Shape<'a> {
    /// Whether two names of the same stem can be the same thing in two releases.
    pub fn is_like(self, other: Shape<'_>) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Whether a library of this version can have come after the other: written alike, and not older.
    pub fn follows(self, before: Shape<'_>) -> bool {
        self.is_like(before) && numbers(self.version()) >= numbers(before.version())
    }

    fn version(self) -> &'a str {
        match self {
            Shape::Dev => "",
            Shape::Soname(version) | Shape::Dotted(version) | Shape::Dashed(version) => version,
        }
    }

    /// Whether a name of this shape usually is the file behind a link.
    pub fn is_real(self) -> bool {
        matches!(self, Shape::Dotted(_) | Shape::Dashed(_))
    }
}

// A dash needs a dotted version or three digits behind it: in `libpcre2-8.so` the 8 belongs to the stem.
static DASHED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(.+?)-([0-9]{3,}[^/]*|[0-9]+\.[0-9]+[^/]*)\.so$").ok());
static VERSIONED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(.+?)\.so(?:\.([0-9][^/]*))?$").ok());

impl<'a> LibraryName<'a> {
    /// Takes a file name apart; `None` for what is no library by its name.
    pub fn parse(name: &'a str) -> Option<LibraryName<'a>> {
        // Of twenty thousand names in an image one in ten goes on from here.
        if !name.contains(".so") {
            return None;
        }
        if let Some(parts) = DASHED.as_ref()?.captures(name) {
            let (stem, version) = (parts.get(1)?.as_str(), parts.get(2)?.as_str());
            return Some(LibraryName { stem, shape: Shape::Dashed(version) });
        }
        let parts = VERSIONED.as_ref()?.captures(name)?;
        let shape = match parts.get(2).map(|version| version.as_str()) {
            None => Shape::Dev,
            Some(version) if version.contains('.') => Shape::Dotted(version),
            Some(version) => Shape::Soname(version),
        };
        Some(LibraryName { stem: loader_stem(parts.get(1)?.as_str()), shape })
    }
}

/// The numbers of a version, in order; `1.02.1` is 1, 2, 1.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// glibc's loader is `ld-linux-x86-64.so.2` to programs and was `ld-2.21.so` on disk.
fn loader_stem(stem: &str) -> &str {
    if stem.starts_with("ld-linux") { "ld" } else { stem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_does_not_follow() {
        let follows = |new: &str, old: &str| match (LibraryName::parse(new), LibraryName::parse(old)) {
            (Some(new), Some(old)) => new.shape.follows(old.shape),
            _ => false,
        };
        assert!(follows("libgcrypt.so.20", "libgcrypt.so.11"));
        assert!(follows("libz.so.1.2.11", "libz.so.1.2.8"));
        assert!(follows("libc-2.23.so", "libc-2.21.so"));
        assert!(!follows("libnsl.so.1", "libnsl.so.2"));
        assert!(!follows("libz.so.1", "libz.so.1.2.8"));
    }

    #[test]
    fn names_of_rkt_s_manifests() {
        for (name, stem, shape) in [
            ("libc-2.21.so", "libc", Shape::Dashed("2.21")),
            ("libsystemd-shared-231.so", "libsystemd-shared", Shape::Dashed("231")),
            ("libsystemd-shared-257.9.so", "libsystemd-shared", Shape::Dashed("257.9")),
            ("libz.so.1.2.8", "libz", Shape::Dotted("1.2.8")),
            ("libz.so.1", "libz", Shape::Soname("1")),
            ("libz.so", "libz", Shape::Dev),
            ("libpcre2-8.so", "libpcre2-8", Shape::Dev),
            ("libpcre2-8.so.0.11.2", "libpcre2-8", Shape::Dotted("0.11.2")),
            ("libcrypto.so.1.0.0", "libcrypto", Shape::Dotted("1.0.0")),
            ("ld-linux-x86-64.so.2", "ld", Shape::Soname("2")),
            ("ld-2.21.so", "ld", Shape::Dashed("2.21")),
            ("libgssapi_krb5.so.2.2", "libgssapi_krb5", Shape::Dotted("2.2")),
            ("libnss_files-2.21.so", "libnss_files", Shape::Dashed("2.21")),
        ] {
            assert_eq!(LibraryName::parse(name), Some(LibraryName { stem, shape }), "{name}");
        }
        for name in ["bash", "systemd-journald.socket", "ld.so.conf.d", "x.sock"] {
            assert_eq!(LibraryName::parse(name), None, "{name}");
        }
    }
}
