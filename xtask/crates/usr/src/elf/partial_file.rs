//! The parts of a file that were read so far, for a parser that need not see all of it.
//!
//! What the loader reads of a program is in a few pages: the headers at the start, the dynamic section near the end.
//! A program of 100 MiB is read so by a few hundred KiB, in the memory that these take.

use std::cell::Cell;
use std::ops::Range;

use object::read::ReadRef;

/// Windows start at multiples of this and are no shorter, but for the last: the usual block of a squashfs.
const GRID: u64 = 128 << 10;
/// The longest part that is requested at once: no table of a real file comes near.
const MAX_RANGE: u64 = 8 << 20;
/// The windows of one file, and their bytes. A file that wants more is none that anybody linked.
const MAX_WINDOWS: usize = 128;
const MAX_TOTAL: u64 = 32 << 20;

/// A file of which some windows are there.
///
/// A parser that looks at a part that is not there gets an error, and the part is noted: add it, and parse again.
#[derive(Debug)]
pub(crate) struct PartialFile {
    size: u64,
    read: Vec<(u64, Vec<u8>)>,
    missed: Cell<Option<(u64, u64)>>,
}

impl PartialFile {
    /// A file of `size` bytes, none of which was read yet.
    pub(crate) fn of(size: u64) -> PartialFile {
        PartialFile { size, read: Vec::new(), missed: Cell::new(None) }
    }

    /// A file that is there whole.
    pub(crate) fn whole(bytes: &[u8]) -> PartialFile {
        PartialFile { size: bytes.len() as u64, read: vec![(0, bytes.to_vec())], missed: Cell::new(None) }
    }

    /// Adds the bytes from `start` on, which a parser missed.
    pub(crate) fn add(&mut self, start: u64, bytes: Vec<u8>) {
        self.read.push((start, bytes));
        self.missed.set(None);
    }

    /// The part that the last parser missed first, rounded up to whole windows; `None` where it missed nothing.
    pub(crate) fn missed(&self) -> Option<Range<u64>> {
        let (start, end) = self.missed.get()?;
        Some(start / GRID * GRID..end.next_multiple_of(GRID).min(self.size))
    }

    /// Whether so many windows were read that another one is not worth it.
    pub(crate) fn is_too_much(&self) -> bool {
        let total: u64 = self.read.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        self.read.len() > MAX_WINDOWS || total > MAX_TOTAL
    }

    /// The bytes from `at` on, as far as any one window has them.
    fn from(&self, at: u64) -> &[u8] {
        let rests = self.read.iter().filter_map(|(start, bytes)| {
            let inside = usize::try_from(at.checked_sub(*start)?).ok()?;
            bytes.get(inside..)
        });
        rests.max_by_key(|rest| rest.len()).unwrap_or_default()
    }

    fn miss(&self, range: Range<u64>) {
        if range.end - range.start <= MAX_RANGE && self.missed.get().is_none() {
            self.missed.set(Some((range.start, range.end)));
        }
    }
}

impl<'a> ReadRef<'a> for &'a PartialFile {
    fn len(self) -> Result<u64, ()> {
        Ok(self.size)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        let end = offset.checked_add(size).filter(|end| *end <= self.size).ok_or(())?;
        let length = usize::try_from(size).map_err(|_| ())?;
        if size == 0 {
            return Ok(&[]);
        }
        self.from(offset).get(..length).ok_or_else(|| self.miss(offset..end))
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let range = range.start..range.end.min(self.size);
        let most = usize::try_from(range.end.checked_sub(range.start).ok_or(())?).map_err(|_| ())?;
        let there = self.from(range.start);
        let window = &there[..there.len().min(most)];
        match window.iter().position(|&byte| byte == delimiter) {
            Some(length) => Ok(&window[..length]),
            None if window.len() == most => Err(()),
            None => {
                self.miss(range);
                Err(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_noted_and_found_once_it_is() {
        let size = 3 * GRID + 10;
        let file: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let part = |range: Range<u64>| file[range.start as usize..range.end as usize].to_vec();
        let mut windows = PartialFile::of(size);
        assert_eq!((&windows).read_bytes_at(5, 4), Err(()));
        assert_eq!(windows.missed(), Some(0..GRID));
        windows.add(0, part(0..GRID));
        assert_eq!((&windows).read_bytes_at(5, 4), Ok(&[5, 6, 7, 8][..]));
        assert_eq!(windows.missed(), None);
        // Over the edge of a window, then to the very end of the file.
        assert_eq!((&windows).read_bytes_at(GRID - 2, 4), Err(()));
        assert_eq!(windows.missed(), Some(0..2 * GRID));
        windows.add(0, part(0..2 * GRID));
        assert_eq!((&windows).read_bytes_at(GRID - 2, 4), Ok(&part(GRID - 2..GRID + 2)[..]));
        // Past the end there is nothing to read, and nothing is missed.
        assert_eq!((&windows).read_bytes_at(size - 1, 2), Err(()));
        assert_eq!((&windows).read_bytes_at(u64::MAX, 2), Err(()));
        assert_eq!(windows.missed(), None);
        assert_eq!((&windows).read_bytes_at(3 * GRID, 10), Err(()));
        assert_eq!(windows.missed(), Some(3 * GRID..size));
    }

    #[test]
    fn a_string_that_may_go_on_behind_its_window_is_missed() {
        let mut windows = PartialFile::of(2 * GRID);
        windows.add(0, vec![b'x'; GRID as usize]);
        // Within the range that the caller allows there is no end, whatever comes behind it.
        assert_eq!((&windows).read_bytes_at_until(5..9, 0), Err(()));
        assert_eq!(windows.missed(), None);
        assert_eq!((&windows).read_bytes_at_until(5..GRID, b'x'), Ok(&[][..]));
        assert_eq!((&windows).read_bytes_at_until(GRID - 3..GRID + 9, 0), Err(()));
        assert_eq!(windows.missed(), Some(0..2 * GRID));
    }
}
