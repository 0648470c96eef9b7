//! Errors of requests, with hints, and whether a retry may help.

use std::io;
use std::time::Duration;

use rustls::CertificateError;
use ureq::Timeout;
use ureq::http::StatusCode;

use super::public_address::ResolveError;
use super::url::Url;
use coreos_types::{Error, Vendor};

/// URL, redirect and proxy of a request, for messages.
pub(super) struct Route {
    pub(super) url: Url,
    /// The requested URL, if it redirected to `url`.
    pub(super) redirected_from: Option<Url>,
    /// `VARIABLE=URL` of the proxy, if there is one.
    pub(super) proxy: Option<String>,
}

impl Route {
    /// The error of a failed request, without a cause.
    pub(super) fn error(&self) -> Error {
        self.explain(Error::request_failed(&self.url))
    }

    /// Adds redirect and proxy to the causes of an error.
    pub(super) fn explain(&self, error: Error) -> Error {
        let redirect = self.redirected_from.iter().map(|from| format!("redirected from {from}"));
        let proxy = self.proxy.iter().map(|proxy| format!("through the proxy of {proxy}"));
        redirect.chain(proxy).fold(error, Error::with_cause)
    }
}

/// One failed request.
#[derive(Debug)]
pub(super) struct RequestError {
    pub(super) error: Box<Error>,
    pub(super) retry_after: Option<Duration>,
    /// Limit of successive retries, in addition to that of `DownloadLimits`; 0 if a retry cannot succeed.
    pub(super) max_retries: u32,
}

/// Limit of retries of a failed name lookup, which may be final or not.
const MAX_LOOKUP_RETRIES: u32 = 2;

pub(super) type RequestResult<T> = std::result::Result<T, RequestError>;

/// A hint for responses that a mirror should not send.
pub(super) const OTHER_MIRROR: &str = "use another mirror: --mirror URL";
pub(super) const CHECK_URL: &str = "check the URL, or use another mirror: --mirror URL";
pub(super) const OPEN_IN_BROWSER: &str =
    "open the URL in a browser: it may be a sign-in page of this network, or an error page of the mirror";
/// The hint for a redirect to an address that is not public.
pub(super) const ALLOW_HOST: &str = "if you trust this host, allow it: --allow-host HOST";
const CHECK_PROXY: &str = "check https_proxy, http_proxy, all_proxy and no_proxy";

/// An error that no retry changes.
impl From<Error> for RequestError {
    fn from(error: Error) -> RequestError {
        RequestError { error: error.into(), retry_after: None, max_retries: 0 }
    }
}

impl RequestError {
    pub(super) fn transient(error: Error) -> RequestError {
        RequestError { error: error.into(), retry_after: None, max_retries: u32::MAX }
    }

    /// Converts an error of the HTTP library before a response.
    pub(super) fn from_request(route: &Route, error: &ureq::Error) -> RequestError {
        let failed = match error {
            ureq::Error::HostNotFound => unknown_host_error(route).into(),
            ureq::Error::Other(other) if matches!(other.downcast_ref(), Some(ResolveError::Lookup(_))) => {
                let error = unknown_host_error(route).with_cause(other);
                RequestError { max_retries: MAX_LOOKUP_RETRIES, ..RequestError::transient(error) }
            }
            ureq::Error::ConnectProxyFailed(why) => {
                // `proxy server responded CODE/CODE`.
                let code = why.rsplit('/').next().unwrap_or_default();
                match StatusCode::from_bytes(code.as_bytes()) {
                    // The name lookup of the proxy may have failed.
                    Ok(status) => {
                        let failed = RequestError::from_status(route, "the proxy", status, None);
                        RequestError { max_retries: failed.max_retries.min(MAX_LOOKUP_RETRIES), ..failed }
                    }
                    Err(_) => route.error().with_cause(why).into(),
                }
            }
            other => RequestError::from_ureq(route.error(), other),
        };
        match route.proxy {
            Some(_) => RequestError { error: failed.error.with_hint(CHECK_PROXY).into(), ..failed },
            None => failed,
        }
    }

    /// The error of a response without the file. `responder` is the server, or the proxy for `CONNECT`.
    pub(super) fn from_status(
        route: &Route,
        responder: &str,
        status: StatusCode,
        retry_after: Option<Duration>,
    ) -> RequestError {
        let code = status.as_u16();
        let reason = status.canonical_reason().map_or_else(String::new, |reason| format!(" {reason}"));
        let found = format!("{responder} responded {code}{reason}");
        // The statuses that curl --retry retries, and those of Cloudflare for an origin that is down.
        if matches!(code, 408 | 429 | 500 | 502..=504 | 520..=524) {
            let wait = retry_after.map(|wait| format!("it requests to retry after {} s", wait.as_secs()));
            let error = wait.iter().fold(route.error().with_cause(found), Error::with_cause);
            return RequestError { retry_after, ..RequestError::transient(error) };
        }
        let variable = route.proxy.as_deref().and_then(|proxy| proxy.split('=').next());
        let hint = match (code, variable) {
            (407, variable) => format!(
                "the proxy requires a user name and a password, with special characters as %XX: \
                 {}=http://USER:PASSWORD@HOST:PORT",
                variable.unwrap_or("https_proxy")
            ),
            (511, _) => OPEN_IN_BROWSER.to_owned(),
            (_, Some(_)) => format!("{CHECK_URL}; {CHECK_PROXY}"),
            (401 | 403, _) => "check the URL; a mirror that requires a login cannot be used".to_owned(),
            _ => CHECK_URL.to_owned(),
        };
        route.error().with_cause(format!("{found}, expected 200 OK")).with_hint(hint).into()
    }

