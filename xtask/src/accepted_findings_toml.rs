//! Reads `stage1/accepted-findings.toml`: the findings that a tree accepts.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use toml_edit::{Document, Item, TableLike, Value};

use crate::bounded_file;
use coreos_types::{Board, Error, Result, ResultExt, calendar};
use manifest::accepted_findings::{ACCEPTED_FINDINGS_TOML, AcceptedFinding, AcceptedFindings};
use manifest::finding::FindingKind;

/// Largest file in bytes: 128 KiB of nested tables take 65 MiB when they are parsed.
const MAX_LEN: u64 = 128 << 10;

/// Most entries.
const MAX_ENTRIES: usize = 200;

const EXAMPLE: &str = "write it as: [[accept]] kind = \"needs-unlisted\", path = \"lib64/libx.so.1\", reason = \"…\", each on its own line";

/// Reads the accepted findings of a tree; none without the file.
///
/// # Errors
/// The file cannot be read, is outside of the tree, or an entry is not valid; the message has its line.
pub(crate) fn read(root: &Path) -> Result<AcceptedFindings> {
    let about = || format!("cannot read {ACCEPTED_FINDINGS_TOML}");
    let path = root.join(ACCEPTED_FINDINGS_TOML);
    if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(AcceptedFindings::default());
    }
    let path = fs::canonicalize(path).with_context(about)?;
    if !path.starts_with(root) {
        return Err(Error::failed(format!(
            "{ACCEPTED_FINDINGS_TOML} is a link to {}, outside of the tree",
            path.display()
        ))
        .with_hint("replace the link by a copy of the file"));
    }
    let bytes = bounded_file::read(&path, MAX_LEN).with_context(about)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::failed(about()).with_cause("it is not UTF-8"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    Ok(AcceptedFindings::new(parse(&text)?, &calendar::date(now)))
}

fn parse(text: &str) -> Result<Vec<AcceptedFinding>> {
    let document: Document<&str> = Document::parse(text)
        .map_err(|error| error_at(text, error.span(), error.message().replace('\n', "; "), EXAMPLE))?;
    let mut entries = Vec::new();
    for (name, item) in document.iter() {
        let Some(tables) = item.as_array_of_tables().filter(|_| name == "accept") else {
            let span = document.get_key_value(name).and_then(|(key, _)| key.span()).or(item.span());
            let found = match name {
                "accept" => format!("the type {}", item.type_name()),
                _ => format!("the key {name:?}"),
            };
            return Err(error_at(text, span, format!("expected entries [[accept]], found {found}"), EXAMPLE));
        };
        let starts: Vec<usize> = tables.iter().map(|table| table.span().unwrap_or_default().start).collect();
        let ends = starts.iter().skip(1).copied().chain([text.len()]);
        for ((table, &start), end) in tables.iter().zip(&starts).zip(ends) {
            entries.push(EntryParser { text, table, span: start..end }.parse()?);
        }
    }
    if entries.len() > MAX_ENTRIES {
        let message = format!("expected at most {MAX_ENTRIES} entries, found {}", entries.len());
        return Err(error_at(text, None, message, "use a pattern in path instead"));
    }
    Ok(entries)
}

/// The error of a part of the file, with its line.
fn error_at(text: &str, span: Option<Range<usize>>, message: impl fmt::Display, hint: &str) -> Error {
    let line = line_of(text, span.unwrap_or_default().start);
    Error::failed(format!("{ACCEPTED_FINDINGS_TOML}:{line}: {message}")).with_hint(hint)
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

/// The keys of an entry.
const KEYS: [&str; 7] = ["kind", "path", "manifest", "flavor", "board", "reason", "expires"];

struct EntryParser<'a> {
    text: &'a str,
    table: &'a dyn TableLike,
    /// The entry, up to the next one.
    span: Range<usize>,
}

