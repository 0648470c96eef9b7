//! The [`Keyring`]: the trusted certificates of a run and their sources.
//!
//! With `--signing-key` only the certificates in that file are trusted. Otherwise the copies in the cache and in the
//! program are merged. When a signature has an unknown key, the certificate is requested from the vendor's URL and then
//! from the key servers, and accepted only if its computed fingerprint is the pin. So a vendor's new yearly subkey
//! needs no new release of this program.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::atomic_file;
use crate::bounded_file;
use coreos_types::{Error, Result, ResultExt};

use openpgp_policy::{Certificate, DetachedSignatures, Pin, TrustPolicy, Verification};

/// Bytes that are read of a certificate file: one more than [`Certificate::parse_all`] accepts.
const MAX_CERTIFICATE_FILE: u64 = (4 << 20) + 1;

/// Downloads a small file from a URL.
pub type FetchFn<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>>;

/// Key servers in the order of requests; `{fingerprint}` is replaced by the pin's 40 or 64 hex digits.
const KEY_SERVERS: [&str; 2] = [
    "https://keys.openpgp.org/vks/v1/by-fingerprint/{fingerprint}",
    "https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x{fingerprint}",
];

/// Total time for key servers in a run; after it no further server is tried.
const REFRESH_BUDGET: Duration = Duration::from_secs(60);

/// The built-in certificates: public keys, with every subkey to 2019 (the last of CoreOS) and to March 2027 (Flatcar).
static BUILT_IN: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
    let files: [&[u8]; 2] =
        [include_bytes!("certificates/coreos.asc"), include_bytes!("certificates/flatcar.asc")];
    files.iter().filter_map(|file| Certificate::parse(file, "the built-in certificate").ok()).collect()
});

/// The trusted keys of a run, with the sources of their certificates.
#[derive(Debug, Clone)]
pub struct Keyring {
    policy: TrustPolicy,
    /// Certificates of `--signing-key`; if not empty, there are no other sources.
    explicit: Vec<Certificate>,
    /// Certificates of configured vendors, in addition to the built-in ones.
    vendor_certificates: Vec<Certificate>,
    /// The cache's directory for certificates.
    directory: Option<PathBuf>,
    /// Key servers to use instead of the vendors' URLs and [`KEY_SERVERS`].
    own_servers: Option<Vec<String>>,
    responses: Arc<Mutex<RefreshCache>>,
}

/// Responses of this run: each URL is requested once, and all requests together have [`REFRESH_BUDGET`].
#[derive(Debug, Default)]
struct RefreshCache {
    by_url: BTreeMap<String, Result<Certificate>>,
    spent: Duration,
}

impl Keyring {
    /// Trusts the policy's pins. `directory` is the cache for fetched certificates.
    pub fn new(policy: TrustPolicy, directory: Option<PathBuf>) -> Keyring {
        Keyring {
            policy,
            explicit: Vec::new(),
            vendor_certificates: Vec::new(),
            directory,
            own_servers: None,
            responses: Arc::default(),
        }
    }

    /// Trusts the certificates of a file and nothing else.
    ///
    /// # Errors
    /// Failed (2) if the file does not exist, is not a certificate, or has a secret key.
    pub fn from_file(path: &Path, now: u64) -> Result<Keyring> {
        let explicit = read_certificates(path)?;
        let policy = TrustPolicy::from_certificates(&explicit, now);
        Ok(Keyring::from_certificates(policy, explicit))
    }

    /// Trusts the policy's pins with only these certificates.
    pub fn from_certificates(policy: TrustPolicy, explicit: Vec<Certificate>) -> Keyring {
        Keyring { explicit, ..Keyring::new(policy, None) }
    }

    /// With `Some`, uses these key servers and no vendor's URL.
    pub fn with_servers(self, own_servers: Option<Vec<String>>) -> Keyring {
        Keyring { own_servers, ..self }
    }

    /// Adds certificates of configured vendors; only pinned ones are used.
    pub fn with_vendor_certificates(self, vendor_certificates: Vec<Certificate>) -> Keyring {
        Keyring { vendor_certificates, ..self }
    }

    /// The certificates that are available without a request: explicit ones, else cached and built-in ones merged. An
    /// unreadable cached copy is ignored; the next fetch overwrites it.
    pub fn local_certificates(&self) -> Vec<Certificate> {
        if !self.explicit.is_empty() {
            return self.explicit.clone();
        }
        self.policy.pins.iter().filter_map(|pin| self.local_certificate(pin)).collect()
    }

