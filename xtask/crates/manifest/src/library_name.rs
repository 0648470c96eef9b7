//! The name of a shared library: stem, and how its version is written.

/// A library's file name, taken apart. `libz.so.1.2.8` has stem `libz`, `libc-2.21.so` has stem `libc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryName<'a> {
    /// What stays the same from one version to the next.
    pub stem: &'a str,
    /// How the version is written.
    pub shape: NameKind<'a>,
}

/// How a version is written in a file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind<'a> {
    /// `.so.N`: what the loader asks for. Mostly a link, at times the file itself.
    Soname(&'a str),
    /// `.so`: what the linker asks for at build time.
    Dev,
    /// `.so.X.Y[.Z]`: the file behind a soname.
    Dotted(&'a str),
    /// `-2.21.so`, `-231.so`: glibc's and systemd's way.
    Dashed(&'a str),
}

impl<'a> NameKind<'a> {
    /// Whether two names of the same stem can be the same thing in two releases.
    pub fn is_like(self, other: NameKind<'_>) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Whether a library of this version can have come after the other: written alike, and not older.
    pub fn follows(self, before: NameKind<'_>) -> bool {
        self.is_like(before) && numbers(self.version()) >= numbers(before.version())
    }

    fn version(self) -> &'a str {
        match self {
            NameKind::Dev => "",
            NameKind::Soname(version) | NameKind::Dotted(version) | NameKind::Dashed(version) => version,
        }
    }

    /// Whether a name of this shape usually is the file behind a link.
    pub fn is_real(self) -> bool {
        matches!(self, NameKind::Dotted(_) | NameKind::Dashed(_))
    }
}

impl<'a> LibraryName<'a> {
    /// Takes a file name apart; `None` for what is no library by its name.
    pub fn parse(name: &'a str) -> Option<LibraryName<'a>> {
        let (stem, shape) = match name.strip_suffix(".so") {
            Some(base) => dashed(base).unwrap_or((base, NameKind::Dev)),
            None => {
                let (stem, version) = name.split_once(".so.").filter(|(_, v)| v.starts_with(digit))?;
                (
                    stem,
                    if version.contains('.') { NameKind::Dotted(version) } else { NameKind::Soname(version) },
                )
            }
        };
        (!stem.is_empty()).then_some(LibraryName { stem: loader_stem(stem), shape })
    }
}

/// `libc-2.21`: the version behind a dash is dotted or has three digits, since in `libpcre2-8` the 8 belongs to the
/// stem.
fn dashed(base: &str) -> Option<(&str, NameKind<'_>)> {
    let is_version = |text: &str| {
        let rest = text.trim_start_matches(digit);
        let digits = text.len() - rest.len();
        digits >= 3 || (digits > 0 && rest.strip_prefix('.').is_some_and(|minor| minor.starts_with(digit)))
    };
    let at = base.match_indices('-').map(|(at, _)| at).find(|&at| at > 0 && is_version(&base[at + 1..]))?;
    Some((&base[..at], NameKind::Dashed(&base[at + 1..])))
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
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
            ("libc-2.21.so", "libc", NameKind::Dashed("2.21")),
            ("libsystemd-shared-231.so", "libsystemd-shared", NameKind::Dashed("231")),
            ("libsystemd-shared-257.9.so", "libsystemd-shared", NameKind::Dashed("257.9")),
            ("libz.so.1.2.8", "libz", NameKind::Dotted("1.2.8")),
            ("libz.so.1", "libz", NameKind::Soname("1")),
            ("libz.so", "libz", NameKind::Dev),
            ("libpcre2-8.so", "libpcre2-8", NameKind::Dev),
            ("libpcre2-8.so.0.11.2", "libpcre2-8", NameKind::Dotted("0.11.2")),
            ("libcrypto.so.1.0.0", "libcrypto", NameKind::Dotted("1.0.0")),
            ("ld-linux-x86-64.so.2", "ld", NameKind::Soname("2")),
            ("ld-2.21.so", "ld", NameKind::Dashed("2.21")),
            ("libgssapi_krb5.so.2.2", "libgssapi_krb5", NameKind::Dotted("2.2")),
            ("libnss_files-2.21.so", "libnss_files", NameKind::Dashed("2.21")),
        ] {
            assert_eq!(LibraryName::parse(name), Some(LibraryName { stem, shape }), "{name}");
        }
        for name in ["bash", "systemd-journald.socket", "ld.so.conf.d", "x.sock"] {
            assert_eq!(LibraryName::parse(name), None, "{name}");
        }
    }
}
