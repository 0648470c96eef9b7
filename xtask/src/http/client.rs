//! HTTP requests with redirects, each URL checked.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ureq::config::ConfigBuilder;
use ureq::http::Response;
use ureq::tls::TlsConfig;
use ureq::typestate::AgentScope;
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, Body, Proxy, ProxyProtocol};

use super::classify_response::{ResumePoint, header_text};
use super::download_limits::DownloadLimits;
use super::error::{ALLOW_HOST, OTHER_MIRROR, RequestError, RequestResult, Route};
use super::proxy::{ProxyConfig, ProxyServer};
use super::public_address::{PublicHostResolver, is_private_host};
use super::request_transport::{Deadline, RequestConnector};
use super::tls::{self, CaBundle};
use super::url::Url;
use coreos_types::{Error, Result};

/// Redirects that are followed; curl follows 50, browsers 20.
const MAX_REDIRECTS: usize = 10;

/// Configuration of connections, from the environment and the command line.
#[derive(Debug, Clone, Default)]
pub struct ClientConfig {
    /// `--insecure-http`: plain http to other hosts than loopback.
    pub insecure_http: bool,
    /// `--offline`: no request is made.
    pub offline: bool,
    /// The certificates that TLS trusts.
    pub ca_bundle: CaBundle,
    /// Proxies.
    pub proxies: ProxyConfig,
    /// Time limits.
    pub limits: DownloadLimits,
    /// For a URL of an untrusted tree, the hosts that the user trusts. A redirect to any other host must not have a
    /// loopback or private address.
    pub trusted_hosts: Option<Vec<String>>,
}

impl ClientConfig {
    /// The configuration of a run without options: certificates and proxies of the environment.
    pub fn from_env() -> ClientConfig {
        ClientConfig {
            ca_bundle: CaBundle::from_env(),
            proxies: ProxyConfig::from_env(),
            ..ClientConfig::default()
        }
    }
}

/// An event that a client reports to its logger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A response, for `-v`.
    Response(String),
    /// A request that failed and will be retried.
    Retry(String),
}

/// Receives each [`Event`].
type Logger = Arc<dyn Fn(Event) + Send + Sync>;

/// An HTTP client; a command has one.
#[derive(Clone)]
pub struct Client {
    pub(super) config: ClientConfig,
    logger: Logger,
    /// TLS configuration, read for the first https request.
    tls: OnceLock<Result<TlsConfig>>,
}

/// A response, with the deadline of its connection and its route.
pub(super) struct Received {
    pub(super) response: Response<Body>,
    pub(super) deadline: Deadline,
    pub(super) route: Route,
}

impl Client {
    /// Creates a client.
    pub fn new(config: ClientConfig) -> Client {
        Client { config, logger: Arc::new(|_| {}), tls: OnceLock::new() }
    }

    /// Reports each response and retry to `logger`.
    pub fn with_logger(self, logger: impl Fn(Event) + Send + Sync + 'static) -> Client {
        Client { logger: Arc::new(logger), ..self }
    }

    pub(super) fn log(&self, event: Event) {
        (self.logger)(event);
    }

    /// Whether no request may be made.
    pub fn is_offline(&self) -> bool {
        self.config.offline
    }

    /// Checks a URL without a request.
    ///
    /// # Errors
    /// The URL is not valid, or is plain http to another machine.
    pub fn check_url(&self, url: &str) -> Result<()> {
        self.check_scheme(&Url::parse(url)?, None)
    }

    /// The error of a file that is not available offline.
    pub fn offline_error(&self, url: &str) -> Error {
        Error::failed(format!("cannot download {url}"))
            .with_cause("--offline allows no request, and the cache does not have it")
            .with_hint("run it once without --offline: downloads are cached")
    }

    /// Sends a GET for `url`, follows redirects, and returns the response whatever its status. Each hop has the time of
    /// `limits`, and all of them together have `left`.
    pub(super) fn get_with_redirects(
        &self,
        url: &str,
        resume: Option<&ResumePoint>,
        limits: DownloadLimits,
        left: Duration,
    ) -> RequestResult<Received> {
        let end = Instant::now() + left;
        if self.config.offline {
            return Err(self.offline_error(url).into());
        }
        let first = Url::parse(url)?;
        let mut next = first.clone().with_plus_encoded();
        let mut previous: Option<Url> = None;
        for _ in 0..=MAX_REDIRECTS {
            let public_host = self.check_hop(&next, previous.as_ref())?;
            let limits = limits.capped_at(end.saturating_duration_since(Instant::now()));
            let redirected_from = previous.is_some().then(|| first.clone());
            let received = self.send(next, redirected_from, resume, limits, public_host)?;
            let status = received.response.status();
            if !status.is_redirection() || status.as_u16() == 304 {
                return Ok(received);
            }
            let current = &received.route.url;
            let location = received.response.headers().get("location").map(|location| location.as_bytes());
            let location =
                location.filter(|location| !location.trim_ascii().is_empty()).ok_or_else(|| {
                    Error::failed(format!("{current} redirects without a Location")).with_hint(OTHER_MIRROR)
                })?;
            next = current.join(location).map_err(|error| Error {
                hint: Some(OTHER_MIRROR.to_owned()),
                ..error.context(format!("{current} redirects to an invalid URL"))
            })?;
            previous = Some(received.route.url);
        }
        let error = Error::failed(format!("{first} redirects more than {MAX_REDIRECTS} times"));
        Err(error.with_hint(OTHER_MIRROR).into())
    }

