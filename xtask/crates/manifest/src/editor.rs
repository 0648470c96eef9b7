//! Edits of a manifest: the text, and a record of each change with its reason.

use std::collections::{BTreeMap, HashSet};

use super::file::ManifestFile;
use super::finding::{Fix, FixKind};
use super::sort_order::SortOrder;

/// A manifest and its changes so far. Each line of the old text is part of at most one fix.
#[derive(Debug, Clone)]
pub struct ManifestEditor {
    file: String,
    text: ManifestFile,
    order: SortOrder,
    fixes: Vec<Fix>,
    read_only: bool,
    revision: usize,
}

impl ManifestEditor {
    /// Opens files. Their sort orders are detected once, because edits must not change them; a file in both orders gets
    /// that of the others.
    pub fn open_all<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> BTreeMap<String, ManifestEditor> {
        let mut editors: BTreeMap<String, ManifestEditor> = files
            .into_iter()
            .map(|(file, bytes)| (file.to_owned(), ManifestEditor::new(file, bytes)))
            .collect();
        let shared = SortOrder::tree_default(editors.values().map(|editor| editor.order));
        editors.values_mut().for_each(|editor| editor.order = editor.order.or_default(shared));
        editors
    }

    fn new(file: &str, bytes: &[u8]) -> ManifestEditor {
        let text = ManifestFile::parse(bytes);
        ManifestEditor {
            file: file.to_owned(),
            order: SortOrder::detect(&text),
            text,
            fixes: Vec::new(),
            read_only: false,
            revision: 0,
        }
    }

    /// The number of changes of the text.
    pub fn revision(&self) -> usize {
        self.revision
    }

    /// Makes the manifest read-only: later edits change nothing.
    pub fn set_read_only(&mut self) {
        self.read_only = true;
    }

    /// Whether the manifest is read-only.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The text with the changes so far.
    pub fn text(&self) -> &ManifestFile {
        &self.text
    }

    /// The changes so far.
    pub fn fixes(&self) -> &[Fix] {
        &self.fixes
    }

    /// Whether the manifest has a line, verbatim.
    pub fn contains(&self, line: &str) -> bool {
        self.position(line).is_some()
    }

    /// Adds a line at its sorted position, unless the manifest has it.
    pub fn add(&mut self, line: &str, reason: &str) {
        if self.read_only || self.contains(line) {
            return;
        }
        self.insert_in_order(line);
        self.record(FixKind::Add, None, Some(line), reason);
    }

    /// Removes a line. If an earlier change added or renamed the line, that change is undone or merged.
    pub fn remove(&mut self, line: &str, kind: FixKind, reason: &str) {
        let Some(at) = self.position(line).filter(|_| !self.read_only) else { return };
        self.text.remove(at);
        match self.take_fix_producing(line) {
            Some(Fix { from: None, .. }) => self.revision += 1,
            Some(Fix { from: Some(first), .. }) => self.record(kind, Some(&first), None, reason),
            None => self.record(kind, Some(line), None, reason),
        }
    }

    /// Removes every entry that `is_one`, in one pass over the file.
    pub fn remove_all(&mut self, is_one: impl Fn(&str) -> bool, reason: &str) {
        if self.read_only {
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
            match produced.contains(&line).then(|| self.take_fix_producing(&line)).flatten() {
                Some(Fix { from: None, .. }) => self.revision += 1,
                Some(Fix { from: Some(first), .. }) => self.record(FixKind::Drop, Some(&first), None, reason),
                None => self.record(FixKind::Drop, Some(&line), None, reason),
            }
        }
    }

    /// Replaces a line. If the manifest has the new line already, the old one is removed; if an earlier change added the
    /// new line, the two changes become one rename.
    pub fn rename(&mut self, from: &str, to: &str, kind: FixKind, reason: &str) {
        let Some(at) = self.position(from).filter(|_| !self.read_only) else { return };
        if self.contains(to) {
            match self.take_fix_producing(to) {
                Some(Fix { from: None, .. }) => {
                    self.text.remove(at);
                    let first =
                        self.take_fix_producing(from).map_or_else(|| Some(from.to_owned()), |fix| fix.from);
                    let kind = if first.is_some() { kind } else { FixKind::Add };
                    self.record(kind, first.as_deref(), Some(to), reason);
                }
                earlier => {
                    self.fixes.extend(earlier);
                    self.remove(from, FixKind::Drop, &format!("{reason}, which is listed already"));
                }
            }
            return;
        }
        let first = self.take_fix_producing(from).map_or_else(|| Some(from.to_owned()), |fix| fix.from);
        // A comment is not sorted: it belongs to the entry below it.
        if self.order == SortOrder::Unsorted || to.starts_with('#') {
            self.text.replace(at, to);
        } else {
            self.text.remove(at);
            self.insert_in_order(to);
        }
        let kind = if first.is_some() { kind } else { FixKind::Add };
        self.record(kind, first.as_deref(), Some(to), reason);
    }

    /// Removes the line at `index`: for lines that their text does not identify, blank and repeated ones.
    pub fn remove_at(&mut self, index: usize, reason: &str) {
        let line = self.text.lines().get(index).map(|line| line.text.clone());
        let Some(line) = line.filter(|_| !self.read_only) else { return };
        self.text.remove(index);
        self.record(FixKind::Tidy, Some(&line), None, reason);
    }

    /// Ends every line in a line feed alone, as the build reads them.
    pub fn convert_to_lf(&mut self, reason: &str) {
        if self.read_only {
            return;
        }
        let crlf: Vec<String> = self
            .text
            .lines()
            .iter()
            .filter(|line| line.ends_in_crlf())
            .map(|line| line.text.clone())
            .collect();
        self.text.convert_to_lf();
        for line in crlf {
            self.record(FixKind::Tidy, Some(&format!("{line}\r")), Some(&line), reason);
        }
    }

    /// Ends the last line with a newline.
    pub fn add_final_newline(&mut self, reason: &str) {
        let Some(last) = self.text.lines().last().map(|line| line.text.clone()) else { return };
        if self.read_only || !self.text.has_no_final_newline() {
            return;
        }
        self.text.add_final_newline();
        match self.take_fix_producing(&last) {
            Some(fix) => self.fixes.push(fix),
            None => self.record(FixKind::Tidy, Some(&last), Some(&last), reason),
        }
    }

    fn insert_in_order(&mut self, line: &str) {
        let at = self.order.position(&self.text, line);
        self.text.insert(at, line);
    }

    fn position(&self, line: &str) -> Option<usize> {
        self.text.lines().iter().position(|other| other.text == line)
    }

    fn take_fix_producing(&mut self, line: &str) -> Option<Fix> {
        let at = self.fixes.iter().position(|fix| fix.to.as_deref() == Some(line))?;
        Some(self.fixes.remove(at))
    }

    fn record(&mut self, kind: FixKind, from: Option<&str>, to: Option<&str>, reason: &str) {
        self.revision += 1;
        self.fixes.push(Fix {
            file: self.file.clone(),
            kind,
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            reason: reason.to_owned(),
        });
    }
}
