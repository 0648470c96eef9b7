//! The sort order of a manifest, and the position of a new line.
//!
//! rkt's manifests are in the order of `sort` in the locale `en_US.UTF-8`; a tree that was sorted on a machine without
//! that locale is in byte order. Edits do not change the order of a file.

mod en_us;

use std::cmp::Ordering;
use std::collections::HashSet;

use super::file::{BYTE_ORDER_MARK, Line, ManifestFile};
pub use en_us::compare as compare_en_us;

/// The order of a manifest's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortOrder {
    /// By bytes, as `LC_ALL=C sort` does.
    Bytes,
    /// As `LC_ALL=en_US.UTF-8 sort` does with glibc.
    EnUs,
    /// In both orders; [`SortOrder::or_default`] selects one.
    Both,
    /// In neither.
    Unsorted,
}

impl SortOrder {
    /// Detects the order of the entries of a text; blank lines and comments are ignored.
    pub fn detect(text: &ManifestFile) -> SortOrder {
        SortOrder::detect_lines(text.lines().iter().filter(|line| line.is_entry()))
    }

    fn detect_lines<'a>(lines: impl Iterator<Item = &'a Line> + Clone) -> SortOrder {
        let sorted = |compare: fn(&str, &str) -> Ordering| {
            let pairs = lines.clone().zip(lines.clone().skip(1));
            pairs
                .into_iter()
                .all(|(one, next)| compare(text_without_bom(one), text_without_bom(next)).is_le())
        };
        match (sorted(by_bytes), sorted(compare_en_us)) {
            (true, true) => SortOrder::Both,
            (true, false) => SortOrder::Bytes,
            (false, true) => SortOrder::EnUs,
            (false, false) => SortOrder::Unsorted,
        }
    }

    /// The order of all files that are in exactly one order; `None` if they differ, or if there is no such file.
    pub fn common_to(orders: impl IntoIterator<Item = SortOrder>) -> Option<SortOrder> {
        let certain = orders.into_iter().filter(|order| matches!(order, SortOrder::Bytes | SortOrder::EnUs));
        let mut certain: Vec<SortOrder> = certain.collect();
        certain.dedup();
        match certain.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Compares two lines in this order, en_US.UTF-8 for a file in no one order.
    pub(crate) fn compare(self, one: &str, other: &str) -> Ordering {
        if self == SortOrder::Bytes { by_bytes(one, other) } else { compare_en_us(one, other) }
    }

    /// The order in words.
    pub fn describe(self) -> &'static str {
        if self == SortOrder::Bytes { "byte order" } else { "the order of en_US.UTF-8" }
    }

    /// Replaces `Both` by the order of the other files.
    pub fn or_default(self, default: SortOrder) -> SortOrder {
        if self == SortOrder::Both { default } else { self }
    }
}

/// Sorts a file as `sort-manifests` does: blank and repeated lines are removed, and lines that are in neither order
/// are sorted in the order that moves fewer lines; on a tie in that of the tree's other files, else in byte order. Returns
/// the new order of the file; `None` if nothing changes, whatever the line ends of the file.
pub fn sort_and_dedup(
    text: &ManifestFile,
    common_order: Option<SortOrder>,
) -> Option<(ManifestFile, SortOrder)> {
    let mut order = SortOrder::detect_lines(text.lines().iter().filter(|line| !line.is_blank()));
    let (mut after, mut seen) = (text.clone(), HashSet::new());
    after.lines.retain(|line| !line.is_blank() && seen.insert(line.text.clone()));
    if order == SortOrder::Unsorted {
        order = order_with_fewer_moves(&after.lines).or(common_order).unwrap_or(SortOrder::Bytes);
        after.lines.sort_by(|one, other| order.compare(&one.text, &other.text));
        after.lines.iter_mut().for_each(|line| line.end = text.default_eol);
    }
    (after != *text).then_some((after, order))
}

/// The order that leaves more of these lines, each of which is different, where they are; `None` if both leave as many.
fn order_with_fewer_moves(lines: &[Line]) -> Option<SortOrder> {
    let count_in_place = |order| longest_ascending(lines.iter().map(|line| line.text.as_str()), order);
    match count_in_place(SortOrder::Bytes).cmp(&count_in_place(SortOrder::EnUs)) {
        Ordering::Greater => Some(SortOrder::Bytes),
        Ordering::Less => Some(SortOrder::EnUs),
        Ordering::Equal => None,
    }
}

