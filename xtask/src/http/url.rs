//! Which addresses may be asked: https anywhere, plain http on loopback, and no way from the first to the second.

use std::net::IpAddr;

use coreos_types::error::{Error, Result};

/// A parsed address, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) secure: bool,
    /// Host name or IP address, without brackets and port.
    pub(super) host: String,
    /// `scheme://host:port`.
    origin: String,
    /// From the slash on.
    path: String,
}

impl Url {
    pub(super) fn parse(url: &str) -> Result<Url> {
        let odd = |why: &str| Error::failed(format!("{url} is no address to download from: {why}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| odd("expected https://HOST/…"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(odd("expected https")),
        };
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        if host.is_empty() || authority.contains('@') {
            return Err(odd("expected a host, and no user name"));
        }
        if url.chars().any(|c| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}$".contains(c)) {
            return Err(odd("it holds a character that no address has"));
        }
        let origin = format!("{scheme}://{authority}");
        Ok(Url { secure, host: host.to_ascii_lowercase(), origin, path: path.to_owned() })
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// Where a `Location` header leads (RFC 3986, section 5.2, without the dots that no server sends).
    pub(super) fn follow(&self, location: &str) -> String {
        if location.contains("://") {
            location.to_owned()
        } else if let Some(rest) = location.strip_prefix("//") {
            let scheme = if self.secure { "https" } else { "http" };
            format!("{scheme}://{rest}")
        } else if location.starts_with('/') {
            format!("{}{location}", self.origin)
        } else {
            let folder = self.path.split('?').next().and_then(|path| path.rfind('/').map(|at| &path[..=at]));
            format!("{}{}{location}", self.origin, folder.unwrap_or("/"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (url, host, secure, loopback) in [
            ("https://Alpha.release.core-os.net/x", "alpha.release.core-os.net", true, false),
            ("http://127.0.0.1:8080/x", "127.0.0.1", false, true),
            ("http://[::1]:8080/x", "::1", false, true),
            ("http://localhost", "localhost", false, true),
            ("http://localhost.example/x", "localhost.example", false, false),
        ] {
            let address = Url::parse(url).unwrap();
            assert_eq!(
                (address.host.as_str(), address.secure, address.is_loopback()),
                (host, secure, loopback)
            );
        }
        for url in ["ftp://x/y", "x/y", "https:///x", "https://me@x/y", "https://x/$(A)", "https://x/a b"] {
            assert!(Url::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn locations() {
        let here = Url::parse("https://a.example:1/b/c/d").unwrap();
        for (location, url) in [
            ("https://e.example/f", "https://e.example/f"),
            ("//e.example/f", "https://e.example/f"),
            ("/f", "https://a.example:1/f"),
            ("f", "https://a.example:1/b/c/f"),
        ] {
            assert_eq!(here.follow(location), url);
        }
    }
}
