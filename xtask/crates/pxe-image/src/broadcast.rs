//! Broadcast of a stream in chunks to several consumers through bounded channels.
//!
//! The bound limits memory: the reader waits for the slowest consumer. Used chunks are recycled.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// The size of a chunk in bytes: large enough that the channel costs nothing, small enough for a second-level cache.
const CHUNK: usize = 256 * 1024;
/// The chunks that a consumer may lag behind; times [`CHUNK`], the memory of the whole broadcast.
const QUEUE_DEPTH: usize = 16;

/// The sending end, which fills chunks and sends them to every consumer.
pub(super) struct Broadcaster {
    consumers: Vec<SyncSender<Arc<Vec<u8>>>>,
    used: Receiver<Vec<u8>>,
    recycler: Sender<Vec<u8>>,
}

/// The receiving end of one consumer.
pub(super) struct ChunkReceiver {
    incoming: Receiver<Arc<Vec<u8>>>,
    recycler: Sender<Vec<u8>>,
}

impl Broadcaster {
    /// A broadcaster without consumers.
    pub(super) fn new() -> Broadcaster {
        let (recycler, used) = channel();
        Broadcaster { consumers: Vec::new(), used, recycler }
    }

    /// Adds a consumer, which receives every byte from the start.
    pub(super) fn subscribe(&mut self) -> ChunkReceiver {
        let (sender, incoming) = sync_channel(QUEUE_DEPTH);
        self.consumers.push(sender);
        ChunkReceiver { incoming, recycler: self.recycler.clone() }
    }

    /// Reads `source` to its end, sends everything to the consumers, and returns the number of bytes. The consumers see
    /// the end of the stream once this returns, also with an error.
    pub(super) fn run(self, mut source: impl Read) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let mut chunk = self.used.try_recv().unwrap_or_default();
            // A used chunk has this length already, so that it is not cleared.
            chunk.resize(CHUNK, 0);
            let length = read_full(&mut source, &mut chunk)?;
            chunk.truncate(length);
            if chunk.is_empty() {
                return Ok(total);
            }
            total += chunk.len() as u64;
            let chunk = Arc::new(chunk);
            for consumer in &self.consumers {
                // A consumer without a receiver has panicked; joining its thread reports that.
                let _ = consumer.send(Arc::clone(&chunk));
            }
        }
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

impl ChunkReceiver {
    /// Calls `use_chunk` with each chunk in turn, to the end of the stream.
    pub(super) fn for_each(&self, mut use_chunk: impl FnMut(&[u8])) {
        while let Some(chunk) = self.next() {
            use_chunk(&chunk);
            self.recycle(chunk);
        }
    }

    /// The next chunk, `None` at the end of the stream.
    pub(super) fn next(&self) -> Option<Arc<Vec<u8>>> {
        self.incoming.recv().ok()
    }

    /// Returns a chunk to the broadcaster once every consumer is done with it.
    pub(super) fn recycle(&self, chunk: Arc<Vec<u8>>) {
        if let Some(chunk) = Arc::into_inner(chunk) {
            // The send fails once the broadcaster has reached the end of the stream.
            let _ = self.recycler.send(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_consumer_sees_every_byte() {
        let text: Vec<u8> = (0..3 * CHUNK + 17).map(|n| (n / 7) as u8).collect();
        let mut broadcaster = Broadcaster::new();
        let consumers = [broadcaster.subscribe(), broadcaster.subscribe()];
        std::thread::scope(|scope| {
            let seen = consumers.map(|chunks| {
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    chunks.for_each(|chunk| seen.extend_from_slice(chunk));
                    seen
                })
            });
            assert_eq!(broadcaster.run(text.as_slice()).ok(), Some(text.len() as u64));
            for consumer in seen {
                assert!(consumer.join().is_ok_and(|seen| seen == text));
            }
        });
    }
}
