//! A bounded channel for the bytes of a stream: one thread reads and sends chunks, another one reads their bytes.
//!
//! The bound limits memory: the sender waits for the receiver. Used chunks are sent back, to be filled again.

use std::io::{self, BufRead, Read};
use std::mem;
use std::sync::mpsc::{Receiver, SendError, Sender, SyncSender, channel, sync_channel};

/// The chunks that the receiver may lag behind; times the size of a chunk, the memory of the channel.
const QUEUE_DEPTH: usize = 16;

/// The sending end.
pub(super) struct ChunkSender {
    chunks: SyncSender<Vec<u8>>,
    used: Receiver<Vec<u8>>,
}

/// The receiving end: a reader of the bytes of all chunks.
pub(super) struct ChunkReader {
    chunks: Receiver<Vec<u8>>,
    used: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    /// The number of bytes of `chunk` that were read.
    at: usize,
}

/// Both ends of a channel. The stream ends when the sender is dropped.
pub(super) fn chunk_channel() -> (ChunkSender, ChunkReader) {
    let (chunks, incoming) = sync_channel(QUEUE_DEPTH);
    let (used, returned) = channel();
    let reader = ChunkReader { chunks: incoming, used, chunk: Vec::new(), at: 0 };
    (ChunkSender { chunks, used: returned }, reader)
}

impl ChunkSender {
    /// Sends a chunk that is not empty, and returns a used one with any content. A reader that was dropped needs no
    /// more chunks.
    pub(super) fn exchange(&self, chunk: Vec<u8>) -> Vec<u8> {
        match self.chunks.send(chunk) {
            Ok(()) => self.used.try_recv().unwrap_or_default(),
            Err(SendError(chunk)) => chunk,
        }
    }
}

impl BufRead for ChunkReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.chunk.len() {
            // Sending fails once the sender is dropped, which needs no used chunk.
            let _ = self.used.send(mem::take(&mut self.chunk));
            self.chunk = self.chunks.recv().unwrap_or_default();
            self.at = 0;
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for ChunkReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

/// Fills `into`, or as much of it as the stream still has, and returns the number of bytes.
pub(super) fn read_full(source: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < into.len() {
        match source.read(&mut into[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_gets_every_byte() {
        let text: Vec<u8> = (0..100_017).map(|n| (n / 7) as u8).collect();
        let (sender, mut reader) = chunk_channel();
        std::thread::scope(|scope| {
            let read = scope.spawn(move || {
                let mut read = Vec::new();
                reader.read_to_end(&mut read).map(|_| read)
            });
            for chunk in text.chunks(1000) {
                assert!(sender.exchange(chunk.to_vec()).len() <= 1000);
            }
            drop(sender);
            assert!(read.join().is_ok_and(|read| read.is_ok_and(|read| read == text)));
        });
    }

    #[test]
    fn sender_does_not_wait_for_a_dropped_reader() {
        let (sender, reader) = chunk_channel();
        drop(reader);
        assert!((0..=QUEUE_DEPTH).all(|_| sender.exchange(vec![7]) == [7]));
    }
}
