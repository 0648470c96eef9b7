//! Proxies from the environment, as curl(1) reads them.
//!
//! `https_proxy` or `HTTPS_PROXY` is for https, `http_proxy` (in lower case only) for http, `all_proxy` or `ALL_PROXY`
//! for both; the hosts of `no_proxy` or `NO_PROXY` are contacted directly. An empty variable is not set.

use std::env;
use std::net::IpAddr;

use ureq::{Proxy, ProxyProtocol};

use super::url::{Url, redact};
use coreos_types::{Error, Result};

/// The proxy variables of the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// Proxy for http.
    pub http: Option<ProxyVariable>,
    /// Proxy for https.
    pub https: Option<ProxyVariable>,
    /// Proxy for schemes without one of their own.
    pub all: Option<ProxyVariable>,
    /// Hosts that are contacted directly.
    pub no_proxy: String,
}

/// A variable that names a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyVariable {
    /// Variable name.
    pub name: &'static str,
    /// Value, which may have a password.
    pub value: String,
}

/// A proxy that a request goes through.
#[derive(Debug, Clone)]
pub(super) struct ProxyServer {
    pub(super) proxy: Proxy,
    /// `VARIABLE=URL` without credentials, for messages.
    pub(super) redacted: String,
}

impl ProxyConfig {
    /// Reads the environment.
    pub fn from_env() -> ProxyConfig {
        ProxyConfig::from_lookup(|name| env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> ProxyConfig {
        let set = |name: &&'static str| {
            lookup(name).filter(|value| !value.is_empty()).map(|value| ProxyVariable { name, value })
        };
        let first = |names: &[&'static str]| names.iter().find_map(set);
        ProxyConfig {
            // CGI sets `HTTP_PROXY` from a header of the client (CVE-2016-5385).
            http: first(&["http_proxy"]),
            https: first(&["https_proxy", "HTTPS_PROXY"]),
            all: first(&["all_proxy", "ALL_PROXY"]),
            no_proxy: first(&["no_proxy", "NO_PROXY"]).map(|list| list.value).unwrap_or_default(),
        }
    }

    /// The proxy for a URL; `None` is a direct connection. Loopback is always direct.
    ///
    /// # Errors
    /// The value of the variable for this URL is not a valid proxy.
    pub(super) fn for_url(&self, url: &Url) -> Result<Option<ProxyServer>> {
        let own = if url.is_https() { &self.https } else { &self.http };
        match own.as_ref().or(self.all.as_ref()) {
            Some(variable) if !url.is_loopback() && !matches_no_proxy(url.host(), &self.no_proxy) => {
                variable.parse().map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl ProxyVariable {
    fn parse(&self) -> Result<ProxyServer> {
        let redacted = format!("{}={}", self.name, redact(&self.value));
        let invalid = |why: &str| {
            Error::failed(format!("{redacted} is not a usable proxy: {why}")).with_hint(format!(
                "set {} to http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT, or unset it",
                self.name
            ))
        };
        let value = self.value.trim();
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        let scheme = scheme.to_ascii_lowercase();
        // As in curl: `socks` is SOCKS4, and a proxy without a port has 1080.
        let (scheme, port) = match scheme.as_str() {
            "https" => ("https", 443),
            "socks" | "socks4" => ("socks4", 1080),
            "http" | "socks4a" | "socks5" | "socks5h" => (scheme.as_str(), 1080),
            _ => return Err(invalid("its scheme is none of http, https, socks4, socks4a, socks5, socks5h")),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (userinfo, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        // A proxy's URL has the same syntax as other URLs; like curl, ignore its path.
        let parsed = Url::parse(&format!("https://{host}")).ok().filter(|_| !path.starts_with("//"));
        let parsed = parsed.ok_or_else(|| invalid("expected HOST:PORT"))?;
        let (host, port) = (parsed.bracketed_host(), parsed.explicit_port().unwrap_or(port));
        let proxy = Proxy::new(&format!("{scheme}://{userinfo}{host}:{port}"));
        let proxy = proxy.map_err(|_| invalid("expected SCHEME://USER:PASSWORD@HOST:PORT"))?;
        Ok(ProxyServer { proxy, redacted })
    }
}

impl ProxyServer {
    /// The origin of the proxy that forwards a request for `url`; `None` if the proxy is used as a tunnel (`CONNECT`,
    /// SOCKS).
    pub(super) fn forward_proxy_origin(&self, url: &Url) -> Option<String> {
        let scheme = match self.proxy.protocol() {
            ProxyProtocol::Http => "http",
            ProxyProtocol::Https => "https",
            _ => return None,
        };
        (!url.is_https()).then(|| format!("{scheme}://{}:{}", self.proxy.host(), self.proxy.port()))
    }

    /// The credentials of the proxy's URL as a header value (RFC 7617).
    pub(super) fn authorization(&self) -> Option<String> {
        use base64::Engine;
        let user = self.proxy.username()?;
        let text = format!("{user}:{}", self.proxy.password().unwrap_or_default());
        Some(format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(text)))
    }
}

/// Whether `no_proxy` matches a host, as in curl: entries are separated by commas or blanks; a name matches itself and
/// its subdomains, with or without a leading dot; addresses may be in CIDR notation; `*` alone matches every host.
/// Ports and other wildcards are not supported.
fn matches_no_proxy(host: &str, list: &str) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let is_separator = |c: char| c == ',' || c == ' ' || c == '\t';
    let mut entries = list.split(is_separator).filter(|entry| !entry.is_empty());
    match host.parse::<IpAddr>() {
        Ok(address) => entries.any(|entry| is_in_network(address, entry)),
        Err(_) => entries.any(|entry| {
            let entry = entry.strip_suffix('.').unwrap_or(entry).to_ascii_lowercase();
            let entry = entry.strip_prefix('.').unwrap_or(&entry);
            let above = host.strip_suffix(entry);
            !entry.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        }),
    }
}

/// Whether `ADDRESS` or `ADDRESS/BITS` includes an address. As in curl, no bits or 0 is the address alone.
fn is_in_network(address: IpAddr, entry: &str) -> bool {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => (network, leading_number(bits)),
        None => (entry, 0),
    };
    let unbracketed = || network.trim_start_matches('[').trim_end_matches(']').parse().map(IpAddr::V6);
    let Ok(network) = network.parse().or_else(|_| unbracketed()) else { return false };
    let to_bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((address, width), (network, network_width)) = (to_bits(address), to_bits(network));
    let shift = if bits == 0 { 0 } else { u32::saturating_sub(width, bits) };
    width == network_width && bits <= width && (address ^ network) >> shift == 0
}

/// Parses the leading digits like atoi(3); 0 if there are none.
fn leading_number(text: &str) -> u32 {
    let digits: String = text.trim_start().chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests;
