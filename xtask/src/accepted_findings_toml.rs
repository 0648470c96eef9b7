//! Reads `stage1/accepted-findings.toml`: the findings that a tree accepts.

use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use toml_edit::{Document, Item, TableLike, Value};

use crate::bounded_file;
use coreos_types::calendar;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::release::Board;
use manifest::accepted_findings::{AcceptedFinding, AcceptedFindings, FILE};
use manifest::finding::FindingKind;

/// Largest file in bytes.
const MAX_LEN: u64 = 256 << 10;

/// Most entries.
const MAX_ENTRIES: usize = 200;

const EXAMPLE: &str = "write it as: [[accept]] kind = \"needs-unlisted\", path = \"lib64/libx.so.1\", reason = \"…\", each on its own line";

/// Reads the accepted findings of a tree; none without the file.
///
/// # Errors
/// The file cannot be read, is outside of the tree, or an entry is not valid; the message has its line.
pub(crate) fn read(root: &Path) -> Result<AcceptedFindings> {
    let about = || format!("cannot read {FILE}");
    let path = match fs::canonicalize(root.join(FILE)) {
        Err(error)
            if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(root.join(FILE)).is_err() =>
        {
            return Ok(AcceptedFindings::default());
        }
        path => path.with_context(about)?,
    };
    if !path.starts_with(root) {
        return Err(Error::failed(format!("{FILE} is a link to {}, outside of the tree", path.display()))
            .with_hint("replace the link by a copy of the file"));
    }
    let bytes = bounded_file::read(&path, MAX_LEN).with_context(about)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::failed(about()).with_cause("it is not UTF-8"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    Ok(AcceptedFindings::new(parse(&text)?, &calendar::date(now)))
}

fn parse(text: &str) -> Result<Vec<AcceptedFinding>> {
    let parser = Parser { text };
    let document: Document<&str> = Document::parse(text).map_err(|error| {
        let error_at = |span| parser.error(span, error.message().replace('\n', "; "), EXAMPLE);
        error_at(error.span().unwrap_or_default())
    })?;
    let mut entries = Vec::new();
    for (name, item) in document.iter() {
        let Some(tables) = item.as_array_of_tables().filter(|_| name == "accept") else {
            let span = document.get_key_value(name).and_then(|(key, _)| key.span()).or(item.span());
            let found = if name == "accept" {
                format!("a {}", item.type_name())
            } else {
                format!("the key {name:?}")
            };
            let message = format!("expected entries [[accept]], found {found}");
            return Err(parser.error(span.unwrap_or_default(), message, EXAMPLE));
        };
        let starts: Vec<usize> = tables.iter().map(|table| table.span().unwrap_or_default().start).collect();
        for (at, table) in tables.iter().enumerate() {
            let end = starts.get(at + 1).copied().unwrap_or(text.len());
            entries.push(parser.entry(table, starts[at]..end)?);
        }
    }
    if entries.len() > MAX_ENTRIES {
        let message = format!("expected at most {MAX_ENTRIES} entries, found {}", entries.len());
        return Err(parser.error(0..0, message, "use a pattern in path instead"));
    }
    Ok(entries)
}

struct Parser<'a> {
    text: &'a str,
}

