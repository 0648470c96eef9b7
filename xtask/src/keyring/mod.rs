//! Where certificates come from, and the one object that carries trust through a run: the [`Keyring`].
//!
//! A `--signing-key` file stands alone. Otherwise the copies in the cache and in the program are taken together;
//! when a signature names a key that they lack, the vendor's address and then the key servers are asked, and what
//! they send is kept only when the fingerprint computed from it is the pin. So a vendor's new yearly subkey needs
//! no new release of this program.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::atomic_file;
use crate::bounded_file;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::release::Brand;

use openpgp_policy::{Certificate, DetachedSignature, Pin, TrustPolicy, Verification};

/// Largest certificate file that is read; [`Certificate::parse_all`] names what is larger than a certificate.
const MAX_CERTIFICATE_FILE: u64 = 8 << 20;

/// Gets the small file behind a URL: the network, as a value.
pub type FetchFn<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>>;

/// Key servers in the order they are asked; `{fingerprint}` is replaced by the pin's 40 or 64 hex digits.
pub const KEY_SERVERS: [&str; 2] = [
    "https://keys.openpgp.org/vks/v1/by-fingerprint/{fingerprint}",
    "https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x{fingerprint}",
];

/// After so long without the key that is wanted no further server is asked.
const REFRESH_BUDGET: Duration = Duration::from_secs(60);

/// Whom to trust in this run, and where their certificates are.
#[derive(Debug, Clone)]
pub struct Keyring {
    policy: TrustPolicy,
    /// Where not empty, nothing else is read or asked.
    explicit: Vec<Certificate>,
    /// The cache's directory for certificates.
    directory: Option<PathBuf>,
    vendor_addresses: bool,
    servers: Vec<String>,
    answers: Arc<Mutex<RefreshCache>>,
}

/// What the addresses sent in this run: none is asked twice, and all of them together have [`REFRESH_BUDGET`].
#[derive(Debug, Default)]
struct RefreshCache {
    by_address: BTreeMap<String, Result<Certificate>>,
    spent: Duration,
}

impl Keyring {
    /// Trusts the policy's pins; `directory` keeps what was fetched.
    pub fn new(policy: TrustPolicy, directory: Option<PathBuf>) -> Keyring {
        let servers = KEY_SERVERS.iter().map(ToString::to_string).collect();
        let answers = Arc::default();
        Keyring { policy, explicit: Vec::new(), directory, vendor_addresses: true, servers, answers }
    }

