//! The public-key operation of a signature check: by ring where it supports the kind of signature, because it uses the
//! processor's own instructions, else by the pgp crate.

use coreos_types::error::catch_panic;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::PublicKey;
use pgp::types::{EddsaLegacyPublicParams, KeyDetails, PublicParams, SignatureBytes, VerifyingKey};
use ring::signature::{
    ED25519, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::packet::FieldReader;
use super::signature::SignaturePacket;

/// Whether the pgp crate finds a signature valid.
pub(super) fn verify_with_pgp(key: &PublicKey, signature: &SignaturePacket, digest: &[u8]) -> bool {
    let hash = HashAlgorithm::from(signature.hash_number);
    catch_panic("the OpenPGP check", || key.verify(hash, digest, &signature.value))
        .is_ok_and(|verified| verified.is_ok())
}

/// Whether ring finds a signature valid that an RSA key with these fields made over a whole message. ring does not
/// support every hash and key size: the pgp crate decides about what is not valid here.
pub(super) fn verify_rsa(mut key: FieldReader<'_>, signature: &SignaturePacket, message: &[u8]) -> bool {
    let parameters = match signature.hash_number {
        2 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        8 => &RSA_PKCS1_2048_8192_SHA256,
        10 => &RSA_PKCS1_2048_8192_SHA512,
        _ => return false,
    };
    let (1 | 3, SignatureBytes::Mpis(integers)) = (signature.key_algorithm, &signature.value) else {
        return false;
    };
    let ([value], Some(n), Some(e)) = (&integers[..], key.mpi(), key.mpi()) else { return false };
    RsaPublicKeyComponents { n, e }.verify(parameters, message, &with_length(value.as_ref(), n.len())).is_ok()
}

/// Whether ring finds an Ed25519 signature over a digest valid; `None` for keys of other kinds. As in the pgp crate, a
/// digest has at least 256 bits (RFC 9580, 5.2.3.3).
pub(super) fn verify_ed25519(key: &PublicKey, signature: &SignaturePacket, digest: &[u8]) -> Option<bool> {
    let (key, octets) = match (key.public_params(), &signature.value) {
        (
            PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { key }),
            SignatureBytes::Mpis(integers),
        ) => (key, integers.iter().flat_map(|integer| with_length(integer.as_ref(), 32)).collect()),
        (PublicParams::Ed25519(parameters), SignatureBytes::Native(octets)) => {
            (&parameters.key, octets.to_vec())
        }
        _ => return None,
    };
    let key = UnparsedPublicKey::new(&ED25519, key.as_bytes());
    Some(digest.len() >= 32 && key.verify(digest, &octets).is_ok())
}

/// A number with leading zeros up to a length in octets.
fn with_length(number: &[u8], length: usize) -> Vec<u8> {
    [&vec![0; length.saturating_sub(number.len())], number].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use pgp::types::Mpi;

    use super::super::Certificate;
    use super::*;

    /// The signature, and copies of it with one bit changed.
    fn with_spoiled_copies(signature: &SignaturePacket) -> Vec<SignaturePacket> {
        let mut copies = vec![signature.clone()];
        let SignatureBytes::Mpis(integers) = &signature.value else { return copies };
        for (index, integer) in integers.iter().enumerate() {
            for bit in [0, integer.len() * 8 - 1] {
                let mut octets = integer.as_ref().to_vec();
                octets[bit / 8] ^= 1 << (bit % 8);
                let mut spoiled = integers.clone();
                spoiled[index] = Mpi::from_slice(&octets);
                copies.push(signature.clone());
                copies.last_mut().unwrap().value = SignatureBytes::Mpis(spoiled);
            }
        }
        copies
    }

    #[test]
    fn ring_and_pgp_agree_on_the_corpus() {
        let files: [&[u8]; 7] = [
            include_bytes!("../../../tests/fixtures/openpgp/gpg.pgp"),
            include_bytes!("../../../tests/fixtures/openpgp/gpg-ed25519.pgp"),
            include_bytes!("../../../tests/fixtures/openpgp/plain.pgp"),
            include_bytes!("../../../tests/fixtures/openpgp/v6.pgp"),
            include_bytes!("../../../tests/fixtures/openpgp/rsa.pgp"),
            include_bytes!("../../../tests/fixtures/openpgp/rsa-sha1.pgp"),
            include_bytes!("../../../tests/fixtures/openpgp/rsa-md5.pgp"),
        ];
        // The numbers of valid and of invalid signatures.
        let (mut rsa, mut ed25519) = ([0, 0], [0, 0]);
        for file in files {
            let mut certificate = Certificate::parse(file, "a fixture").unwrap();
            certificate.filter_signatures(|key, signatures, parts| {
                let public_key = key.public_key().unwrap();
                for signature in signatures.iter().flat_map(with_spoiled_copies) {
                    let message = signature.message(parts);
                    for message in [&message[..], &message[1..]] {
                        let digest = signature.digest(message).unwrap();
                        let expected = verify_with_pgp(public_key, &signature, &digest);
                        if key.algorithm == 1 && [2, 8, 10].contains(&signature.hash_number) {
                            assert_eq!(verify_rsa(key.algorithm_fields(), &signature, message), expected);
                            rsa[usize::from(!expected)] += 1;
                        }
                        if let Some(found) = verify_ed25519(public_key, &signature, &digest) {
                            assert_eq!(found, expected);
                            ed25519[usize::from(!expected)] += 1;
                        }
                    }
                }
            });
        }
        assert!(rsa.iter().chain(&ed25519).all(|count| *count > 3), "{rsa:?} {ed25519:?}");
    }
}