impl Parser<'_> {
    /// The error of a part of the file, with its line.
    fn error(&self, span: Range<usize>, message: impl std::fmt::Display, hint: &str) -> Error {
        Error::failed(format!("{FILE}:{}: {message}", self.line(span.start))).with_hint(hint)
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count()
    }

    /// Reads the entry of one table; `span` is the text up to the next one.
    fn entry(&self, table: &dyn TableLike, span: Range<usize>) -> Result<AcceptedFinding> {
        const KEYS: [&str; 7] = ["kind", "path", "manifest", "flavor", "board", "reason", "expires"];
        if let Some((key, item)) = table.iter().find(|(key, _)| !KEYS.contains(key)) {
            let at = table.key(key).and_then(|key| key.span()).or(item.span()).unwrap_or(span);
            let message = format!("expected one of the keys {}, found {key:?}", KEYS.join(", "));
            return Err(self.error(at, message, "correct the key, or remove the line"));
        }
        let required = |key: &str| {
            let found = self.text_of(table, key)?;
            found.ok_or_else(|| {
                self.error(span.clone(), format!("expected the key {key}, found none"), EXAMPLE)
            })
        };
        let at = |key: &str| table.get(key).and_then(Item::span).unwrap_or_default();
        let kind = self.kind(&required("kind")?, at("kind"))?;
        let board = self.text_of(table, "board")?.map(|board| {
            let boards = Board::ALL.map(Board::id).join(" or ");
            board.parse().map_err(|_| {
                self.error(
                    at("board"),
                    format!("expected {boards}, found {board:?}"),
                    "correct the board, or remove the line",
                )
            })
        });
        let body = self.text[span.clone()].trim_end();
        Ok(AcceptedFinding {
            kind,
            path: required("path")?,
            manifest: self.text_of(table, "manifest")?,
            flavor: self.text_of(table, "flavor")?,
            board: board.transpose()?,
            reason: required("reason")?,
            expires: self.date_of(table)?,
            lines: (self.line(span.start), self.line(span.start + body.len())),
        })
    }

    /// The text of a key; `None` without the key.
    fn text_of(&self, table: &dyn TableLike, key: &str) -> Result<Option<String>> {
        let Some(item) = table.get(key) else { return Ok(None) };
        let text = item.as_str().filter(|text| !text.trim().is_empty());
        let found = || match item.as_str() {
            Some(_) => "an empty one".to_owned(),
            None => format!("a {}", item.type_name()),
        };
        text.map(|text| Some(text.to_owned())).ok_or_else(|| {
            let message = format!("expected a string for {key}, found {}", found());
            self.error(item.span().unwrap_or_default(), message, EXAMPLE)
        })
    }

    fn date_of(&self, table: &dyn TableLike) -> Result<Option<String>> {
        let Some(item) = table.get("expires") else { return Ok(None) };
        let date = item.as_value().and_then(Value::as_datetime).filter(|value| value.time.is_none());
        let date = date.and_then(|value| value.date).map(|date| date.to_string());
        date.map(Some).ok_or_else(|| {
            let found = self.text.get(item.span().unwrap_or_default()).unwrap_or_default();
            let message = format!("expected a date for expires, found {found}");
            self.error(
                item.span().unwrap_or_default(),
                message,
                "write it without quotes and time: expires = 2027-06-30",
            )
        })
    }

    /// The kind of finding; what cannot be accepted is refused with the reason.
    fn kind(&self, word: &str, at: Range<usize>) -> Result<FindingKind> {
        let acceptable = FindingKind::ALL.iter().filter(|kind| **kind != FindingKind::Missing);
        if let Some(kind) = acceptable.clone().find(|kind| kind.id() == word) {
            return Ok(*kind);
        }
        let names = acceptable.map(|kind| kind.id()).collect::<Vec<_>>().join(", ");
        if word == FindingKind::Missing.id() {
            let hint = "the build fails without the path: remove its line with edit-manifest --remove, or use another release";
            return Err(self.error(at, "findings of kind missing cannot be accepted", hint));
        }
        let hint = "only findings of the manifests can be accepted: a signature that does not hold ends the run, with exit code 3";
        Err(self.error(at, format!("expected one of the kinds {names}, found {word:?}"), hint))
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
            (with("flavor = 1"), 5, "expected a string for flavor, found a integer"),
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
            ("[accept]\n".to_owned(), 1, "expected entries [[accept]], found a table"),
            ("x = 1\n".to_owned(), 1, "found the key \"x\""),
            ("\n\n[[accept\n".to_owned(), 3, ""),
        ] {
            let error = parse(&text).unwrap_err();
            let place = format!("{FILE}:{line}: ");
            assert!(error.message.starts_with(&place) && error.message.contains(part), "{}", error.message);
            assert!(error.hint.is_some(), "{text}");
        }
    }
}
