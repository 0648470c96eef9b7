//! Reader of a gzip stream of one or more members, which rejects trailing data (RFC 1952).

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::inflate_limits::InflateLimits;
use coreos_types::Error;

/// The first bytes of each gzip member (RFC 1952, 2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reader that inflates a stream, and checks the checksum and length of every member.
pub(super) struct GzipReader<R> {
    compressed: R,
    /// The number of compressed bytes that were inflated.
    position: u64,
    member: Option<Decompress>,
    inflated: u64,
    limits: InflateLimits,
}

/// The reason why a stream is not valid gzip, as an [`Error`] inside of the [`io::Error`].
fn invalid_gzip(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Error::failed(message))
}

impl<R: BufRead> GzipReader<R> {
    /// A reader of `compressed`. More output than `limits` allows for the bytes read so far is an error.
    pub(super) fn new(compressed: R, limits: InflateLimits) -> GzipReader<R> {
        GzipReader { compressed, position: 0, member: None, inflated: 0, limits }
    }

    /// The maximum number of bytes of the whole output, as far as the compressed size is known.
    pub(super) fn max_output(&self) -> u64 {
        self.limits.max_output(self.position)
    }

    fn consume(&mut self, count: usize) {
        self.compressed.consume(count);
        self.position += count as u64;
    }

    /// Opens the next member; `false` at the end of the stream, which may be padded with zero bytes.
    fn open_next_member(&mut self) -> io::Result<bool> {
        let (start, mut zeros) = (self.position, false);
        loop {
            let rest = self.compressed.fill_buf()?;
            match rest.first() {
                None if start == 0 => return Err(invalid_gzip("the file is empty")),
                None => return Ok(false),
                Some(0) if start > 0 => zeros = true,
                Some(byte) if *byte == MAGIC[0] && !zeros => {
                    self.member = Some(Decompress::new_gzip(15));
                    return Ok(true);
                }
                Some(_) => {
                    return Err(invalid_gzip(match start {
                        0 => format!("the file is not a gzip file: it starts with {}", preview(rest)),
                        _ => format!(
                            "other data follows the gzip stream, which ends at byte {}",
                            self.position
                        ),
                    }));
                }
            }
            self.consume(1);
        }
    }

    fn inflate(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.member.is_none() && !self.open_next_member()? {
                return Ok(0);
            }
            let Some(member) = &mut self.member else { return Ok(0) };
            let input = self.compressed.fill_buf()?;
            let is_end = input.is_empty();
            let (was_in, was_out) = (member.total_in(), member.total_out());
            let status = member.decompress(input, out, FlushDecompress::None).map_err(|error| {
                let why = error.message().unwrap_or("bad data");
                invalid_gzip(format!("the gzip stream is damaged near byte {}: {why}", self.position))
            })?;
            let (used, produced) = (member.total_in() - was_in, (member.total_out() - was_out) as usize);
            self.consume(used as usize);
            if status == Status::StreamEnd {
                self.member = None;
            } else if produced == 0 && is_end {
                return Err(invalid_gzip(format!(
                    "the gzip stream is cut short after {} bytes",
                    self.position
                )));
            }
            if produced > 0 {
                return Ok(produced);
            }
        }
    }
}

/// The first bytes of a stream, for messages: as text, or as hexadecimal.
pub(super) fn preview(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(12)];
    match std::str::from_utf8(head) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => head.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    }
}

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let produced = self.inflate(out)?;
        self.inflated += produced as u64;
        let max = self.max_output();
        if self.inflated > max {
            let why = if max < self.limits.max { ", which its size does not explain" } else { "" };
            return Err(invalid_gzip(format!(
                "the gzip stream inflates to more than {} MiB{why}",
                max >> 20
            )));
        }
        Ok(produced)
    }
}
