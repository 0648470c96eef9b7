//! The journal: the files to replace, with the digests of their old and new content.
//!
//! ```text
//! coreos-xtask journal 1
//! SHA-256-BEFORE SHA-256-AFTER STAGED PATH
//! end SHA-256 of all lines above
//! ```
//! `STAGED` is a file of the staging directory, `PATH` the real path relative to the tree. A journal that does not
//! end with its own digest is refused.

use pxe_image::Digest;

/// The first line.
const TITLE: &str = "coreos-xtask journal 1";

/// Every replacement of a plan, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) entries: Vec<Entry>,
}

/// One file to replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) old_sha256: String,
    pub(super) new_sha256: String,
    pub(super) staged: String,
    pub(super) path: String,
}

impl Journal {
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{TITLE}\n");
        for Entry { old_sha256, new_sha256, staged, path } in &self.entries {
            text.push_str(&format!("{old_sha256} {new_sha256} {staged} {path}\n"));
        }
        let own = Digest::sha256(text.as_bytes()).hex();
        text + &format!("end {own}\n")
    }

    /// Parses a serialized journal; `None` if this program did not write it.
    pub(super) fn parse(text: &str) -> Option<Journal> {
        let (body, end) = text.split_at(text.trim_end_matches('\n').rfind('\n')? + 1);
        let mut lines = body.lines();
        let is_own = end.strip_prefix("end ")?.trim_end() == Digest::sha256(body.as_bytes()).hex();
        if !is_own || lines.next() != Some(TITLE) {
            return None;
        }
        Some(Journal { entries: lines.map(Entry::parse).collect::<Option<_>>()? })
    }

    /// The journal of the rollback, which restores the staged old files.
    pub(super) fn reversed(&self) -> Journal {
        let reverse = |(index, entry): (usize, &Entry)| Entry {
            old_sha256: entry.new_sha256.clone(),
            new_sha256: entry.old_sha256.clone(),
            staged: staged_name("old", index),
            path: entry.path.clone(),
        };
        Journal { entries: self.entries.iter().enumerate().map(reverse).collect() }
    }
}

impl Entry {
    fn parse(line: &str) -> Option<Entry> {
        let parts: Vec<String> = line.splitn(4, ' ').map(str::to_owned).collect();
        let [old_sha256, new_sha256, staged, path] = parts.try_into().ok()?;
        let in_staging = !staged.contains('/') && !staged.starts_with('.');
        (in_staging && is_allowed_path(&path)).then_some(Entry { old_sha256, new_sha256, staged, path })
    }
}

/// Name of the staged file with the `new` or `old` content of entry `index`.
pub(super) fn staged_name(side: &str, index: usize) -> String {
    format!("{side}.{index}")
}

/// Whether this program creates files of this name in the staging directory.
pub(super) fn is_staging_name(name: &str) -> bool {
    let numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    matches!(name, ".gitignore" | "forward" | "back" | "journal")
        || name.strip_prefix("new.").or_else(|| name.strip_prefix("old.")).is_some_and(numbered)
}

/// Whether a path may be that of coreos-common.mk or a manifest, and fits on a line: below stage1, or elsewhere in the
/// tree with the extension `.mk` or `.manifest`. A journal in a copied tree could name a file that gets executed.
pub(super) fn is_allowed_path(path: &str) -> bool {
    let is_plain =
        !path.contains('\n') && path.split('/').all(|part| !matches!(part, "" | "." | ".." | ".git"));
    is_plain && (path.starts_with("stage1/") || path.ends_with(".mk") || path.ends_with(".manifest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(path: &str, staged: &str) -> Journal {
        let entry = Entry {
            old_sha256: Digest::sha256(b"a").hex(),
            new_sha256: Digest::sha256(b"b").hex(),
            staged: staged.into(),
            path: path.into(),
        };
        Journal { entries: vec![entry] }
    }

    #[test]
    fn journal_text_round_trips() {
        let two = journal("stage1/a b", "new.0");
        for one in [&two, &journal("shared.mk", "new.0"), &journal("stage1/.shared/x", "new.0")] {
            assert_eq!(Journal::parse(&one.to_text()).as_ref(), Some(one));
        }
        assert_eq!(two.reversed().reversed().entries[0].old_sha256, two.entries[0].old_sha256);
    }

    #[test]
    fn staging_names_are_recognized() {
        for index in [0, 7, 1234] {
            assert!(["new", "old"].iter().all(|side| is_staging_name(&staged_name(side, index))));
        }
        for name in ["new.", "new.x", "old.1.txt", "notes", "journal~", ".gitignore.orig"] {
            assert!(!is_staging_name(name), "{name}");
        }
    }

    #[test]
    fn torn_or_escaping_journal_is_refused() {
        let text = journal("stage1/a", "new.0").to_text();
        for end in 0..text.len() - 1 {
            assert_eq!(Journal::parse(&text[..end]), None, "{end}");
        }
        assert_eq!(Journal::parse(&text.replace("stage1/a", "stage1/b")), None);
        for path in [
            "/etc/passwd",
            "Cargo.toml",
            ".cargo/config.toml",
            "configure",
            "../x",
            "stage1/../x",
            "stage1//x",
            "stage1/./x",
            ".git/config",
            "stage1/x/.git",
        ] {
            assert_eq!(Journal::parse(&journal(path, "new.0").to_text()), None, "{path}");
        }
        assert_eq!(Journal::parse(&journal("stage1/a", "../x").to_text()), None);
    }
}
