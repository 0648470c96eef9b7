//! The image store: cache, HTTP client, trusted keys and terminal, with the signature checks that every source shares.

use super::dir::Cache;
use super::file_id::FileId;
use super::image_file::ImageFile;
use super::sig_file;
use super::tree_cache::{CacheInputs, CachedTree};
use crate::http::{Client, MAX_LIST_LEN, MAX_SIGNATURE_LEN};
use crate::keyring::{FetchFn, Keyring};
use crate::terminal::Term;
use coreos_types::{Error, Result, Signer};
use openpgp_policy::{Certificate, DetachedSignatures, Verification};
use pxe_image::{Digest, SignatureCheck};

/// Opens local images, cached images and downloads. Several threads may share it.
pub struct ImageStore<'t> {
    /// The cache directory.
    pub cache: Cache,
    /// HTTP client.
    pub client: Client,
    /// Trusted keys.
    pub keyring: Keyring,
    /// Progress and diagnostics.
    pub term: &'t Term,
}

impl ImageStore<'_> {
    /// Downloads a small signed file of a release and verifies it; `None` if the server does not have the file.
    ///
    /// # Errors
    /// The file is not available, or its signature is missing or not valid.
    pub fn fetch_signed(&self, url: &str) -> Result<Option<(Vec<u8>, Signer)>> {
        self.fetch_signed_with(url, |url, max_len| self.client.get_bytes(url, max_len))
    }

    /// As [`ImageStore::fetch_signed`], without retries and within 30 s: for a file that is not required.
    ///
    /// # Errors
    /// As [`ImageStore::fetch_signed`].
    pub fn fetch_signed_without_retry(&self, url: &str) -> Result<Option<(Vec<u8>, Signer)>> {
        self.fetch_signed_with(url, |url, max_len| self.client.get_bytes_without_retry(url, max_len))
    }

    fn fetch_signed_with(
        &self,
        url: &str,
        get: impl Fn(&str, u64) -> Result<Option<Vec<u8>>>,
    ) -> Result<Option<(Vec<u8>, Signer)>> {
        let Some(bytes) = get(url, MAX_LIST_LEN)? else { return Ok(None) };
        let signature = get(&format!("{url}.sig"), MAX_SIGNATURE_LEN)?;
        let mut verification = self.fetch_key_and_begin_verification(
            url,
            &signature.ok_or_else(|| missing_remote_signature_error(url))?,
        )?;
        verification.update(&bytes);
        verification.finish().into_signer().map(|signer| Some((bytes, signer)))
    }

    /// Begins the verification of a signature of `source`, with newer certificates if its key is unknown.
    fn fetch_key_and_begin_verification(&self, source: &str, signature: &[u8]) -> Result<Verification> {
        let signature = DetachedSignatures::parse(signature, &format!("{source}.sig"))?;
        let fetch = |url: &str| self.client.get_certificate(url);
        let fetch: Option<FetchFn<'_>> = if self.client.is_offline() { None } else { Some(&fetch) };
        self.keyring.begin_verification(&signature, fetch)
    }

    /// The signature check for the bytes of `source`; fails at once if the result does not depend on them.
    pub(super) fn signature_check(&self, source: &str, signature: Option<&[u8]>) -> Result<SignatureCheck> {
        let Some(signature) = signature else { return Ok(SignatureCheck::Unsigned) };
        let verification = self.fetch_key_and_begin_verification(source, signature)?;
        if verification.needs_data() {
            return Ok(verification.into());
        }
        // The signature is refused whatever the bytes are: they need not be read or downloaded.
        let signer = verification.finish().into_signer();
        signer.and_then(|_| Err(Error::refused(format!("{source} is not signed"))))
    }

    /// The key of a cached tree for these inputs and the local certificates.
    pub(super) fn cache_inputs(&self, stamp: FileId, signature: Option<&[u8]>) -> CacheInputs {
        let certificates = self.keyring.local_certificates();
        let certificates: Vec<u8> = certificates.iter().flat_map(Certificate::to_bytes).collect();
        CacheInputs {
            stamp,
            signature: signature.map(Digest::sha256),
            certificates: Digest::sha256(&certificates),
        }
    }

    /// Verifies the signature of a cached tree again, by the stored digests of the image; the outer `None` if it is not
    /// valid, and the inner one for an image without a signature.
    pub(super) fn reverify_cached(
        &self,
        file: &ImageFile,
        cached: &CachedTree,
    ) -> Result<Option<Option<Signer>>> {
        let Some(signature) = file.parse_signature()? else { return Ok(Some(None)) };
        let verification = self.keyring.begin_verification(&signature, None)?;
        // With several signatures another one may be valid now, and it may use another hash than the cached digest.
        let octets = verification.file_digest().map_or(32, |digest| digest.len());
        let results = verification.finish_with_signature_digests(&cached.hashes);
        Ok(results.into_signer().ok().filter(|_| octets == cached.digest.octets().len()).map(Some))
    }
}

/// The error of a file on a server without a signature.
pub(super) fn missing_remote_signature_error(url: &str) -> Error {
    sig_file::missing_signature_error(format!("{url}.sig"))
        .with_hint("use a mirror that has the signatures too: --mirror URL")
}
