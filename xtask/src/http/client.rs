//! Asks: one request with its redirects, under the rules for addresses.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use ureq::http::Response;
use ureq::{Agent, Body};

use super::download::Resume;
use super::error::{RequestError, RequestResult, trouble};
use super::retry::{RetryPolicy, retry_after};
use super::tls;
use super::url::Url;
use coreos_types::error::{Error, Result};

/// Redirects that are followed, as browsers and curl do about.
const MOST_REDIRECTS: usize = 10;

/// Where a server goes in circles, another one helps.
const OTHER_MIRROR: &str = "name another mirror: --mirror URL";

/// What the environment and the command line say about connections.
#[derive(Debug, Clone, Default)]
pub struct ClientConfig {
    /// `--insecure-http`: plain http to other hosts than loopback.
    pub insecure_http: bool,
    /// `--offline`: nothing is asked at all.
    pub offline: bool,
    /// The value of `SSL_CERT_FILE`.
    pub certificates: Option<std::ffi::OsString>,
    /// How long to wait.
    pub patience: RetryPolicy,
}

impl ClientConfig {
    /// The rules of a run that was told nothing else: `SSL_CERT_FILE` names the certificates.
    pub fn from_environment() -> ClientConfig {
        ClientConfig { certificates: std::env::var_os("SSL_CERT_FILE"), ..ClientConfig::default() }
    }
}

/// Who is told of each answer.
type Ear = Box<dyn Fn(&str) + Send + Sync>;

/// Makes requests; a command has one.
pub struct Client {
    rules: ClientConfig,
    ear: Option<Ear>,
    /// For https; it needs certificates, which are read when they are first needed.
    secure: OnceLock<Agent>,
    plain: OnceLock<Agent>,
}

impl Client {
    /// A client; proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    pub fn new(rules: ClientConfig) -> Client {
        Client { rules, ear: None, secure: OnceLock::new(), plain: OnceLock::new() }
    }

    /// Tells `ear` of each request and what came of it.
    #[must_use]
    pub fn telling(self, ear: impl Fn(&str) + Send + Sync + 'static) -> Client {
        Client { ear: Some(Box::new(ear)), ..self }
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if let Some(ear) = &self.ear {
            ear(&what());
        }
    }

    /// Whether nothing may be asked.
    pub fn is_offline(&self) -> bool {
        self.rules.offline
    }

    /// Holds an address against the rules, without asking it.
    ///
    /// # Errors
    /// It is no address, or plain http to another machine.
    pub fn may_ask(&self, url: &str) -> Result<()> {
        self.allow(url, &Url::parse(url)?, None)
    }

    /// Why a file is not to be had offline.
    pub fn offline(&self, url: &str) -> Error {
        Error::failed(format!("cannot get {url}"))
            .with_cause("--offline leaves the network alone")
            .with_hint("run it once without --offline: what it gets is kept")
    }

    pub(super) fn patience(&self) -> &RetryPolicy {
        &self.rules.patience
    }

    /// Sends a GET for `url`, with redirects followed, and gives the answer whatever its status. The whole of it may
    /// take as long as there is time `left`.
    pub(super) fn ask(
        &self,
        url: &str,
        resume: Option<&Resume>,
        left: Duration,
    ) -> RequestResult<Response<Body>> {
        let end = Instant::now() + left;
        if self.rules.offline {
            return Err(RequestError::lasting(self.offline(url)));
        }
        let mut at = url.to_owned();
        let mut before: Option<Url> = None;
        for _ in 0..=MOST_REDIRECTS {
            let address = Url::parse(&at).map_err(RequestError::lasting)?;
            self.allow(&at, &address, before.as_ref()).map_err(RequestError::lasting)?;
            let answer = self.send(&at, &address, resume, end)?;
            if !answer.status().is_redirection() || answer.status().as_u16() == 304 {
                return Ok(answer);
            }
            let location = answer.headers().get("location").and_then(|value| value.to_str().ok());
            let Some(location) = location else {
                let fault = Error::failed(format!("{at} is redirected to nowhere"));
                return Err(RequestError::lasting(fault.with_hint(OTHER_MIRROR)));
            };
            at = address.follow(location);
            before = Some(address);
        }
        let fault = Error::failed(format!("{url} is redirected more than {MOST_REDIRECTS} times"));
        Err(RequestError::lasting(fault.with_hint(OTHER_MIRROR)))
    }

    fn allow(&self, url: &str, address: &Url, before: Option<&Url>) -> Result<()> {
        if address.secure || address.is_loopback() && before.is_none_or(|before| !before.secure) {
            return Ok(());
        }
        if before.is_some_and(|before| before.secure) {
            return Err(Error::failed(format!("refusing the redirect from https to {url}"))
                .with_hint("name a mirror that stays on https: --mirror URL"));
        }
        if self.rules.insecure_http {
            return Ok(());
        }
        Err(Error::failed(format!("refusing {url}: plain http is for this machine alone"))
            .with_hint("use https, or allow it with --insecure-http: the signature is checked all the same"))
    }

    fn send(
        &self,
        url: &str,
        address: &Url,
        resume: Option<&Resume>,
        end: Instant,
    ) -> RequestResult<Response<Body>> {
        let agent = self.agent(address).map_err(RequestError::lasting)?;
        let left = end.saturating_duration_since(Instant::now());
        let RetryPolicy { connect, stall, .. } = self.rules.patience.within(left);
        let mut request = agent
            .get(url)
            .config()
            .timeout_resolve(Some(connect))
            .timeout_connect(Some(connect))
            .timeout_recv_response(Some(stall))
            .timeout_per_read(Some(stall))
            .timeout_per_write(Some(stall))
            .build();
        if let Some(resume) = resume {
            request = request
                .header("Range", format!("bytes={}-", resume.at))
                .header("If-Range", &resume.validator);
        }
        let answer = request.call().map_err(|error| trouble(url, address, &error))?;
        let status = answer.status();
        self.tell(|| told(url, &answer, resume));
        if !matches!(status.as_u16(), 408 | 429 | 500..) {
            return Ok(answer);
        }
        let asked = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|value| retry_after(value, SystemTime::now()));
        let fault =
            Error::failed(format!("cannot get {url}")).with_cause(format!("the server answered {status}"));
        let fault = match asked {
            Some(wait) => fault.with_cause(format!("it asks to come back in {} s", wait.as_secs())),
            None => fault,
        };
        Err(RequestError { retry_after: asked, ..RequestError::passing(fault) })
    }

    fn agent(&self, address: &Url) -> Result<&Agent> {
        let cell = if address.secure { &self.secure } else { &self.plain };
        if let Some(agent) = cell.get() {
            return Ok(agent);
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("coreos-xtask/", env!("CARGO_PKG_VERSION")))
            // A body that was encoded on the way has neither the signature's bytes nor the ranges of the file.
            .accept_encoding("identity");
        if address.secure {
            config = config.tls_config(tls::tls(self.rules.certificates.clone())?);
        }
        if address.is_loopback() {
            config = config.proxy(None);
        }
        Ok(cell.get_or_init(|| config.build().new_agent()))
    }
}

/// `URL: 206 Partial Content, 3000 bytes from byte 1000 on`.
fn told(url: &str, answer: &Response<Body>, resume: Option<&Resume>) -> String {
    let length = answer.headers().get("content-length").and_then(|value| value.to_str().ok());
    let length = length.map_or_else(|| "of unknown length".to_owned(), |bytes| format!("{bytes} bytes"));
    let from = resume.map_or_else(String::new, |resume| format!(" from byte {} on", resume.at));
    format!("{url}: {}, {length}{from}", answer.status())
}
