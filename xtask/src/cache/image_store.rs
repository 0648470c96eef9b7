//! The image store: cache, HTTP client, trusted keys and terminal, with the signature checks that every source shares.

use std::fs::File;

use super::dir::Cache;
use super::file_id::FileId;
use super::image_file::{ImageFile, ImageStream};
use super::sig_file;
use super::tree_cache::CacheInputs;
use crate::http::{Client, ClientConfig, MAX_LIST_LEN, MAX_SIGNATURE_LEN};
use crate::keyring::Keyring;
use crate::terminal::Term;
use crate::verbose_log::logging_http_client;
use coreos_types::{Error, Result, Signer};
use openpgp_policy::{Certificate, DetachedSignatures, Verification};
use pxe_image::{Digest, SignatureCheck, VerifiedImage};

/// A function that downloads a file of at most this many bytes; `None` if the server does not have the file.
type GetFn = fn(&Client, &str, u64) -> Result<Option<Vec<u8>>>;

/// Opens local images, cached images and downloads. Several threads may share it.
#[derive(Clone)]
pub struct ImageStore {
    /// The cache directory.
    pub cache: Cache,
    /// HTTP client.
    pub client: Client,
    /// Trusted keys.
    pub keyring: Keyring,
    /// Progress and diagnostics.
    pub term: Term,
}

impl ImageStore {
    /// Creates a store with an HTTP client that reports to `term`.
    pub fn new(cache: Cache, config: ClientConfig, keyring: Keyring, term: &Term) -> ImageStore {
        ImageStore { cache, client: logging_http_client(term, config), keyring, term: term.clone() }
    }

    /// Downloads a small signed file of a release and verifies it; `None` if the server does not have the file. `get`
    /// is [`Client::get_bytes`], or [`Client::get_bytes_without_retry`] for a file that is not required.
    ///
    /// # Errors
    /// The file is not available, or its signature is missing or not valid.
    pub fn fetch_signed(&self, url: &str, get: GetFn) -> Result<Option<(Vec<u8>, Signer)>> {
        let Some(bytes) = get(&self.client, url, MAX_LIST_LEN)? else { return Ok(None) };
        let signature = get(&self.client, &format!("{url}.sig"), MAX_SIGNATURE_LEN)?;
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
        self.keyring.begin_verification(&signature, (!self.client.is_offline()).then_some(&fetch))
    }

    /// The signature check for the bytes of `source`; fails at once if the result does not depend on them.
    pub(super) fn signature_check(&self, source: &str, signature: Option<&[u8]>) -> Result<SignatureCheck> {
        let Some(signature) = signature else { return Ok(SignatureCheck::new(None)) };
        let verification = self.fetch_key_and_begin_verification(source, signature)?;
        if verification.needs_data() {
            return Ok(SignatureCheck::new(Some(verification)));
        }
        // The signature is refused whatever the bytes are: they need not be read or downloaded.
        let signer = verification.finish().into_signer();
        signer.and_then(|_| Err(Error::refused(format!("{source} is not signed"))))
    }

    /// Reads `file`, which is the image, and verifies its bytes.
    pub(super) fn verify(&self, image: &ImageFile, file: &File) -> Result<VerifiedImage> {
        let check = self.signature_check(&image.source, image.signature.as_deref())?;
        let stream = ImageStream::new(&self.term, file, |_| Ok(()));
        let size = stream.size;
        VerifiedImage::read_and_verify(&image.source, stream, size, check, &self.cache.temp_dir_or_system())
    }

    /// The key of a cached tree for these inputs and the local certificates.
    pub(super) fn cache_inputs(&self, stamp: FileId, signature: Option<&[u8]>) -> CacheInputs {
        let certificates = self.keyring.local_certificates();
        let certificates: Vec<_> = certificates.iter().map(Certificate::to_bytes).collect();
        CacheInputs {
            stamp,
            signature: signature.map(Digest::sha256),
            certificates: Digest::sha256(&certificates.concat()),
        }
    }

    /// Verifies the signature of a cached tree again, by the stored digests of the image; the outer `None` if it is not
    /// valid, and the inner one for an image without a signature.
    pub(super) fn reverify_cached(
        &self,
        file: &ImageFile,
        digest: Digest,
        hashes: &[Option<Vec<u8>>],
    ) -> Result<Option<Option<Signer>>> {
        let Some(signature) = &file.signature else { return Ok(Some(None)) };
        let signature = DetachedSignatures::parse(signature, &format!("{}.sig", file.source))?;
        let verification = self.keyring.begin_verification(&signature, None)?;
        // With several signatures another one may be valid now, and it may use another hash than the cached digest.
        let octets = verification.file_digest().map_or(32, |digest| digest.len());
        let results = verification.finish_with_signature_digests(hashes);
        Ok(results.into_signer().ok().filter(|_| octets == digest.octets().len()).map(Some))
    }
}

/// The error of a file on a server without a signature.
pub(super) fn missing_remote_signature_error(url: &str) -> Error {
    sig_file::missing_signature_error(format!("{url}.sig"))
        .with_hint("use a mirror that has the signatures too: --mirror URL")
}
