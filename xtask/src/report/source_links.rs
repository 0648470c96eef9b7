//! Links to lines of the tree's files on the web page of its repository.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// The web address of one commit of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLinks {
    /// Ends in `/`; a path relative to the tree follows.
    base: String,
}

impl SourceLinks {
    /// Reads the address of a git remote, `https://github.com/o/r.git` or `git@gitlab.com:o/r`. `commit` is a full
    /// commit name, `prefix` the tree's directory in the repository (empty, or ending in `/`). `None` where the page
    /// of the host is not known. A user name or password in the address is left out.
    pub fn from_remote(remote: &str, commit: &str, prefix: &str) -> Option<SourceLinks> {
        let remote = remote.trim();
        let rest = match remote.split_once("://") {
            Some(("https" | "ssh" | "git", rest)) => rest.to_owned(),
            Some(_) => return None,
            // The scp form of git-fetch(1).
            None => remote.replacen(':', "/", 1),
        };
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit('@').next()?.split(':').next()?;
        let path = path.trim_matches('/').trim_end_matches(".git");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
        let is_commit = commit.len() >= 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
        if !is_commit || path.is_empty() || !path.chars().chain(host.chars()).all(is_plain) {
            return None;
        }
        let blob = match host {
            "github.com" => "blob",
            host if host.split('.').any(|label| label == "gitlab") => "-/blob",
            _ => return None,
        };
        Some(SourceLinks {
            base: format!("https://{host}/{path}/{blob}/{commit}/{}", percent_encode_path(prefix)),
        })
    }

    /// The link to a line of a file, or to the file.
    pub fn link(&self, file: &str, line: Option<usize>) -> String {
        let line = line.map(|line| format!("#L{line}")).unwrap_or_default();
        format!("{}{}{line}", self.base, percent_encode_path(file))
    }
}

/// The characters of a path that are not encoded in an address (RFC 3986, section 3.3).
const NOT_IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A path in an address.
pub(super) fn percent_encode_path(path: &str) -> String {
    percent_encode(&usr::lossless_text::to_bytes(path), NOT_IN_PATHS).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn remotes_of_known_hosts_have_links() {
        let github = format!("https://github.com/o/r/blob/{COMMIT}/stage1/a%20b.manifest#L3");
        let gitlab = format!("https://gitlab.com/o/r/-/blob/{COMMIT}/stage1/a%20b.manifest#L3");
        for (remote, link) in [
            ("https://github.com/o/r.git\n", Some(&github)),
            ("https://user:secret@github.com/o/r", Some(&github)),
            ("git@github.com:o/r.git", Some(&github)),
            ("ssh://git@gitlab.com:22/o/r.git", Some(&gitlab)),
            ("https://git.example.org/o/r", None),
            ("/srv/git/r.git", None),
            ("http://github.com/o/r", None),
            ("https://github.com/o/r\"><script>", None),
            ("https://github.com", None),
        ] {
            let links = SourceLinks::from_remote(remote, COMMIT, "");
            let made = links.map(|links| links.link("stage1/a b.manifest", Some(3)));
            assert_eq!(made.as_ref(), link, "{remote}");
        }
        assert_eq!(SourceLinks::from_remote("git@github.com:o/r", "HEAD", ""), None);
    }

    #[test]
    fn link_without_line_is_the_file() {
        let links = SourceLinks::from_remote("git@github.com:o/r", COMMIT, "sub dir/");
        let link = links.map(|links| links.link("x", None));
        assert_eq!(link, Some(format!("https://github.com/o/r/blob/{COMMIT}/sub%20dir/x")));
    }
}
