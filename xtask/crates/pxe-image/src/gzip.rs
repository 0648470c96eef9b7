//! Reader of a chunked gzip stream of one or more members, which rejects trailing data (RFC 1952).

use std::io::{self, Read};
use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};

use super::broadcast::ChunkReceiver;
use super::inflate_limits::InflateLimits;
use coreos_types::Error;

/// The first bytes of each gzip member (RFC 1952, 2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reader that inflates the chunks of a [`ChunkReceiver`] and checks the checksum and length of every member.
pub(super) struct GzipReader<'a> {
    chunks: &'a ChunkReceiver,
    chunk: Option<Arc<Vec<u8>>>,
    /// The number of bytes of `chunk` that were inflated.
    at: usize,
    /// The number of compressed bytes in the chunks before this one.
    before: u64,
    member: Option<Decompress>,
    inflated: u64,
    limits: InflateLimits,
}

/// The reason why a stream is not valid gzip, as an [`Error`] inside of the [`io::Error`].
fn invalid_gzip(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Error::failed(message))
}

impl<'a> GzipReader<'a> {
    /// A reader of `chunks`. More output than `limits` allows for the bytes read so far is an error.
    pub(super) fn new(chunks: &'a ChunkReceiver, limits: InflateLimits) -> GzipReader<'a> {
        GzipReader { chunks, chunk: None, at: 0, before: 0, member: None, inflated: 0, limits }
    }

    /// The maximum number of bytes of the whole output, as far as the compressed size is known.
    pub(super) fn max_output(&self) -> u64 {
        self.limits.max_output(self.before + self.at as u64)
    }

    /// The compressed bytes that were not inflated yet; waits for the next chunk, and is empty at the end of the stream.
    fn fill_buf(&mut self) -> &[u8] {
        while self.chunk.as_ref().is_none_or(|chunk| self.at == chunk.len()) {
            if let Some(chunk) = self.chunk.take() {
                self.before += chunk.len() as u64;
                self.chunks.recycle(chunk);
            }
            self.at = 0;
            self.chunk = self.chunks.next();
            if self.chunk.is_none() {
                return &[];
            }
        }
        self.chunk.as_ref().map_or(&[], |chunk| &chunk[self.at..])
    }

    /// Opens the next member; `false` at the end of the stream, which may be padded with zero bytes.
    fn open_next_member(&mut self) -> io::Result<bool> {
        let first = self.before == 0 && self.at == 0;
        let mut zeros = false;
        loop {
            let at = self.before + self.at as u64;
            let Some(&byte) = self.fill_buf().first() else {
                return if first { Err(invalid_gzip("it is empty")) } else { Ok(false) };
            };
            match byte {
                0 if !first => {
                    zeros = true;
                    self.at += 1;
                }
                byte if byte == MAGIC[0] && !zeros => {
                    self.member = Some(Decompress::new_gzip(15));
                    return Ok(true);
                }
                _ if first => {
                    let start = preview(self.fill_buf());
                    return Err(invalid_gzip(format!("it is not a gzip file: it starts with {start}")));
                }
                _ => {
                    let message = format!("other data follows the gzip stream, which ends at byte {at}");
                    return Err(invalid_gzip(message));
                }
            }
        }
    }

    fn inflate(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.member.is_none() && !self.open_next_member()? {
                return Ok(0);
            }
            let at_end = self.fill_buf().is_empty();
            let (Some(member), input) =
                (&mut self.member, self.chunk.as_ref().map_or(&[][..], |c| &c[self.at..]))
            else {
                return Ok(0);
            };
            let (was_in, was_out) = (member.total_in(), member.total_out());
            let status = member.decompress(input, out, FlushDecompress::None).map_err(|error| {
                let why = error.message().map_or_else(|| "bad data".to_owned(), str::to_owned);
                invalid_gzip(format!("it does not inflate near byte {}: {why}", self.before + self.at as u64))
            })?;
            self.at += (member.total_in() - was_in) as usize;
            let produced = (member.total_out() - was_out) as usize;
            match status {
                Status::StreamEnd => self.member = None,
                Status::Ok | Status::BufError if produced == 0 && at_end => {
                    return Err(invalid_gzip(format!("it ends in the middle, after {} bytes", self.before)));
                }
                Status::Ok | Status::BufError => {}
            }
            if produced > 0 {
                return Ok(produced);
            }
        }
    }
}

/// The first bytes of a stream, for messages: as text, or as hexadecimal.
fn preview(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(12)];
    match std::str::from_utf8(head) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => head.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    }
}

impl Read for GzipReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let produced = self.inflate(out)?;
        self.inflated += produced as u64;
        let max = self.max_output();
        if self.inflated > max {
            let why = if max < self.limits.max { ", which its size does not explain" } else { "" };
            return Err(invalid_gzip(format!("it inflates to more than {} MiB{why}", max >> 20)));
        }
        Ok(produced)
    }
}
