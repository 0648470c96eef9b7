//! The lines of a manifest under edit: a linked list in the order of the file, and an index in the order of sorting. Each
//! edit costs the logarithm of the number of lines.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use crate::file::{BYTE_ORDER_MARK, Line, ManifestFile};
use crate::sort_order::SortOrder;

/// The lines of one manifest.
#[derive(Debug, Clone)]
pub(super) struct LineList {
    order: SortOrder,
    default_eol: &'static str,
    /// The lines, removed ones included, by id. The first slot is the list's head and tail.
    slots: Vec<Slot>,
    /// The ids of the entries, from the first search on; those of equal lines in the order of the file.
    entries: OnceCell<BTreeMap<SortKey, Vec<usize>>>,
}

#[derive(Debug, Clone)]
struct Slot {
    line: Line,
    previous: usize,
    next: usize,
}

/// An entry as it is compared with others; an unsorted file is indexed by directory and name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SortKey {
    order: SortOrder,
    text: String,
}

impl SortKey {
    fn directory(&self) -> &str {
        self.text.rfind('/').map_or("", |slash| &self.text[..=slash])
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &SortKey) -> Ordering {
        let path = |key: &SortKey| key.text.trim_start_matches(BYTE_ORDER_MARK).to_owned();
        let order = match self.order {
            SortOrder::Unsorted => self.directory().cmp(other.directory()),
            _ if self.text.is_ascii() && other.text.is_ascii() => self.order.compare(&self.text, &other.text),
            _ => self.order.compare(&path(self), &path(other)),
        };
        order.then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &SortKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl LineList {
    pub(super) fn new(file: &ManifestFile, order: SortOrder) -> LineList {
        let head = Slot { line: Line::new("", ""), previous: 0, next: 0 };
        let default_eol = file.default_eol;
        let mut list = LineList { order, default_eol, slots: vec![head], entries: OnceCell::new() };
        for line in file.lines() {
            list.link(list.slots[0].previous, line.clone());
        }
        list
    }

    pub(super) fn to_file(&self) -> ManifestFile {
        let lines = self.ids().map(|id| self.slots[id].line.clone()).collect();
        ManifestFile { lines, default_eol: self.default_eol }
    }

    /// The ids of the lines in the order of the file.
    pub(super) fn ids(&self) -> impl Iterator<Item = usize> {
        let step = |&id: &usize| Some(self.slots[id].next).filter(|&next| next != 0);
        std::iter::successors(step(&0), step)
    }

    /// The id of the first line with this text.
    pub(super) fn find(&self, text: &str) -> Option<usize> {
        match self.entries().get(&self.key(text)) {
            Some(ids) => ids.first().copied(),
            None if Line::new(text, "\n").is_entry() => None,
            None => self.ids().find(|&id| self.slots[id].line.text == text),
        }
    }

    /// Inserts an entry at its sorted position. In an unsorted file that is next to the entry of the same directory with
    /// the longest common prefix: the greatest smaller one, unless the smallest greater one has a longer prefix. Without
    /// one, it is after the last entry. Returns the line before it if that was the last one and had no newline.
    pub(super) fn insert(&mut self, text: &str) -> Option<String> {
        let key = self.key(text);
        let smaller = self.entries().range(..=&key).next_back();
        let greater = self.entries().range((Excluded(&key), Unbounded)).next();
        let is_unsorted = self.order == SortOrder::Unsorted;
        let is_near =
            |(other, _): &(&SortKey, &Vec<usize>)| !is_unsorted || other.directory() == key.directory();
        let (smaller, greater) = (smaller.filter(is_near), greater.filter(is_near));
        let shared =
            |other: &SortKey| text.bytes().zip(other.text.bytes()).take_while(|(a, b)| a == b).count();
        let after = match (smaller, greater) {
            (Some((smaller, _)), Some((greater, ids)))
                if is_unsorted && shared(greater) > shared(smaller) =>
            {
                ids.first().map(|&id| self.slots[id].previous)
            }
            (Some((_, ids)), _) => ids.last().copied(),
            (None, greater) => greater.and_then(|(_, ids)| ids.first()).map(|&id| self.slots[id].previous),
        };
        let tail = self.slots[0].previous;
        let last_entry = || {
            let step = |&id: &usize| Some(self.slots[id].previous);
            let mut upward = std::iter::successors(Some(tail), step);
            upward.find(|&id| id == 0 || self.slots[id].line.is_entry()).filter(|&id| id != 0).unwrap_or(tail)
        };
        let after = after.unwrap_or_else(last_entry);
        let mut end = self.default_eol;
        let mut ended = None;
        // A file without a final newline stays without one.
        if after == tail && after != 0 && self.slots[after].line.end.is_empty() {
            self.slots[after].line.end = end;
            ended = Some(self.slots[after].line.text.clone());
            end = "";
        }
        self.link(after, Line::new(text, end));
        ended
    }

    /// Replaces the text of a line, which moves to its sorted position. A comment is not sorted: it belongs to the entry
    /// below it. Returns as [`LineList::insert`].
    pub(super) fn rename(&mut self, id: usize, text: &str) -> Option<String> {
        if self.order == SortOrder::Unsorted || text.starts_with('#') {
            self.unindex(id);
            text.clone_into(&mut self.slots[id].line.text);
            self.index(id);
            None
        } else {
            self.remove(id);
            self.insert(text)
        }
    }

    /// Removes a line; returns its text.
    pub(super) fn remove(&mut self, id: usize) -> String {
        self.unindex(id);
        let Slot { previous, next, .. } = self.slots[id];
        self.slots[previous].next = next;
        self.slots[next].previous = previous;
        self.slots[id].line.text.clone()
    }

    /// Ends every line that ends in CRLF with a line feed alone; returns these lines.
    pub(super) fn convert_to_lf(&mut self) -> Vec<String> {
        self.default_eol = "\n";
        let crlf: Vec<usize> = self.ids().filter(|&id| self.slots[id].line.end == "\r\n").collect();
        crlf.iter().for_each(|&id| self.slots[id].line.end = "\n");
        crlf.into_iter().map(|id| self.slots[id].line.text.clone()).collect()
    }

    /// Ends the last line with a newline; returns the line if that changed it.
    pub(super) fn add_final_newline(&mut self) -> Option<String> {
        let (tail, eol) = (self.slots[0].previous, self.default_eol);
        let line = &mut self.slots[tail].line;
        (tail != 0 && std::mem::replace(&mut line.end, eol).is_empty()).then(|| line.text.clone())
    }

    fn link(&mut self, previous: usize, line: Line) {
        let (id, next) = (self.slots.len(), self.slots[previous].next);
        self.slots.push(Slot { line, previous, next });
        self.slots[previous].next = id;
        self.slots[next].previous = id;
        self.index(id);
    }

    fn entries(&self) -> &BTreeMap<SortKey, Vec<usize>> {
        self.entries.get_or_init(|| {
            let mut entries: BTreeMap<SortKey, Vec<usize>> = BTreeMap::new();
            for id in self.ids().filter(|&id| self.slots[id].line.is_entry()) {
                entries.entry(self.key(&self.slots[id].line.text)).or_default().push(id);
            }
            entries
        })
    }

    fn index(&mut self, id: usize) {
        if self.entries.get().is_none() || !self.slots[id].line.is_entry() {
            return;
        }
        let key = self.key(&self.slots[id].line.text);
        let Some(entries) = self.entries.get_mut() else { return };
        entries.entry(key).or_default().push(id);
    }

    fn unindex(&mut self, id: usize) {
        let key = self.key(&self.slots[id].line.text);
        let Some(entries) = self.entries.get_mut() else { return };
        if let Some(ids) = entries.get_mut(&key) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                entries.remove(&key);
            }
        }
    }

