//! The file that has signatures and nothing else: a `.sig`.

use coreos_types::{Error, Result};
use pgp::types::Tag;

use super::armor;
use super::packet::{FramingError, Packet, packets};
use super::signature::{ParsedSignature, SignaturePacket};

/// The size of a `.sig` in bytes.
const MAX_SIZE: usize = 64 * 1024;
/// The signatures in one `.sig`: a vendor's has one, and while a key is replaced, two. Each needs a public-key check.
const MAX_SIGNATURES: usize = 16;
const USE_SIG: &str = "use the `.sig` file next to the file on the release server";

/// The signatures of a `.sig` file, parsed but not verified.
#[derive(Debug, Clone)]
pub struct DetachedSignatures {
    pub(super) source: String,
    pub(super) signatures: Vec<ParsedSignature>,
}

impl DetachedSignatures {
    /// Reads a `.sig`, binary or armored; `source` is the path or URL that messages name.
    ///
    /// # Errors
    /// Failed (2) for a file that is not an OpenPGP signature, with the format that it looks like; refused (3) for
    /// other forms of signatures: inline or cleartext messages, trailing octets, additional packets, or a truncated
    /// signature.
    pub fn parse(bytes: &[u8], source: &str) -> Result<DetachedSignatures> {
        let unarmored = match armor::first_label(bytes).as_deref() {
            Some("SIGNATURE") => dearmor_signature(bytes, source)?,
            Some("SIGNED MESSAGE") => return Err(not_detached_error(source, "a cleartext-signed message")),
            Some("MESSAGE") => return Err(not_detached_error(source, "an OpenPGP message")),
            Some(label) => return Err(not_signature_error(source, &format!("an armored PGP {label}"))),
            None => bytes.to_vec(),
        };
        let first = packets(&unarmored).next();
        match first {
            None => return Err(not_signature_error(source, "an empty file")),
            Some(Ok(Packet { tag: Tag::Signature, body })) if may_be_signature(body) => {}
            Some(Err(FramingError::CutOff { tag: Tag::Signature }))
                if unarmored.get(1..).is_some_and(may_have_signature_version) =>
            {
                return Err(Error::refused(format!("{source} is a signature that is cut off"))
                    .with_hint("download the signature again"));
            }
            Some(Ok(packet)) => return Err(unexpected_packet_error(source, packet.tag, bytes)),
            Some(Err(_)) => return Err(not_signature_error(source, describe_format(bytes))),
        }
        if bytes.len() > MAX_SIZE {
            let size = bytes.len();
            let message = format!("{source} has {size} bytes: a detached signature has at most {MAX_SIZE}");
            return Err(Error::refused(message).with_hint(USE_SIG));
        }
        let count = packets(&unarmored).count();
        if count > MAX_SIGNATURES {
            let message = format!(
                "{source} has {count} packets: a detached signature has at most {MAX_SIGNATURES} signatures"
            );
            return Err(Error::refused(message).with_hint(USE_SIG));
        }
        let signatures = packets(&unarmored).map(|packet| match packet {
            Ok(Packet { tag: Tag::Signature, body }) => Ok(SignaturePacket::parse(body)),
            Ok(_) => Err(not_detached_error(source, "a signature with other OpenPGP packets")),
            Err(_) => Err(not_detached_error(source, "a signature with trailing bytes")),
        });
        Ok(DetachedSignatures { source: source.to_owned(), signatures: signatures.collect::<Result<_>>()? })
    }
}

fn dearmor_signature(bytes: &[u8], source: &str) -> Result<Vec<u8>> {
    let armored = armor::parse(bytes).map_err(|error| {
        Error::refused(format!("{source} cannot be read: {error}")).with_hint("download the signature again")
    })?;
    if armored.has_text_outside || armored.blocks.iter().any(|block| block.label != "SIGNATURE") {
        return Err(not_detached_error(source, "an armored signature with other text"));
    }
    Ok(armor::concat_bytes(&armored.blocks))
}

fn may_be_signature(body: &[u8]) -> bool {
    body.first().is_some_and(|version| matches!(version, 2..=6))
}

/// Whether the octets after a packet's first octet have a signature version where the packet's body would start.
fn may_have_signature_version(after_tag: &[u8]) -> bool {
    (1..=5).any(|at| after_tag.get(at).is_some_and(|version| matches!(version, 3..=6)))
}

fn not_detached_error(source: &str, what: &str) -> Error {
    Error::refused(format!("{source} is {what}: expected one detached signature and nothing else"))
        .with_hint(USE_SIG)
}

fn not_signature_error(source: &str, format: &str) -> Error {
    Error::failed(format!("{source} is not an OpenPGP signature: it looks like {format}"))
        .with_hint("check the URL, or download the signature again")
}

fn unexpected_packet_error(source: &str, tag: Tag, bytes: &[u8]) -> Error {
    match tag {
        Tag::OnePassSignature | Tag::LiteralData => not_detached_error(source, "an inline-signed message"),
        Tag::CompressedData if bytes.len() <= MAX_SIZE => {
            not_detached_error(source, "a compressed OpenPGP message")
        }
        Tag::PublicKey | Tag::PublicSubkey => not_signature_error(source, "an OpenPGP certificate"),
        Tag::SecretKey | Tag::SecretSubkey => not_signature_error(source, "an OpenPGP secret key"),
        _ => not_signature_error(source, describe_format(bytes)),
    }
}

/// The format that a file without OpenPGP packets looks like, from its first bytes.
pub(super) fn describe_format(bytes: &[u8]) -> &'static str {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).to_ascii_lowercase();
    let start = start.trim_start_matches('\u{feff}').trim_start();
    match bytes {
        [] => "an empty file",
        [0x1f, 0x8b, ..] => "gzip data, perhaps the image itself",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16 text",
        [0xfd, b'7', b'z', b'X', b'Z', ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => "compressed data",
        _ if start.starts_with("<!doctype html") || start.contains("<html") => "an HTML page",
        _ if start.starts_with("<?xml") => "an XML document, such as a storage server's error",
        _ if start.starts_with('{') || start.starts_with('[') => "a JSON document",
        _ if bytes.iter().all(|byte| *byte == 0) => "a file of zeros",
        _ if start.is_empty() => "a blank file",
        _ if !start.contains(|c: char| c == '\u{fffd}' || c.is_control() && !c.is_whitespace()) => {
            "plain text"
        }
        _ => "random bytes",
    }
}
