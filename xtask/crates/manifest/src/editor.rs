//! A manifest being mended: the text, and a record of each change with its reason.

use std::collections::{BTreeMap, HashSet};

use super::file::ManifestFile;
use super::finding::{Fix, FixKind};
use super::sort_order::SortOrder;

/// A manifest and what was done to it so far. Each line of the old text takes part in at most one fix.
#[derive(Debug, Clone)]
pub struct ManifestEditor {
    file: String,
    text: ManifestFile,
    order: SortOrder,
    fixes: Vec<Fix>,
    frozen: bool,
    changes: usize,
}

impl ManifestEditor {
    /// Starts from files as they stand. Their orders are found once: mending must not change them. A file that is in
    /// both orders follows the others.
    pub fn of_files<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> BTreeMap<String, ManifestEditor> {
        let mut drafts: BTreeMap<String, ManifestEditor> = files
            .into_iter()
            .map(|(file, bytes)| (file.to_owned(), ManifestEditor::new(file, bytes)))
            .collect();
        let shared = SortOrder::shared(drafts.values().map(|draft| draft.order));
        drafts.values_mut().for_each(|draft| draft.order = draft.order.or(shared));
        drafts
    }

    fn new(file: &str, bytes: &[u8]) -> ManifestEditor {
        let text = ManifestFile::parse(bytes);
        ManifestEditor {
            file: file.to_owned(),
            order: SortOrder::of(&text),
            text,
            fixes: Vec::new(),
            frozen: false,
            changes: 0,
        }
    }

    /// How often the text was changed.
    pub fn changes(&self) -> usize {
        self.changes
    }

    /// Lets nothing be changed from now on: what is wrong in the manifest stays for a person.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Whether nothing may be changed.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The text as mended so far.
    pub fn text(&self) -> &ManifestFile {
        &self.text
    }

    /// What was done so far.
    pub fn fixes(&self) -> &[Fix] {
        &self.fixes
    }

    /// Whether a line is there, verbatim.
    pub fn has(&self, line: &str) -> bool {
        self.position(line).is_some()
    }

    /// Adds a line where the file's order wants it; a line that is there already stays as it is.
    pub fn add(&mut self, line: &str, because: &str) {
        if self.frozen || self.has(line) {
            return;
        }
        self.place(line);
        self.record(FixKind::Add, None, Some(line), because);
    }

    /// Takes a line out. A line that this draft added or renamed itself leaves no trace of that.
    pub fn drop_line(&mut self, line: &str, kind: FixKind, because: &str) {
        let Some(at) = self.position(line).filter(|_| !self.frozen) else { return };
        self.text.remove(at);
        match self.take_fix_to(line) {
            Some(Fix { from: None, .. }) => self.changes += 1,
            Some(Fix { from: Some(first), .. }) => self.record(kind, Some(&first), None, because),
            None => self.record(kind, Some(line), None, because),
        }
    }

    /// Removes every entry that `is_one`, in one pass over the file.
    pub fn drop_all(&mut self, is_one: impl Fn(&str) -> bool, because: &str) {
        if self.frozen {
            return;
        }
        let mut dropped = Vec::new();
        self.text.retain(|line| {
            let drops = line.is_entry() && is_one(&line.text);
            dropped.extend(drops.then(|| line.text.clone()));
            !drops
        });
        let produced: HashSet<String> = self.fixes.iter().filter_map(|fix| fix.to.clone()).collect();
        for line in dropped {
            match produced.contains(&line).then(|| self.take_fix_to(&line)).flatten() {
                Some(Fix { from: None, .. }) => self.changes += 1,
                Some(Fix { from: Some(first), .. }) => {
                    self.record(FixKind::Drop, Some(&first), None, because)
                }
                None => self.record(FixKind::Drop, Some(&line), None, because),
            }
        }
    }

    /// Gives a line another text. Where the new text is there already, the old line goes; where this draft itself
    /// had added the new text, the two become one rename.
    pub fn rename(&mut self, from: &str, to: &str, kind: FixKind, because: &str) {
        let Some(at) = self.position(from).filter(|_| !self.frozen) else { return };
        if self.has(to) {
            match self.take_fix_to(to) {
                Some(Fix { from: None, .. }) => {
                    self.text.remove(at);
                    let first = self.take_fix_to(from).map_or_else(|| Some(from.to_owned()), |fix| fix.from);
                    let kind = if first.is_some() { kind } else { FixKind::Add };
                    self.record(kind, first.as_deref(), Some(to), because);
                }
                earlier => {
                    self.fixes.extend(earlier);
                    self.drop_line(from, FixKind::Drop, &format!("{because}, which is listed already"));
                }
            }
            return;
        }
        let first = self.take_fix_to(from).map_or_else(|| Some(from.to_owned()), |fix| fix.from);
        // A comment has no place of its own, only that above its entry.
        if self.order == SortOrder::Unsorted || to.starts_with('#') {
            self.text.replace(at, to);
        } else {
            self.text.remove(at);
            self.place(to);
        }
        let kind = if first.is_some() { kind } else { FixKind::Add };
        self.record(kind, first.as_deref(), Some(to), because);
    }

    /// Takes the line at `index` out, for lines that are not told apart by their text: blank ones and repeats.
    pub fn drop_at(&mut self, index: usize, because: &str) {
        let line = self.text.lines().get(index).map(|line| line.text.clone());
        let Some(line) = line.filter(|_| !self.frozen) else { return };
        self.text.remove(index);
        self.record(FixKind::Tidy, Some(&line), None, because);
    }

    /// Ends every line in a line feed alone, as the build reads them.
    pub fn convert_to_lf(&mut self, because: &str) {
        if self.frozen {
            return;
        }
        let crlf: Vec<String> =
            self.text.lines().iter().filter(|line| line.has_crlf()).map(|line| line.text.clone()).collect();
        self.text.convert_to_lf();
        for line in crlf {
            self.record(FixKind::Tidy, Some(&format!("{line}\r")), Some(&line), because);
        }
    }

    /// Ends the last line with a newline.
    pub fn add_final_newline(&mut self, because: &str) {
        let Some(last) = self.text.lines().last().map(|line| line.text.clone()) else { return };
        if self.frozen || !self.text.lacks_final_newline() {
            return;
        }
        self.text.add_final_newline();
        match self.take_fix_to(&last) {
            Some(fix) => self.fixes.push(fix),
            None => self.record(FixKind::Tidy, Some(&last), Some(&last), because),
        }
    }

    fn place(&mut self, line: &str) {
        let at = self.order.position(&self.text, line);
        self.text.insert(at, line);
    }

    fn position(&self, line: &str) -> Option<usize> {
        self.text.lines().iter().position(|other| other.text == line)
    }

    fn take_fix_to(&mut self, line: &str) -> Option<Fix> {
        let at = self.fixes.iter().position(|fix| fix.to.as_deref() == Some(line))?;
        Some(self.fixes.remove(at))
    }

    fn record(&mut self, kind: FixKind, from: Option<&str>, to: Option<&str>, because: &str) {
        self.changes += 1;
        self.fixes.push(Fix {
            file: self.file.clone(),
            kind,
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            because: because.to_owned(),
        });
    }
}