    /// Checks the URL of one hop. Returns its host if that must have public addresses only.
    fn check_hop(&self, url: &Url, previous: Option<&Url>) -> Result<Option<String>> {
        self.check_scheme(url, previous)?;
        let trusted = self.config.trusted_hosts.as_ref().filter(|_| previous.is_some());
        if trusted.is_none_or(|hosts| hosts.iter().any(|host| host == url.host())) {
            return Ok(None);
        }
        if is_private_host(url.host()) {
            let cause = "the URL comes from the tree of --repo, which must not redirect to loopback or private addresses";
            let error = Error::failed(format!("refusing the redirect to {url}")).with_cause(cause);
            return Err(error.with_hint(ALLOW_HOST));
        }
        Ok(Some(url.host().to_owned()))
    }

    fn check_scheme(&self, url: &Url, previous: Option<&Url>) -> Result<()> {
        let from_https = previous.is_some_and(Url::is_https);
        if url.is_https() || url.is_loopback() && !from_https {
            return Ok(());
        }
        if from_https {
            return Err(Error::failed(format!("refusing the redirect from https to {url}"))
                .with_hint("use a mirror that stays on https: --mirror URL"));
        }
        if self.config.insecure_http {
            return Ok(());
        }
        Err(Error::failed(format!("refusing {url}: plain http is for loopback only"))
            .with_hint("use https, or allow it with --insecure-http: signatures are still verified"))
    }

    fn send(
        &self,
        url: Url,
        redirected_from: Option<Url>,
        resume: Option<&ResumePoint>,
        limits: DownloadLimits,
        public_host: Option<String>,
    ) -> RequestResult<Received> {
        let proxy = self.config.proxies.for_url(&url)?;
        let forwarded = proxy.as_ref().and_then(|proxy| proxy.forward_proxy_origin(&url));
        let tunnel = proxy.as_ref().filter(|_| forwarded.is_none()).map(|server| &server.proxy);
        let mut config = configure_agent(limits, tunnel);
        let is_https_proxy = |server: &ProxyServer| server.proxy.protocol() == ProxyProtocol::Https;
        if url.is_https() || proxy.as_ref().is_some_and(is_https_proxy) {
            let tls = self.tls.get_or_init(|| tls::config(&self.config.ca_bundle));
            config = config.tls_config(tls.clone()?);
        }
        let deadline = Deadline::new(limits.overhead_timeout);
        let adapter = RequestConnector {
            deadline: deadline.clone(),
            absolute_form: forwarded.as_ref().map(|_| url.origin()),
        };
        let connector = DefaultConnector::new().chain(adapter);
        let agent = Agent::with_parts(config.build(), connector, PublicHostResolver { public_host });
        let target = format!("{}{}", forwarded.clone().unwrap_or_else(|| url.origin()), url.path_and_query());
        let mut request = agent.get(target);
        if forwarded.is_some() {
            request = request.header("Host", url.authority());
            if let Some(value) = proxy.as_ref().and_then(ProxyServer::authorization) {
                request = request.header("Proxy-Authorization", value);
            }
        }
        if let Some(resume) = resume {
            request = request
                .header("Range", format!("bytes={}-", resume.at))
                .header("If-Range", &resume.validator);
        }
        let route = Route { url, redirected_from, proxy: proxy.map(|proxy| proxy.redacted) };
        let response = request.call().map_err(|error| RequestError::from_request(&route, &error))?;
        self.log(Event::Response(describe(&route.url, &response, resume)));
        Ok(Received { response, deadline, route })
    }
}

/// The configuration of one request, which has its own connection.
fn configure_agent(limits: DownloadLimits, tunnel: Option<&Proxy>) -> ConfigBuilder<AgentScope> {
    let DownloadLimits { connect_timeout, read_timeout, .. } = limits;
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("coreos-xtask/", env!("CARGO_PKG_VERSION")))
        // An encoded body has neither the signed bytes nor the byte ranges of the file.
        .accept_encoding("identity")
        .proxy(tunnel.cloned())
        .timeout_resolve(Some(connect_timeout))
        .timeout_connect(Some(connect_timeout))
        .timeout_per_read(Some(read_timeout))
        .timeout_per_write(Some(read_timeout))
}

/// `URL: 206 Partial Content, 3000 bytes from byte 1000 on`.
fn describe(url: &Url, response: &Response<Body>, resume: Option<&ResumePoint>) -> String {
    let length = header_text(response.headers(), "content-length");
    let length = length.map_or_else(|| "of unknown length".to_owned(), |bytes| format!("{bytes} bytes"));
    let from = resume.map_or_else(String::new, |resume| format!(" from byte {} on", resume.at));
    format!("{url}: {}, {length}{from}", response.status())
}