/// The length of the longest ascending subsequence, by patience sorting.
fn longest_ascending<'a>(lines: impl Iterator<Item = &'a str>, order: SortOrder) -> usize {
    let mut tops: Vec<&str> = Vec::new();
    for line in lines {
        let at = tops.partition_point(|top| order.compare(top, line).is_lt());
        if let Some(top) = tops.get_mut(at) {
            *top = line;
        } else {
            tops.push(line);
        }
    }
    tops.len()
}

/// Compares lines by bytes, as `sort` does; characters that escape bytes are unescaped first.
fn by_bytes(one: &str, other: &str) -> Ordering {
    if one.is_ascii() && other.is_ascii() {
        return one.cmp(other);
    }
    usr::lossless_text::to_bytes(one).cmp(&usr::lossless_text::to_bytes(other))
}

/// The path of a line, without a byte-order mark.
fn text_without_bom(line: &Line) -> &str {
    line.text.trim_start_matches(BYTE_ORDER_MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ManifestFile {
        ManifestFile::parse(text.as_bytes())
    }

    #[test]
    fn order_is_detected_from_entries() {
        for (text, order) in [
            ("lib64/libc.so.6\nlib64/libcryptsetup.so\n", SortOrder::Bytes),
            ("lib64/libcryptsetup.so\nlib64/libc.so.6\n", SortOrder::EnUs),
            ("# z\nbin/a\n\nbin/b\n", SortOrder::Both),
            ("", SortOrder::Both),
            ("bin/b\nbin/a\n", SortOrder::Unsorted),
        ] {
            assert_eq!(SortOrder::detect(&parse(text)), order, "{text:?}");
        }
        assert_eq!(SortOrder::common_to([SortOrder::Both, SortOrder::Bytes]), Some(SortOrder::Bytes));
        assert_eq!(SortOrder::Both.or_default(SortOrder::Bytes), SortOrder::Bytes);
        assert_eq!(SortOrder::Unsorted.or_default(SortOrder::Bytes), SortOrder::Unsorted);
    }

    #[test]
    fn sorting_changes_only_unsorted_files() {
        let sorted = |text: &str| {
            sort_and_dedup(&parse(text), None)
                .map(|(text, _)| String::from_utf8_lossy(&text.to_bytes()).into_owned())
        };
        for (before, after) in [
            ("l/libcryptsetup.so\nl/libc.so.6", None),
            ("l/libc.so.6\r\nl/libcryptsetup.so\r\n", None),
            ("\u{feff}bin/a\nbin/b\n", None),
            ("b\na\n\na\n", Some("a\nb\n")),
            ("b\r\na", Some("a\r\nb\r\n")),
            ("a\n\na\nb\n \nb", Some("a\nb\n")),
            ("", None),
            ("\n\n", Some("")),
        ] {
            assert_eq!(sorted(before).as_deref(), after, "{before:?}");
        }
    }

    #[test]
    fn unsorted_file_gets_the_order_of_fewest_moves() {
        let en_us = "l/libcryptsetup.so\nl/libc.so.6\nl/libdw.so\nl/libd.so.1\n";
        let bytes = "l/libc.so.6\nl/libcryptsetup.so\nl/libd.so.1\nl/libdw.so\n";
        for (text, tree, expected) in [
            (format!("{en_us}a\n"), None, SortOrder::EnUs),
            (format!("{bytes}a\n"), None, SortOrder::Bytes),
            (format!("{bytes}a\n"), Some(SortOrder::EnUs), SortOrder::Bytes),
            ("b\na\n".to_owned(), None, SortOrder::Bytes),
            ("b\na\n".to_owned(), Some(SortOrder::EnUs), SortOrder::EnUs),
            ("c\nB\na\nA\n".to_owned(), None, SortOrder::Bytes),
            ("c\nB\na\nA\n".to_owned(), Some(SortOrder::EnUs), SortOrder::EnUs),
        ] {
            let (after, order) = match sort_and_dedup(&parse(&text), tree) {
                Some(sorted) => sorted,
                None => panic!("{text} is sorted"),
            };
            assert_eq!(order, expected, "{text}");
            assert_eq!(SortOrder::detect(&after).or_default(expected), expected, "{text}");
        }
        assert_eq!(
            SortOrder::common_to([SortOrder::Both, SortOrder::EnUs, SortOrder::EnUs]),
            Some(SortOrder::EnUs)
        );
        assert_eq!(SortOrder::common_to([SortOrder::Bytes, SortOrder::EnUs]), None);
        assert_eq!(SortOrder::common_to([SortOrder::Unsorted]), None);
        let lines = ["c", "a", "b", "d", "e"];
        assert_eq!(longest_ascending(lines.into_iter(), SortOrder::Bytes), 4);
    }
}
