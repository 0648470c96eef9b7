//! Edits of a manifest: the text, and a record of each change with its reason.

mod line_list;

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use super::file::ManifestFile;
use super::finding::{Fix, FixKind};
use super::sort_order::SortOrder;
use line_list::LineList;

/// Reason of a newline at the end of the former last line.
const NEW_LAST_LINE: &str = "it was the last line, without a newline, and another line is added after it";

/// A manifest and its changes so far. Each line of the old text is part of at most one fix.
#[derive(Debug, Clone)]
pub struct ManifestEditor {
    file: String,
    lines: LineList,
    /// The text of `lines`, until the next change.
    text: OnceCell<ManifestFile>,
    /// The changes in order; `None` for one that a later change undid or replaced.
    fixes: Vec<Option<Fix>>,
    /// The last change that produced each line.
    by_result: HashMap<String, usize>,
    revision: usize,
}

impl ManifestEditor {
    /// Opens files. Their sort orders are detected once, because edits must not change them; a file in both orders gets
    /// that of the others.
    pub fn open_all(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, ManifestEditor> {
        let detect = |(file, bytes): (&String, &Vec<u8>)| {
            let text = ManifestFile::parse(bytes);
            let order = SortOrder::detect(&text);
            (file.clone(), text, order)
        };
        let files: Vec<(String, ManifestFile, SortOrder)> = files.iter().map(detect).collect();
        let common = SortOrder::common_to(files.iter().map(|(.., order)| *order)).unwrap_or(SortOrder::EnUs);
        let open = |(file, text, order): (String, ManifestFile, SortOrder)| {
            let editor = ManifestEditor {
                lines: LineList::new(&text, order.or_default(common)),
                text: text.into(),
                fixes: Vec::new(),
                by_result: HashMap::new(),
                revision: 0,
                file: file.clone(),
            };
            (file, editor)
        };
        files.into_iter().map(open).collect()
    }

    /// The number of changes of the text.
    pub fn revision(&self) -> usize {
        self.revision
    }

    /// The text with the changes so far.
    pub fn edited_file(&self) -> &ManifestFile {
        self.text.get_or_init(|| self.lines.to_file())
    }

    /// The changes so far.
    pub fn fixes(&self) -> impl Iterator<Item = &Fix> {
        self.fixes.iter().flatten()
    }

    /// Whether the manifest has a line, verbatim.
    pub fn contains(&self, line: &str) -> bool {
        self.lines.find(line).is_some()
    }

    /// Adds a line at its sorted position, unless the manifest has it.
    pub fn add(&mut self, line: &str, reason: &str) {
        if self.contains(line) {
            return;
        }
        let ended = self.lines.insert(line);
        self.record(FixKind::Add, None, Some(line), reason);
        self.record_newline(ended, NEW_LAST_LINE);
    }

    /// Removes a line. If an earlier change added or renamed the line, that change is undone or merged.
    pub fn remove(&mut self, line: &str, kind: FixKind, reason: &str) {
        let Some(id) = self.lines.find(line) else { return };
        self.lines.remove(id);
        match self.take_fix_producing(line) {
            Some(Fix { from: None, .. }) => self.count_change(),
            Some(Fix { from: Some(first), .. }) => self.record(kind, Some(&first), None, reason),
            None => self.record(kind, Some(line), None, reason),
        }
    }

    /// Replaces a line. If the manifest has the new line already, the old one is removed; if an earlier change added the
    /// new line, the two changes become one rename.
    pub fn rename(&mut self, from: &str, to: &str, kind: FixKind, reason: &str) {
        let Some(id) = self.lines.find(from) else { return };
        let mut ended = None;
        let is_addition = |&at: &usize| matches!(&self.fixes[at], Some(Fix { from: None, .. }));
        if !self.contains(to) {
            ended = self.lines.rename(id, to);
        } else if self.by_result.get(to).is_some_and(is_addition) {
            self.take_fix_producing(to);
            self.lines.remove(id);
        } else {
            self.remove(from, FixKind::Drop, &format!("{reason}, which is listed already"));
            return;
        }
        let first = self.take_fix_producing(from).map_or_else(|| Some(from.to_owned()), |fix| fix.from);
        let kind = if first.is_some() { kind } else { FixKind::Add };
        self.record(kind, first.as_deref(), Some(to), reason);
        self.record_newline(ended, NEW_LAST_LINE);
    }

    /// Removes the lines at these indices of the text, from the last one up: for lines that their text does not
    /// identify, blank and repeated ones.
    pub fn remove_at<'r>(&mut self, lines: impl DoubleEndedIterator<Item = (usize, &'r str)>) {
        let ids: Vec<usize> = self.lines.ids().collect();
        for (index, reason) in lines.rev() {
            let Some(&id) = ids.get(index) else { continue };
            let text = self.lines.remove(id);
            self.record(FixKind::Tidy, Some(&text), None, reason);
        }
    }

    /// Ends every line in a line feed alone, as the build reads them.
    pub fn convert_to_lf(&mut self, reason: &str) {
        for line in self.lines.convert_to_lf() {
            self.record(FixKind::Tidy, Some(&format!("{line}\r")), Some(&line), reason);
        }
    }

    /// Ends the last line with a newline.
    pub fn add_final_newline(&mut self, reason: &str) {
        let last = self.lines.add_final_newline();
        self.record_newline(last, reason);
    }

    /// Records the newline that a line got, unless the line is a result of another change.
    fn record_newline(&mut self, line: Option<String>, reason: &str) {
        let Some(line) = line else { return };
        self.count_change();
        if !self.by_result.contains_key(&line) {
            self.record(FixKind::Tidy, Some(&line), Some(&line), reason);
        }
    }

    fn take_fix_producing(&mut self, line: &str) -> Option<Fix> {
        self.fixes[self.by_result.remove(line)?].take()
    }

    fn count_change(&mut self) {
        self.revision += 1;
        self.text.take();
    }

    fn record(&mut self, kind: FixKind, from: Option<&str>, to: Option<&str>, reason: &str) {
        self.count_change();
        if let Some(to) = to {
            self.by_result.insert(to.to_owned(), self.fixes.len());
        }
        self.fixes.push(Some(Fix {
            file: self.file.clone(),
            kind,
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            reason: reason.to_owned(),
        }));
    }
}