impl EntryParser<'_> {
    fn parse(&self) -> Result<AcceptedFinding> {
        if let Some((key, item)) = self.table.iter().find(|(key, _)| !KEYS.contains(key)) {
            let span = self.table.key(key).and_then(|key| key.span()).or(item.span());
            let message = format!("expected one of the keys {}, found {key:?}", KEYS.join(", "));
            return Err(error_at(self.text, span, message, "correct the key, or remove the line"));
        }
        let body = self.text[self.span.clone()].trim_end();
        Ok(AcceptedFinding {
            kind: self.acceptable_kind()?,
            path: self.required_string("path")?,
            manifest: self.optional_string("manifest")?,
            flavor: self.optional_string("flavor")?,
            board: self.board()?,
            reason: self.required_string("reason")?,
            expires: self.expiry_date()?,
            lines: (line_of(self.text, self.span.start), line_of(self.text, self.span.start + body.len())),
        })
    }

    fn error(&self, key: &str, message: impl fmt::Display, hint: &str) -> Error {
        error_at(self.text, self.table.get(key).and_then(Item::span), message, hint)
    }

    fn required_string(&self, key: &str) -> Result<String> {
        self.optional_string(key)?.ok_or_else(|| {
            let message = format!("expected the key {key}, found none");
            error_at(self.text, Some(self.span.clone()), message, EXAMPLE)
        })
    }

    /// The string of a key; `None` without the key.
    fn optional_string(&self, key: &str) -> Result<Option<String>> {
        let Some(item) = self.table.get(key) else { return Ok(None) };
        let found = match item.as_str() {
            Some(text) if !text.trim().is_empty() => return Ok(Some(text.to_owned())),
            Some(_) => "an empty one".to_owned(),
            None => format!("the type {}", item.type_name()),
        };
        Err(self.error(key, format!("expected a string for {key}, found {found}"), EXAMPLE))
    }

    fn board(&self) -> Result<Option<Board>> {
        let Some(board) = self.optional_string("board")? else { return Ok(None) };
        board.parse().map(Some).map_err(|_| {
            let boards = Board::ALL.map(Board::id).join(" or ");
            let message = format!("expected {boards}, found {board:?}");
            self.error("board", message, "correct the board, or remove the line")
        })
    }

    fn expiry_date(&self) -> Result<Option<String>> {
        let Some(item) = self.table.get("expires") else { return Ok(None) };
        let date = item.as_value().and_then(Value::as_datetime).filter(|value| value.time.is_none());
        let date = date.and_then(|value| value.date).map(|date| date.to_string());
        date.map(Some).ok_or_else(|| {
            let found = self.text.get(item.span().unwrap_or_default()).unwrap_or_default();
            let hint = "write it without quotes and time: expires = 2027-06-30";
            self.error("expires", format!("expected a date for expires, found {found}"), hint)
        })
    }

    /// The kind of finding; what cannot be accepted is refused with the reason.
    fn acceptable_kind(&self) -> Result<FindingKind> {
        let word = self.required_string("kind")?;
        if word == FindingKind::Missing.id() {
            let hint = "the build fails without the path: remove its line with edit-manifest --remove, or use another release";
            return Err(self.error("kind", "findings of kind missing cannot be accepted", hint));
        }
        let acceptable = FindingKind::ALL.iter().filter(|kind| **kind != FindingKind::Missing);
        acceptable.clone().find(|kind| kind.id() == word).copied().ok_or_else(|| {
            let names = acceptable.map(|kind| kind.id()).collect::<Vec<_>>().join(", ");
            let hint = "only findings of the manifests can be accepted: a signature that does not hold ends the run, with exit code 3";
            self.error("kind", format!("expected one of the kinds {names}, found {word:?}"), hint)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# why\n[[accept]]\nkind = \"needs-unlisted\"\npath = \"lib64/*.so\"\nreason = \"r\"\nexpires = 2027-06-30\n\n[[accept]]\nkind = \"tidy\"\npath = \"x\"\nmanifest = \"systemd\"\nflavor = \"kvm\"\nboard = \"arm64-usr\"\nreason = \"\"\"\nlong\n\"\"\"\n";

    #[test]
    fn entries_are_parsed_with_their_lines() {
        let entries = parse(GOOD).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[0].lines, entries[1].lines), ((2, 6), (8, 16)));
        assert_eq!(
            (entries[0].kind, entries[0].expires.as_deref()),
            (FindingKind::NeedsUnlisted, Some("2027-06-30"))
        );
        assert_eq!((entries[1].board, entries[1].flavor.as_deref()), (Some(Board::Arm64), Some("kvm")));
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn malformed_entries_are_named_with_their_line() {
        let with =
            |line: &str| format!("[[accept]]\nkind = \"tidy\"\npath = \"x\"\nreason = \"r\"\n{line}\n");
        for (text, line, part) in [
            (with("expire = 2027-01-01"), 5, "found \"expire\""),
            (with("expires = \"2027-01-01\""), 5, "expected a date for expires, found \"2027-01-01\""),
            (with("expires = 2027-01-01T00:00:00Z"), 5, "expected a date"),
            (with("expires = 2027-02-30"), 5, ""),
            (with("board = \"x\""), 5, "expected amd64-usr or arm64-usr, found \"x\""),
            (with("flavor = 1"), 5, "expected a string for flavor, found the type integer"),
            (with("reason = \"again\""), 5, ""),
            ("[[accept]]\nkind = \"tidy\"\npath = \"x\"\n".to_owned(), 1, "expected the key reason"),
            ("\n[[accept]]\nkind = \"tidy\"\npath = \"x\"\nreason = \" \"\n".to_owned(), 5, "an empty one"),
            (
                "[[accept]]\nkind = \"missing\"\npath = \"x\"\nreason = \"r\"\n".to_owned(),
                2,
                "cannot be accepted",
            ),
            (
                "[[accept]]\nkind = \"untrusted\"\npath = \"x\"\nreason = \"r\"\n".to_owned(),
                2,
                "found \"untrusted\"",
            ),
            ("[accept]\n".to_owned(), 1, "expected entries [[accept]], found the type table"),
            ("x = 1\n".to_owned(), 1, "found the key \"x\""),
            ("\n\n[[accept\n".to_owned(), 3, ""),
        ] {
            let error = parse(&text).unwrap_err();
            let place = format!("{ACCEPTED_FINDINGS_TOML}:{line}: ");
            assert!(error.message.starts_with(&place) && error.message.contains(part), "{}", error.message);
            assert!(error.hint.is_some(), "{text}");
        }
    }
}
