//! A path inside the image, relative to `/usr`.

use std::fmt;
use std::sync::Arc;

/// A normalised path relative to the root of `usr.squashfs`, which is the content of `/usr`.
///
/// Never empty, no leading or trailing slash, no `.`, `..` or empty component. The root itself is not a `UsrPath`:
/// [`UsrPath::parent`] returns `None` for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsrPath(Arc<str>);

/// The reason why a text is not a path inside the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// The path is empty after normalisation.
    Empty,
    /// It points outside of `/usr` (`/etc/x`, `../x`).
    LeavesUsr,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::Empty => "no path is left after normalisation",
            PathError::LeavesUsr => "the path is outside /usr",
        })
    }
}

impl UsrPath {
    /// Normalises a path: `lib64/x`, `./lib64/x`, `/usr/lib64/x` and `lib64//./x` are the same; `..` goes up.
    ///
    /// # Errors
    /// [`PathError::LeavesUsr`] for other absolute paths and for `..` above the root.
    pub fn new(text: &str) -> Result<UsrPath, PathError> {
        match text.strip_prefix('/') {
            Some(absolute) => UsrPath::strip_usr(absolute),
            None => UsrPath::normalise(text),
        }
    }

    /// The path of a `text` in normal form; `None` for any other.
    pub fn from_normalized(text: &str) -> Option<UsrPath> {
        let is_normal = text.split('/').all(|component| !matches!(component, "" | "." | ".."));
        is_normal.then(|| UsrPath(text.into()))
    }

    /// The path of a text that the caller has checked to be in normal form.
    pub(super) fn from_normalized_unchecked(text: &str) -> UsrPath {
        UsrPath(text.into())
    }

    /// The path of a file as a program of the built root filesystem names it: `/usr/x` is `x`, and `/bin`, `/lib`
    /// and `/lib64` are links into `/usr` there (rkt `stage1/usr_from_coreos`), as `/sbin` is on usr-merged hosts.
    pub fn from_rootfs_path(text: &str) -> Result<UsrPath, PathError> {
        let merged = |first: &str| matches!(first, "bin" | "lib" | "lib64" | "sbin");
        match text.strip_prefix('/') {
            Some(rest) if merged(rest.trim_start_matches('/').split('/').next().unwrap_or("")) => {
                UsrPath::normalise(rest)
            }
            _ => UsrPath::new(text),
        }
    }

    fn strip_usr(absolute: &str) -> Result<UsrPath, PathError> {
        let mut rest = absolute.trim_start_matches('/');
        while let Some(next) = rest.strip_prefix("./") {
            rest = next.trim_start_matches('/');
        }
        match rest.strip_prefix("usr") {
            Some("") => Err(PathError::Empty),
            Some(inner) if inner.starts_with('/') => UsrPath::normalise(inner),
            _ => Err(PathError::LeavesUsr),
        }
    }

    fn normalise(text: &str) -> Result<UsrPath, PathError> {
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or(PathError::LeavesUsr)?;
                }
                name => parts.push(name),
            }
        }
        if parts.is_empty() { Err(PathError::Empty) } else { Ok(UsrPath(parts.join("/").into())) }
    }

    /// The path as text, `lib64/libz.so.1`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn name(&self) -> &str {
        // By bytes: most names are shorter than what the search of str::rfind reads at once.
        self.0.bytes().rposition(|byte| byte == b'/').map_or(&self.0, |at| &self.0[at + 1..])
    }

    /// The directory of the path; `None` for a first component.
    pub fn parent(&self) -> Option<UsrPath> {
        self.0.rfind('/').map(|at| UsrPath(self.0[..at].into()))
    }

    /// The path of `name` in this directory. `name` is one component.
    pub fn join(&self, name: &str) -> UsrPath {
        UsrPath(format!("{}/{name}", self.0).into())
    }

    /// The components from the root down.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether this path is `directory` or below it.
    pub fn is_at_or_below(&self, directory: &UsrPath) -> bool {
        self.0.strip_prefix(directory.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for UsrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for UsrPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Lets maps keyed by `UsrPath` be searched by text; the order and equality are those of the text.
impl std::borrow::Borrow<str> for UsrPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_the_image_are_normalised() {
        for (text, path) in [
            ("lib64/libz.so.1", "lib64/libz.so.1"),
            ("./lib64//x", "lib64/x"),
            ("/usr/lib/../bin/x", "bin/x"),
            ("/usr//lib", "lib"),
            ("//usr/lib", "lib"),
            ("/./usr/lib", "lib"),
            ("lib/", "lib"),
        ] {
            assert_eq!(UsrPath::new(text).map(|p| p.to_string()), Ok(path.to_owned()), "{text}");
            assert_eq!(UsrPath::from_normalized(path).map(|p| p.to_string()), Some(path.to_owned()));
            assert_eq!(UsrPath::from_normalized(text).is_some(), text == path, "{text}");
        }
    }

    #[test]
    fn paths_outside_of_usr_are_errors() {
        for text in ["/etc/passwd", "../x", "lib/../../x", "/usrlocal/x", "/bin/ip"] {
            assert_eq!(UsrPath::new(text), Err(PathError::LeavesUsr), "{text}");
        }
        for text in ["", ".", "/usr", "/usr/", "lib/.."] {
            assert_eq!(UsrPath::new(text), Err(PathError::Empty), "{text}");
        }
    }
}
