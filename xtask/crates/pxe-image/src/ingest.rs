//! The one pass over a file: signature, digest and content, side by side, from one read.

use std::fs::File;
use std::io::Read;
use std::thread::{self, ScopedJoinHandle};

use super::broadcast::{Broadcaster, ChunkReceiver};
use super::extract::unpack;
use super::limits::InflateLimits;
use super::temp_file::UnlinkedTempDir;
use coreos_types::error::error_from_io;
use coreos_types::error::{Error, Result};

/// Something that looks at every byte of a stream: a signature's hash.
pub trait Watch: Send {
    /// The next bytes, in order.
    fn update(&mut self, bytes: &[u8]);

    /// The SHA-256 of all bytes so far, where it comes with the watching: the vendors sign over that very hash, and
    /// taking it twice would cost as much again. A watch that answers once, answers always.
    fn sha256(&self) -> Option<[u8; 32]> {
        None
    }
}

impl Watch for () {
    fn update(&mut self, _: &[u8]) {}
}

/// The SHA-256 of a file, by which reports and the cache name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of bytes that are in memory.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::from_ring(&ring::digest::digest(&ring::digest::SHA256, bytes))
    }

    /// Lower-case hexadecimal, 64 digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`Digest::hex`] wrote.
    pub fn from_hex(text: &str) -> Option<Digest> {
        let mut bytes = [0; 32];
        let plain =
            text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        plain.then_some(Digest(bytes))
    }

    fn from_ring(digest: &ring::digest::Digest) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Digest(bytes)
    }
}

impl std::fmt::Display for Digest {
    /// As reports write it, `sha256:HEX`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

/// What a pass over a whole file found. Nothing of it is trusted before the signature was judged.
#[derive(Debug)]
pub struct Ingested<W> {
    /// The signature's hash, which has seen every byte.
    pub watch: W,
    /// The digest of the file.
    pub digest: Digest,
    /// Its length in bytes.
    pub length: u64,
    /// The squashfs file out of it, where unpacking was asked for and worked; a fault of the content counts only
    /// after the signature was judged, since a broken download fails both.
    pub squashfs: Option<Result<File>>,
}

/// What to make of the content.
#[derive(Debug, Clone)]
pub enum Content {
    /// It is a PXE image: its `usr.squashfs` goes to a file without a name.
    Image(UnlinkedTempDir, InflateLimits),
    /// It is some other file of a release: only its bytes are proved.
    Opaque,
}

/// Reads `source` to its end, once, and shows every byte to the watch, to the digest and to the unpacking.
///
/// # Errors
/// Only those of `source` itself.
pub fn pass<W: Watch>(source: impl Read, watch: W, content: Content) -> Result<Ingested<W>> {
    let mut distributor = Broadcaster::new();
    let to_watch = distributor.consumer();
    let to_digest = watch.sha256().is_none().then(|| distributor.consumer());
    let to_unpack = match content {
        Content::Image(scratch, limits) => Some((distributor.consumer(), scratch, limits)),
        Content::Opaque => None,
    };
    thread::scope(|scope| {
        let watching = scope.spawn(move || watched(&to_watch, watch));
        let digesting = to_digest.map(|chunks| scope.spawn(move || digested(&chunks)));
        let unpacking =
            to_unpack.map(|(chunks, scratch, limits)| scope.spawn(move || unpack(&chunks, &scratch, limits)));
        let read = distributor.run(source);
        let watch = joined(watching, "the signature check")?;
        let digest = digesting.map(|thread| joined(thread, "the digest")).transpose()?;
        let squashfs = unpacking.map(|thread| joined(thread, "the unpacking").flatten());
        let length = read.map_err(error_from_io)?;
        let digest = digest.or_else(|| watch.sha256().map(Digest));
        let digest = digest.ok_or_else(|| Error::failed("the signature check lost its hash"))?;
        Ok(Ingested { watch, digest, length, squashfs })
    })
}

fn watched<W: Watch>(chunks: &ChunkReceiver, mut watch: W) -> W {
    chunks.for_each(|chunk| watch.update(chunk));
    watch
}

fn digested(chunks: &ChunkReceiver) -> Digest {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    chunks.for_each(|chunk| context.update(chunk));
    Digest::from_ring(&context.finish())
}

/// The result of a thread; a panic in it, of a crate that met bytes it did not expect, is a fault like any other.
pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, T>, what: &str) -> Result<T> {
    thread.join().map_err(|panic| Error::from_reader_panic(what, &*panic))
}
