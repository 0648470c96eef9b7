//! Certificate files: armored with text around the blocks, binary, or in another format that the error names.

use super::armor;
use coreos_types::{Error, Result};

/// The packets of a certificate file: of every public key block if it is armored, with any text around the blocks,
/// as `gpg --import` reads them; otherwise the bytes themselves.
///
/// # Errors
/// Failed (2) for a secret key, for armor of another kind or malformed armor, and for files of other programs.
pub(super) fn read_packet_bytes(bytes: &[u8], source: &str) -> Result<Vec<u8>> {
    if let Some((what, hint)) = detect_foreign_format(bytes) {
        let error = unreadable_error(source, &format!("it is {what}"));
        return Err(hint.into_iter().fold(error, Error::with_hint));
    }
    if armor::is_binary(bytes) {
        return Ok(bytes.to_vec());
    }
    let armored = armor::parse(bytes).map_err(|why| unreadable_error(source, &why))?;
    if armored.blocks.iter().any(|block| block.label == "PRIVATE KEY BLOCK") {
        return Err(secret_key_error(source));
    }
    let (public, others): (Vec<_>, Vec<_>) =
        armored.blocks.into_iter().partition(|block| block.label == "PUBLIC KEY BLOCK");
    match others.first() {
        Some(other) if public.is_empty() => {
            Err(unreadable_error(source, &format!("it is an armored PGP {}", other.label.escape_debug())))
        }
        None if public.is_empty() => Ok(bytes.to_vec()),
        _ => Ok(armor::concat_bytes(&public)),
    }
}

/// The name of a known format other than an OpenPGP certificate, and the command that converts it, if one exists.
fn detect_foreign_format(bytes: &[u8]) -> Option<(&'static str, Option<&'static str>)> {
    let starts = |start: &[u8]| bytes.starts_with(start);
    if bytes.get(8..12) == Some(b"KBXf") {
        let export = "gpg --no-default-keyring --keyring ./FILE.kbx --armor --export FINGERPRINT > KEY.asc";
        return Some(("a GnuPG keybox", Some(export)));
    }
    if starts(b"\xff\xfe") || starts(b"\xfe\xff") || bytes.get(1) == Some(&0) && bytes.first() == Some(&b'-')
    {
        return Some(("UTF-16 text", Some("iconv -f UTF-16 -t UTF-8 FILE > KEY.asc")));
    }
    let other = if starts(b"-----BEGIN CERTIFICATE-----") {
        "an X.509 certificate"
    } else if starts(b"ssh-") || starts(b"-----BEGIN OPENSSH") || starts(b"---- BEGIN SSH2") {
        "an SSH key"
    } else if starts(b"untrusted comment:") {
        "a minisign or signify key"
    } else if starts(b"-----BEGIN ") && !starts(b"-----BEGIN PGP ") {
        "a PEM file"
    } else {
        return None;
    };
    Some((other, None))
}

pub(super) fn unreadable_error(source: &str, why: &str) -> Error {
    Error::failed(format!("{source} is not a readable OpenPGP certificate: {why}"))
        .with_hint("gpg --armor --export FINGERPRINT > KEY.asc")
}

pub(super) fn secret_key_error(source: &str) -> Error {
    Error::failed(format!("{source} is a secret-key export: expected a public certificate"))
        .with_hint("gpg --armor --export FINGERPRINT > KEY.asc")
}
