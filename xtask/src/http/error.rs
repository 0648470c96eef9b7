//! What went wrong with a request, in words, and whether another try may help.

use std::time::Duration;

use super::url::Url;
use coreos_types::error::Error;
use coreos_types::release::Brand;

/// One request that did not give what was asked for.
#[derive(Debug)]
pub(super) struct RequestError {
    pub(super) fault: Error,
    /// Whether it may work a moment later.
    pub(super) passing: bool,
    /// How long the server asks to wait.
    pub(super) retry_after: Option<Duration>,
}

/// What one try gives.
pub(super) type RequestResult<T> = std::result::Result<T, RequestError>;

impl RequestError {
    pub(super) fn lasting(fault: Error) -> RequestError {
        RequestError { fault, passing: false, retry_after: None }
    }

    pub(super) fn passing(fault: Error) -> RequestError {
        RequestError { fault, passing: true, retry_after: None }
    }
}

/// The trouble behind an error of the HTTP library.
pub(super) fn trouble(url: &str, address: &Url, error: &ureq::Error) -> RequestError {
    let fault = Error::failed(format!("cannot get {url}"));
    match error {
        ureq::Error::HostNotFound => RequestError::lasting(unknown_host(fault, address)),
        ureq::Error::Io(io) => io_trouble(fault, address, io),
        ureq::Error::Timeout(limit) => {
            RequestError::passing(fault.with_cause(format!("no answer in time ({limit})")))
        }
        ureq::Error::ConnectionFailed | ureq::Error::Protocol(_) | ureq::Error::BodyStalled => {
            RequestError::passing(fault.with_cause(error))
        }
        ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => RequestError::lasting(
            fault.with_cause(error).with_hint("look at HTTPS_PROXY, ALL_PROXY and NO_PROXY"),
        ),
        ureq::Error::Rustls(tls) => RequestError::lasting(untrusted(fault.with_cause(tls))),
        other => RequestError::lasting(fault.with_cause(other)),
    }
}

/// The trouble behind an error in the middle of a body.
pub(super) fn io_trouble(fault: Error, address: &Url, error: &std::io::Error) -> RequestError {
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return RequestError::lasting(untrusted(fault.with_cause(tls)));
    }
    let text = error.to_string();
    // The standard library gives getaddrinfo's text and no code of its own.
    if text.contains("failed to lookup address") {
        return match text.contains("Temporary failure") {
            true => RequestError::passing(unknown_host(fault, address).with_cause(text)),
            false => RequestError::lasting(unknown_host(fault, address)),
        };
    }
    RequestError::passing(fault.with_cause(text))
}

fn untrusted(fault: Error) -> Error {
    fault.with_hint("where a proxy or mirror has a certificate of its own, set SSL_CERT_FILE to a PEM bundle with its issuer")
}

fn unknown_host(fault: Error, address: &Url) -> Error {
    let fault = fault.with_cause(format!("no such host: {}", address.host));
    if !address.host.ends_with(Brand::CoreOs.release_domain()) {
        return fault
            .with_hint("look at the name, and at the network; --mirror URL gets the same files elsewhere");
    }
    fault.with_cause("CoreOS Container Linux ended in 2020 and its release servers are gone").with_hint(
        "--mirror URL with a copy of the releases, --image FILE with an image you have, or --brand flatcar for Flatcar, \
         which continues it",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_host_that_is_gone_is_told_with_the_ways_on() {
        let unknown = io::Error::other("failed to lookup address information: Name or service not known");
        let told = |host: &str| {
            let address = Url::parse(&format!("https://{host}/x")).unwrap();
            io_trouble(Error::failed("cannot get it"), &address, &unknown)
        };
        let coreos = told("alpha.release.core-os.net");
        assert!(!coreos.passing);
        assert!(coreos.fault.to_string().contains("its release servers are gone"), "{}", coreos.fault);
        let hint = coreos.fault.hint.unwrap();
        assert!(["--mirror", "--image", "--brand flatcar"].iter().all(|word| hint.contains(word)), "{hint}");
        let other = told("mirror.example").fault;
        assert_eq!(other.to_string(), "cannot get it: no such host: mirror.example");
    }
}