    /// Trusts the certificates of a file and nothing else.
    ///
    /// # Errors
    /// Failed (2) when the file is not there, is no certificate, or holds a secret key.
    pub fn from_file(path: &Path, now: u64) -> Result<Keyring> {
        let source = path.display().to_string();
        // Also a pipe: a shell makes one of `<(gpg --export KEY)`.
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_CERTIFICATE_FILE).read_to_end(&mut bytes))
            .with_context(|| format!("cannot read the signing key {source}"))?;
        let explicit = Certificate::parse_all(&bytes, &source)?;
        let policy = TrustPolicy::from_certificates(&explicit, now);
        Ok(Keyring::from_certificates(policy, explicit))
    }

    /// Trusts the policy's pins by these certificates and no others.
    pub fn from_certificates(policy: TrustPolicy, explicit: Vec<Certificate>) -> Keyring {
        Keyring { explicit, ..Keyring::new(policy, None) }
    }

    /// Asks these addresses and no vendor's; for configuration and for tests.
    #[must_use]
    pub fn with_servers(mut self, servers: Vec<String>) -> Keyring {
        self.servers = servers;
        self.vendor_addresses = false;
        self
    }

    /// The rules that this keyring judges by.
    pub fn policy(&self) -> &TrustPolicy {
        &self.policy
    }

    /// The certificates that are here without asking anyone: given ones, else cached and built-in ones as one.
    /// A cached copy that cannot be read counts as none; it is written again when the next one is fetched.
    pub fn local_certificates(&self) -> Vec<Certificate> {
        if !self.explicit.is_empty() {
            return self.explicit.clone();
        }
        self.policy.pins.iter().filter_map(|pin| self.local_certificate(pin)).collect()
    }

    /// Judges what needs no data, with the certificates available; when a signature names a key that they lack and
    /// `fetch` is there (`None` is `--offline`), with what the key servers add.
    ///
    /// # Errors
    /// Failed (2) when there is no certificate available and none can be got.
    pub fn begin_verification(
        &self,
        signature: &DetachedSignature,
        fetch: Option<FetchFn<'_>>,
    ) -> Result<Verification> {
        let mut certificates = self.local_certificates();
        let mut verification = Verification::new(signature, &certificates, &self.policy);
        let Some(fetch) = fetch.filter(|_| self.explicit.is_empty()) else {
            return match certificates.is_empty() {
                true => Err(self.none_offline()),
                false => Ok(verification),
            };
        };
        let mut causes = Vec::new();
        // Held while others are asked: what another thread wants to know is answered along with it.
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        for (pin, address) in self.addresses() {
            if verification.unknown_keys().is_empty() || verification.needs_data() {
                break;
            }
            if answers.spent > REFRESH_BUDGET && !answers.by_address.contains_key(&address) {
                causes.push(format!(
                    "{address} and what comes after it was not asked: it took too long already"
                ));
                break;
            }
            match answers.get_or_fetch(&address, || self.refresh(pin, &address, fetch)) {
                Ok(certificate) => {
                    certificates.retain(|old| old.fingerprint() != certificate.fingerprint());
                    certificates.push(certificate);
                    verification = Verification::new(signature, &certificates, &self.policy);
                }
                Err(error) => causes.push(error.to_string()),
            }
        }
        if certificates.is_empty() && verification.has_unknown_key() {
            return Err(causes.into_iter().fold(no_certificate(&self.policy), Error::with_cause));
        }
        verification.set_refresh_errors(causes);
        Ok(verification)
    }

    /// Every address to ask, a pin at a time.
    fn addresses(&self) -> Vec<(&Pin, String)> {
        let of_pin = |pin| {
            let servers = self.servers.iter().map(|server| server_url(server, pin));
            let vendor =
                pin.brand.filter(|_| self.vendor_addresses).map(|brand| vendor_address(brand).to_owned());
            vendor.into_iter().chain(servers).map(move |address| (pin, address)).collect::<Vec<_>>()
        };
        self.policy.pins.iter().flat_map(of_pin).collect()
    }

    fn local_certificate(&self, pin: &Pin) -> Option<Certificate> {
        let cached = self.cached(pin);
        let built_in =
            pin.brand.and_then(built_in).filter(|certificate| *certificate.fingerprint() == pin.fingerprint);
        match (cached, built_in) {
            (Some(mut cached), Some(built_in)) => {
                cached.merge(&built_in);
                Some(cached)
            }
            (cached, built_in) => cached.or(built_in),
        }
    }

    fn cached(&self, pin: &Pin) -> Option<Certificate> {
        let path = self.cache_path(pin)?;
        let bytes = bounded_file::read_own(&path, MAX_CERTIFICATE_FILE).ok()?;
        let certificate = Certificate::parse(&bytes, &path.display().to_string()).ok()?;
        (*certificate.fingerprint() == pin.fingerprint).then_some(certificate)
    }

    fn cache_path(&self, pin: &Pin) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join(format!("{}.pgp", pin.fingerprint)))
    }

    /// Asks one address and joins what it sends to what is available: a server may leave out user ids or old
    /// bindings, and no revocation that was once seen is forgotten.
    fn refresh(&self, pin: &Pin, address: &str, fetch: FetchFn<'_>) -> Result<Certificate> {
        let bytes = fetch(address)?;
        let fetched = Certificate::parse_all(&bytes, address)?;
        let sent: Vec<String> = fetched.iter().map(|one| one.fingerprint().to_string()).collect();
        let is_pinned = |one: &Certificate| *one.fingerprint() == pin.fingerprint;
        let Some(mut certificate) = fetched.into_iter().find(is_pinned) else {
            return Err(Error::refused(format!(
                "{address} sent the certificate of {}: expected {}",
                sent.join(" and of "),
                pin.fingerprint
            )));
        };
        certificate.retain_verified();
        if let Some(known) = self.local_certificate(pin) {
            certificate.merge(&known);
        }
        // One that cannot be kept serves this run all the same.
        let _unkept = self.store(pin, &certificate);
        Ok(certificate)
    }

    /// Written next to and renamed, so that another process sees the old copy or the new one, whole.
    fn store(&self, pin: &Pin, certificate: &Certificate) -> Result<()> {
        let (Some(directory), Some(path)) = (&self.directory, self.cache_path(pin)) else { return Ok(()) };
        let message = || format!("cannot keep the certificate in {}", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(message)?;
        atomic_file::write(&path, certificate.to_bytes()).with_context(message)
    }

    fn none_offline(&self) -> Error {
        no_certificate(&self.policy)
            .with_hint("run it once without --offline, or name the certificate: --signing-key FILE")
    }
}

impl RefreshCache {
    /// What an address sent before, else what it sends now.
    fn get_or_fetch(
        &mut self,
        address: &str,
        ask: impl FnOnce() -> Result<Certificate>,
    ) -> Result<Certificate> {
        if let Some(answer) = self.by_address.get(address) {
            return answer.clone();
        }
        let begun = Instant::now();
        let answer = ask();
        self.spent += begun.elapsed();
        self.by_address.insert(address.to_owned(), answer.clone());
        answer
    }
}

fn no_certificate(policy: &TrustPolicy) -> Error {
    let wanted: Vec<_> =
        policy.pins.iter().map(|pin| format!("{} ({})", pin.name, pin.fingerprint)).collect();
    let error = Error::failed(format!("there is no certificate at hand for {}", wanted.join(" or ")));
    match policy.pins.is_empty() {
        true => Error::failed("no signing key is trusted"),
        false => error,
    }
}

fn server_url(server: &str, pin: &Pin) -> String {
    server.replace("{fingerprint}", pin.fingerprint.as_str())
}

/// Where the vendor publishes its certificate.
fn vendor_address(brand: Brand) -> &'static str {
    match brand {
        Brand::CoreOs => "https://coreos.com/security/image-signing-key/CoreOS_Image_Signing_Key.asc",
        Brand::Flatcar => "https://www.flatcar.org/security/image-signing-key/Flatcar_Image_Signing_Key.asc",
    }
}

/// The copy of a vendor's certificate that the program carries: public keys, with every subkey up to 2019 (CoreOS,
/// which then ended) and to March 2027 (Flatcar).
fn built_in(brand: Brand) -> Option<Certificate> {
    let bytes: &[u8] = match brand {
        Brand::CoreOs => include_bytes!("certificates/coreos.asc"),
        Brand::Flatcar => include_bytes!("certificates/flatcar.asc"),
    };
    Certificate::parse(bytes, "the built-in certificate").ok()
}