    /// Begins a verification with the local certificates. If a signature has an unknown key and `fetch` is not `None`
    /// (`--offline`), certificates are requested from the key servers.
    ///
    /// # Errors
    /// Failed (2) if no certificate is available.
    pub fn begin_verification(
        &self,
        signature: &DetachedSignatures,
        fetch: Option<FetchFn<'_>>,
    ) -> Result<Verification> {
        let mut certificates = self.local_certificates();
        let mut verification = Verification::new(signature, &certificates, &self.policy);
        let Some(fetch) = fetch.filter(|_| self.explicit.is_empty()) else {
            if !certificates.is_empty() {
                return Ok(verification);
            }
            let hint = "run it once without --offline, or pass the certificate: --signing-key FILE";
            return Err(self.no_certificate_error().with_hint(hint));
        };
        let mut causes = Vec::new();
        // Held during requests, so that other threads wait for the same responses.
        let mut responses = self.responses.lock().unwrap_or_else(PoisonError::into_inner);
        for (pin, url) in self.certificate_urls() {
            if verification.unknown_keys().is_empty() || verification.needs_data() {
                break;
            }
            if responses.spent > REFRESH_BUDGET && !responses.by_url.contains_key(&url) {
                causes.push(format!("{url} and later servers were not tried: the time limit was exceeded"));
                break;
            }
            match responses.get_or_fetch(&url, || self.refresh(pin, &url, fetch)) {
                Ok(certificate) => {
                    certificates.retain(|old| old.fingerprint() != certificate.fingerprint());
                    certificates.push(certificate);
                    verification = Verification::new(signature, &certificates, &self.policy);
                }
                Err(error) => causes.push(error.to_string()),
            }
        }
        if certificates.is_empty() && !verification.unknown_keys().is_empty() {
            return Err(causes.into_iter().fold(self.no_certificate_error(), Error::with_cause));
        }
        verification.set_refresh_errors(causes);
        Ok(verification)
    }

    /// The URLs to request, by pin.
    fn certificate_urls(&self) -> Vec<(&Pin, String)> {
        let mut urls = Vec::new();
        for pin in &self.policy.pins {
            let servers: Vec<&str> = match &self.own_servers {
                Some(servers) => servers.iter().map(String::as_str).collect(),
                None => pin.certificate_url.into_iter().chain(KEY_SERVERS).collect(),
            };
            let fingerprint = pin.fingerprint.as_str();
            urls.extend(servers.iter().map(|url| (pin, url.replace("{fingerprint}", fingerprint))));
        }
        urls
    }

    fn local_certificate(&self, pin: &Pin) -> Option<Certificate> {
        let mut shipped = self.vendor_certificates.iter().chain(&*BUILT_IN);
        let shipped = shipped.find(|one| *one.fingerprint() == pin.fingerprint);
        let Some(mut cached) = self.read_cached_certificate(pin) else { return shipped.cloned() };
        shipped.into_iter().for_each(|shipped| cached.merge(shipped));
        Some(cached)
    }

    fn read_cached_certificate(&self, pin: &Pin) -> Option<Certificate> {
        let path = self.cache_path(pin)?;
        let bytes = bounded_file::read_owned_by_user(&path, MAX_CERTIFICATE_FILE).ok()?;
        let certificate = Certificate::parse(&bytes, &path.display().to_string()).ok()?;
        (*certificate.fingerprint() == pin.fingerprint).then_some(certificate)
    }

    fn cache_path(&self, pin: &Pin) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join(format!("{}.pgp", pin.fingerprint)))
    }

    /// Requests a certificate and merges it with the local copy: a server may leave out user IDs or old bindings, and a
    /// revocation that was seen once must stay.
    fn refresh(&self, pin: &Pin, url: &str, fetch: FetchFn<'_>) -> Result<Certificate> {
        let bytes = fetch(url)?;
        let fetched = Certificate::parse_all(&bytes, url)?;
        let sent: Vec<String> = fetched.iter().map(|one| one.fingerprint().to_string()).collect();
        let is_pinned = |one: &Certificate| *one.fingerprint() == pin.fingerprint;
        let Some(mut certificate) = fetched.into_iter().find(is_pinned) else {
            return Err(Error::refused(format!(
                "{url} sent the certificate of {}: expected {}",
                sent.join(" and of "),
                pin.fingerprint
            )));
        };
        certificate.retain_verified();
        if let Some(known) = self.local_certificate(pin) {
            certificate.merge(&known);
        }
        // A certificate that cannot be stored is still used in this run.
        let _ignored = self.store(pin, &certificate);
        Ok(certificate)
    }

    /// Stores a certificate in the cache, atomically.
    fn store(&self, pin: &Pin, certificate: &Certificate) -> Result<()> {
        let (Some(directory), Some(path)) = (&self.directory, self.cache_path(pin)) else { return Ok(()) };
        let message = || format!("cannot store the certificate in {}", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(message)?;
        atomic_file::write(&path, certificate.to_bytes()).with_context(message)
    }

    fn no_certificate_error(&self) -> Error {
        let names = self.policy.pins.iter().map(|pin| format!("{} ({})", pin.name, pin.fingerprint));
        match names.collect::<Vec<_>>().join(" or ") {
            names if names.is_empty() => Error::failed("no signing key is trusted"),
            names => Error::failed(format!("no certificate available for {names}")),
        }
    }
}

impl RefreshCache {
    /// The response of an earlier request to `url`, else that of a new one.
    fn get_or_fetch(
        &mut self,
        url: &str,
        fetch: impl FnOnce() -> Result<Certificate>,
    ) -> Result<Certificate> {
        if let Some(response) = self.by_url.get(url) {
            return response.clone();
        }
        let start = Instant::now();
        let response = fetch();
        self.spent += start.elapsed();
        self.by_url.insert(url.to_owned(), response.clone());
        response
    }
}

/// Reads the certificates of a file, which may be a pipe, as in `<(gpg --export KEY)`.
///
/// # Errors
/// Failed (2) if the file does not exist, is not a certificate, or has a secret key.
pub fn read_certificates(path: &Path) -> Result<Vec<Certificate>> {
    let source = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_CERTIFICATE_FILE).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read the signing key {source}"))?;
    Certificate::parse_all(&bytes, &source)
}
