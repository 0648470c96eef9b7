//! The image store: cache, HTTP client, trusted keys and terminal, with the signature checks that every source shares.

use std::io::Read;

use super::dir::Cache;
use super::file_id::FileId;
use super::sig_file;
use super::tree_cache::{CacheKey, CachedTree};
use crate::http::{Client, MAX_LIST_LEN, MAX_SIGNATURE_LEN};
use openpgp_policy::{DetachedSignature, Verification};
use pxe_image::{Sha256Digest, VerifiedImage};

use crate::keyring::{FetchFn, Keyring};
use crate::terminal::Term;
use coreos_types::error::{Error, Result};
use coreos_types::provenance::Signer;

pub(super) use pxe_image::SignatureCheck;

/// What local images, cached images and downloads share. It may be used from several threads at once.
pub struct ImageStore<'t> {
    /// The cache directory.
    pub cache: Cache,
    /// Makes the requests.
    pub client: Client,
    /// Trusted keys.
    pub keyring: Keyring,
    /// Progress and diagnostics.
    pub term: &'t Term,
}

impl ImageStore<'_> {
    /// Downloads a small signed file of a release and verifies it; `None` where there is no such file.
    ///
    /// # Errors
    /// It is not available, or its signature is missing or not valid.
    pub fn list(&self, url: &str) -> Result<Option<(Vec<u8>, Signer)>> {
        let Some(bytes) = self.client.get_bytes(url, MAX_LIST_LEN)? else { return Ok(None) };
        let signature = self.client.get_bytes(&format!("{url}.sig"), MAX_SIGNATURE_LEN)?;
        let mut verification = self.verification(url, &signature.ok_or_else(|| no_signature(url))?)?;
        verification.update(&bytes);
        verification.finish().into_signer().map(|signer| Some((bytes, signer)))
    }

    /// Opens the signature of `source`, with newer certificates where it names a key that no one available has.
    pub(super) fn verification(&self, source: &str, signature: &[u8]) -> Result<Verification> {
        let signature = DetachedSignature::parse(signature, &format!("{source}.sig"))?;
        let fetch = |url: &str| self.client.get_certificate(url);
        let fetch: Option<FetchFn<'_>> = if self.client.is_offline() { None } else { Some(&fetch) };
        self.keyring.begin_verification(&signature, fetch)
    }

    /// What the bytes of `source` have to show.
    pub(super) fn proving(&self, source: &str, signature: Option<&[u8]>) -> Result<SignatureCheck> {
        let Some(signature) = signature else { return Ok(SignatureCheck::Unsigned) };
        let verification = self.verification(source, signature)?;
        if verification.needs_data() {
            Ok(verification.into())
        } else {
            // The verdict stands whatever the bytes are: they need not be read, nor downloaded.
            verification
                .finish()
                .into_signer()
                .and_then(|_| Err(Error::refused(format!("{source} is not signed"))))
        }
    }

    /// One pass over a stream, of whose length in bytes `size` tells.
    pub(super) fn prove(
        &self,
        source: &str,
        stream: impl Read,
        size: Option<u64>,
        proving: SignatureCheck,
    ) -> Result<VerifiedImage> {
        VerifiedImage::verify(source, stream, size, proving, &self.cache.temp_dir_or_system())
    }

    /// What a kept tree must have been made of and under.
    pub(super) fn terms(&self, stamp: FileId, signature: Option<&[u8]>) -> CacheKey {
        let certificates: Vec<u8> = self
            .keyring
            .local_certificates()
            .iter()
            .flat_map(|certificate| certificate.to_bytes().to_vec())
            .collect();
        CacheKey {
            stamp,
            signature: signature.map(Sha256Digest::compute),
            certificates: Sha256Digest::compute(&certificates),
        }
    }

    /// Judges the signature again over what the image's bytes were hashed to; the outer `None` where it does not
    /// hold, and the bytes must tell why.
    pub(super) fn signer_of_kept(
        &self,
        source: &str,
        signature: Option<&[u8]>,
        kept: &CachedTree,
    ) -> Result<Option<Option<Signer>>> {
        let Some(signature) = signature else { return Ok(Some(None)) };
        let parsed = DetachedSignature::parse(signature, &format!("{source}.sig"))?;
        let verdicts = self.keyring.begin_verification(&parsed, None)?.finish_with_digests(&kept.hashes);
        Ok(verdicts.into_signer().ok().map(Some))
    }
}

/// The signature of a file on a server is missing.
pub(super) fn no_signature(url: &str) -> Error {
    sig_file::missing_signature(format!("{url}.sig"))
        .with_hint("name a mirror that has the signatures too: --mirror URL")
}