    fn key(&self, text: &str) -> SortKey {
        SortKey { order: self.order, text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, lines: &[&str]) -> String {
        let file = ManifestFile::parse(text.as_bytes());
        let order = SortOrder::detect(&file).or_default(SortOrder::EnUs);
        let mut list = LineList::new(&file, order);
        lines.iter().for_each(|line| drop(list.insert(line)));
        String::from_utf8_lossy(&list.to_file().to_bytes()).into_owned()
    }

    #[test]
    fn new_line_keeps_the_order() {
        for (before, line, after) in [
            ("a/b\na/d\n", "a/c", "a/b\na/c\na/d\n"),
            ("a/b\na/d\n", "a/a", "a/a\na/b\na/d\n"),
            ("\u{feff}a/b\na/d\n", "a/c", "\u{feff}a/b\na/c\na/d\n"),
            ("a/b\na/d\n", "a/e", "a/b\na/d\na/e\n"),
            ("# head\na/b\n# about d\na/d\n\n", "a/c", "# head\na/b\na/c\n# about d\na/d\n\n"),
            ("# head\na/b\n\n", "a/a", "# head\na/a\na/b\n\n"),
            ("# head\na/b\n\n", "a/c", "# head\na/b\na/c\n\n"),
            ("", "a/a", "a/a\n"),
            (
                "l/libcryptsetup.so\nl/libc.so.6\n",
                "l/libd.so",
                "l/libcryptsetup.so\nl/libc.so.6\nl/libd.so\n",
            ),
            (
                "l/libc.so.6\nl/libcryptsetup.so\n",
                "l/libc.so.7",
                "l/libc.so.6\nl/libc.so.7\nl/libcryptsetup.so\n",
            ),
        ] {
            assert_eq!(with(before, &[line]), after, "{line} in {before:?}");
        }
    }

    #[test]
    fn line_of_an_unsorted_file_is_next_to_its_prefix() {
        let text = "bin/z\nlib64/libpam.so.0\nbin/a\nlib64/libz.so.1\n";
        for (lines, after) in [
            (
                &["lib64/libpam.so.0.84"][..],
                "bin/z\nlib64/libpam.so.0\nlib64/libpam.so.0.84\nbin/a\nlib64/libz.so.1\n",
            ),
            (&["lib64/libpam.so"], "bin/z\nlib64/libpam.so\nlib64/libpam.so.0\nbin/a\nlib64/libz.so.1\n"),
            (&["etc/x"], "bin/z\nlib64/libpam.so.0\nbin/a\nlib64/libz.so.1\netc/x\n"),
            (&["bin/b", "bin/c"], "bin/z\nlib64/libpam.so.0\nbin/a\nbin/b\nbin/c\nlib64/libz.so.1\n"),
        ] {
            assert_eq!(with(text, lines), after, "{lines:?}");
        }
    }

    #[test]
    fn edits_keep_line_ends() {
        for (before, after) in [
            ("a\nc\n", "a\nb\nc\nd\n"),
            ("a\r\nc\r\n", "a\r\nb\r\nc\r\nd\r\n"),
            ("a\nc", "a\nb\nc\nd"),
            ("a\r\nc", "a\r\nb\r\nc\r\nd"),
            ("", "b\nd\n"),
        ] {
            assert_eq!(with(before, &["b", "d"]), after);
        }
    }
}