    fn from_ureq(failed: Error, error: &ureq::Error) -> RequestError {
        match error {
            ureq::Error::Io(io) => RequestError::from_io(failed, io),
            ureq::Error::Timeout(limit) => {
                RequestError::transient(failed.with_cause(describe_timeout(*limit)))
            }
            ureq::Error::ConnectionFailed => RequestError::transient(failed.with_cause(error)),
            // A retry would get the same malformed response; a closed connection is `Io`.
            ureq::Error::Protocol(_) | ureq::Error::BodyStalled | ureq::Error::LargeResponseHeader(..) => {
                let why = format!("the response is not valid HTTP: {error}");
                failed.with_cause(why).with_hint(CHECK_URL).into()
            }
            ureq::Error::InvalidProxyUrl => failed.with_cause(error).with_hint(CHECK_PROXY).into(),
            ureq::Error::Rustls(tls) => tls_error(failed, tls).into(),
            ureq::Error::Other(other) if other.is::<ResolveError>() => {
                failed.with_cause(other).with_hint(ALLOW_HOST).into()
            }
            other => failed.with_cause(other).into(),
        }
    }

    /// Converts an error of the connection, also one while a body is read.
    pub(super) fn from_io(failed: Error, error: &io::Error) -> RequestError {
        let inner = error.get_ref();
        if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return tls_error(failed, tls).into();
        }
        match inner.and_then(|inner| inner.downcast_ref()) {
            Some(inner) => RequestError::from_ureq(failed, inner),
            None => RequestError::transient(failed.with_cause(error)),
        }
    }
}

fn describe_timeout(limit: Timeout) -> &'static str {
    match limit {
        Timeout::Resolve => "no answer from DNS in time",
        Timeout::Connect => "no connection in time",
        Timeout::RecvResponse => "no response in time",
        Timeout::RecvBody | Timeout::PerRead => "no data in time",
        _ => "no progress in time",
    }
}

fn tls_error(failed: Error, error: &rustls::Error) -> Error {
    let failed = failed.with_cause(error);
    let issuer = "if a proxy or mirror has a certificate of its own, set SSL_CERT_FILE to a PEM file with its issuer, \
                  or SSL_CERT_DIR to a directory";
    failed.with_hint(match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired: renew it, or use another mirror: --mirror URL; check this \
                 machine's clock, too"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet: check this machine's clock"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another host name: use a name from the certificate in --mirror URL"
            }
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                "the server uses a CA certificate as its own: issue one for the server with \
                 basicConstraints=CA:FALSE, signed by that CA"
            }
            _ => issuer,
        },
        rustls::Error::AlertReceived(_) | rustls::Error::PeerIncompatible(_) => {
            "the server requires a client certificate, or does not support TLS 1.2 or 1.3 with current ciphers: use \
             another mirror: --mirror URL"
        }
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS on this port: check the port, or use http://",
        _ => issuer,
    })
}

fn unknown_host_error(route: &Route) -> Error {
    if route.proxy.is_some() {
        return route.error().with_cause("no such host");
    }
    let host = route.url.host();
    let error = route.error().with_cause(format!("no such host: {host}"));
    if Vendor::COREOS.match_base_url(&format!("{}/", route.url.origin())).is_none() {
        return error.with_hint("check the name and the network, or use another mirror: --mirror URL");
    }
    error.with_cause("CoreOS Container Linux ended in 2020 and its release servers are gone").with_hint(
        "--mirror URL with a copy of the releases, --image FILE with an image you have, or --brand flatcar for Flatcar, \
         which continues it",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn unknown_host_error_has_a_hint() {
        let convert = |host: &str| {
            let url = Url::parse(&format!("https://{host}/x")).unwrap();
            let route = Route { url, redirected_from: None, proxy: None };
            RequestError::from_request(&route, &ureq::Error::HostNotFound)
        };
        let coreos = convert("alpha.release.core-os.net");
        assert_eq!(coreos.max_retries, 0);
        assert!(coreos.error.to_string().contains("its release servers are gone"), "{}", coreos.error);
        let hint = coreos.error.hint.as_deref().unwrap();
        assert!(["--mirror", "--image", "--brand flatcar"].iter().all(|word| hint.contains(word)), "{hint}");
        let other = convert("mirror.example").error;
        assert_eq!(
            other.to_string(),
            "cannot download https://mirror.example/x: no such host: mirror.example"
        );
    }
}
