//! A file of which only some windows were read, for a parser that needs only parts of it.
//!
//! The loader reads a few pages of a program: the headers at the start, the dynamic section near the end. So a few
//! hundred KiB of a program of 100 MiB are read and in memory.

use std::cell::Cell;
use std::ops::Range;

/// The alignment and minimum length of windows, except the last one: the usual block size of a squashfs.
const WINDOW_SIZE: u64 = 128 << 10;
/// The longest range that is requested at once, in bytes; tables of real files are much shorter.
const MAX_RANGE: u64 = 8 << 20;
/// The windows of one file, and their bytes. No linker produces a file that needs more.
const MAX_WINDOWS: usize = 128;
const MAX_TOTAL: u64 = 32 << 20;

/// A file of which some windows were read.
///
/// A read outside of these windows is an error, and records the range: add it, and parse again.
#[derive(Debug)]
pub(super) struct PartialFile {
    size: u64,
    windows: Vec<(u64, Vec<u8>)>,
    requested: Cell<Option<(u64, u64)>>,
}

impl PartialFile {
    /// A file of `size` bytes, none of which was read yet.
    pub(super) fn new(size: u64) -> PartialFile {
        PartialFile { size, windows: Vec::new(), requested: Cell::new(None) }
    }

    /// A file that was read completely.
    pub(super) fn whole(bytes: &[u8]) -> PartialFile {
        PartialFile {
            size: bytes.len() as u64,
            windows: vec![(0, bytes.to_vec())],
            requested: Cell::new(None),
        }
    }

    /// Adds the bytes from `start` on.
    pub(super) fn add(&mut self, start: u64, bytes: Vec<u8>) {
        self.windows.push((start, bytes));
        self.requested.set(None);
    }

    /// The first range that the last parser could not read, rounded up to whole windows; `None` if it could read
    /// everything.
    pub(super) fn missed_windows(&self) -> Option<Range<u64>> {
        let (start, end) = self.requested.get()?;
        Some(start / WINDOW_SIZE * WINDOW_SIZE..end.next_multiple_of(WINDOW_SIZE).min(self.size))
    }

    /// Whether the windows exceed their maximum number or size.
    pub(super) fn exceeds_budget(&self) -> bool {
        let total: u64 = self.windows.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        self.windows.len() > MAX_WINDOWS || total > MAX_TOTAL
    }

    /// The bytes from `at` to the end of the window that has most of them.
    fn window_from(&self, at: u64) -> &[u8] {
        let rests = self.windows.iter().filter_map(|(start, bytes)| {
            let inside = usize::try_from(at.checked_sub(*start)?).ok()?;
            bytes.get(inside..)
        });
        rests.max_by_key(|rest| rest.len()).unwrap_or_default()
    }

    fn record_missed_range(&self, range: Range<u64>) {
        if range.end - range.start <= MAX_RANGE && self.requested.get().is_none() {
            self.requested.set(Some((range.start, range.end)));
        }
    }

    /// The length of the file, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// A range of the file.
    pub(super) fn read_bytes_at(&self, offset: u64, size: u64) -> Option<&[u8]> {
        let end = offset.checked_add(size).filter(|end| *end <= self.size)?;
        let length = usize::try_from(size).ok()?;
        if size == 0 {
            return Some(&[]);
        }
        let bytes = self.window_from(offset).get(..length);
        if bytes.is_none() {
            self.record_missed_range(offset..end);
        }
        bytes
    }

    /// The bytes before the first NUL of a range.
    pub(super) fn read_string_at(&self, range: Range<u64>) -> Option<&[u8]> {
        let range = range.start..range.end.min(self.size);
        let max = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        let rest = self.window_from(range.start);
        let window = &rest[..rest.len().min(max)];
        let end = window.iter().position(|&byte| byte == 0);
        if end.is_none() && window.len() < max {
            self.record_missed_range(range);
        }
        end.map(|length| &window[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_range_is_requested_until_it_is_added() {
        let size = 3 * WINDOW_SIZE + 10;
        let file: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let part = |range: Range<u64>| file[range.start as usize..range.end as usize].to_vec();
        let mut windows = PartialFile::new(size);
        assert_eq!(windows.read_bytes_at(5, 4), None);
        assert_eq!(windows.missed_windows(), Some(0..WINDOW_SIZE));
        windows.add(0, part(0..WINDOW_SIZE));
        assert_eq!(windows.read_bytes_at(5, 4), Some(&[5, 6, 7, 8][..]));
        assert_eq!(windows.missed_windows(), None);
        // Across two windows.
        assert_eq!(windows.read_bytes_at(WINDOW_SIZE - 2, 4), None);
        assert_eq!(windows.missed_windows(), Some(0..2 * WINDOW_SIZE));
        windows.add(0, part(0..2 * WINDOW_SIZE));
        assert_eq!(
            windows.read_bytes_at(WINDOW_SIZE - 2, 4),
            Some(&part(WINDOW_SIZE - 2..WINDOW_SIZE + 2)[..])
        );
        // A read past the end of the file requests nothing.
        assert_eq!(windows.read_bytes_at(size - 1, 2), None);
        assert_eq!(windows.read_bytes_at(u64::MAX, 2), None);
        assert_eq!(windows.missed_windows(), None);
        assert_eq!(windows.read_bytes_at(3 * WINDOW_SIZE, 10), None);
        assert_eq!(windows.missed_windows(), Some(3 * WINDOW_SIZE..size));
    }

    #[test]
    fn string_past_its_window_is_requested() {
        let mut windows = PartialFile::new(2 * WINDOW_SIZE);
        let mut bytes = vec![b'x'; WINDOW_SIZE as usize];
        bytes[9] = 0;
        windows.add(0, bytes);
        // The string does not end within the range that the caller allows.
        assert_eq!(windows.read_string_at(5..9), None);
        assert_eq!(windows.missed_windows(), None);
        assert_eq!(windows.read_string_at(5..WINDOW_SIZE), Some(&b"xxxx"[..]));
        assert_eq!(windows.read_string_at(WINDOW_SIZE - 3..WINDOW_SIZE + 9), None);
        assert_eq!(windows.missed_windows(), Some(0..2 * WINDOW_SIZE));
    }
}
