//! Public and private addresses, for requests to hosts that an untrusted tree or a server selects.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use coreos_types::error::catch_panic;

/// Resolves names. A host that must be public is refused if it has another address. The checked addresses are those of
/// the connection, which prevents DNS rebinding.
#[derive(Debug)]
pub(super) struct PublicHostResolver {
    /// The host that must be public; proxies are not checked.
    pub(super) public_host: Option<String>,
}

/// Why a host has no usable address.
#[derive(Debug)]
pub(super) enum ResolveError {
    /// This address is not public.
    NotPublic(IpAddr),
    /// The standard library does not tell an unknown name from a name server that does not answer.
    Lookup(std::io::Error),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::NotPublic(ip) => write!(f, "{ip} is a loopback, private or reserved address"),
            ResolveError::Lookup(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ResolveError {}

impl Resolver for PublicHostResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        // It panics where no thread can be started.
        let resolve = || DefaultResolver::default().resolve(uri, config, timeout);
        let found = catch_panic("the name lookup", resolve)
            .map_err(|error| ureq::Error::Io(std::io::Error::other(error.to_string())))
            .flatten();
        let found = found.map_err(|error| match error {
            ureq::Error::Io(error) => ureq::Error::Other(Box::new(ResolveError::Lookup(error))),
            other => other,
        })?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if self.public_host.as_deref() == Some(host)
            && let Some(address) = found.iter().map(|found| found.ip()).find(|ip| !is_public(*ip))
        {
            return Err(ureq::Error::Other(Box::new(ResolveError::NotPublic(address))));
        }
        Ok(found)
    }
}

/// Whether a host is private without a lookup: a private address, or a name of this machine.
pub(super) fn is_private_host(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => !is_public(address),
        // RFC 6761, section 6.3.
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Whether an address is reachable globally (the registries of RFC 6890).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a, b & 0xc0) == (100, 64)
        || (a, b & 0xfe) == (198, 18)
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let is_public_v4_at = |at: usize| {
        let [a, b] = segments[at].to_be_bytes();
        let [c, d] = segments[at + 1].to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4-mapped and IPv4-compatible, the latter with :: and ::1.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0, 0, ..] => is_public_v4_at(6),
        // NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056) point to an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4_at(6),
        [0x64, 0xff9b, 1, ..] => false,
        [0x2002, ..] => is_public_v4_at(1),
        // Teredo and others of RFC 6890, and documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Global unicast, the only allocated block.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_recognized() {
        for (address, expected) in [
            ("93.184.216.34", true),
            ("1.1.1.1", true),
            ("127.0.0.1", false),
            ("127.255.0.1", false),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("198.18.0.1", false),
            ("192.0.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("::1", false),
            ("::", false),
            ("::7f00:1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:1.1.1.1", true),
            ("fe80::1", false),
            ("fc00::1", false),
            ("fd12::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::101:101", true),
            ("64:ff9b:1::1", false),
            ("2002:7f00:1::", false),
            ("2002:101:101::", true),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("2001:4860:4860::8888", true),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn name_with_private_address_is_refused() {
        let uri: Uri = "http://localhost:1/".parse().unwrap();
        let resolve = |host: Option<&str>| {
            let public_host = host.map(str::to_owned);
            let resolver = PublicHostResolver { public_host };
            resolver.resolve(&uri, &Config::default(), NextTimeout::default())
        };
        assert!(resolve(None).is_ok() && resolve(Some("proxied.example")).is_ok());
        let error = resolve(Some("localhost")).unwrap_err();
        assert!(matches!(&error, ureq::Error::Other(other) if other.is::<ResolveError>()), "{error}");
    }

    #[test]
    fn local_host_names_are_private() {
        for (host, expected) in [
            ("localhost", true),
            ("x.localhost", true),
            ("127.0.0.1", true),
            ("fe80::1", true),
            ("localhost.example", false),
            ("mirror.example", false),
        ] {
            assert_eq!(is_private_host(host), expected, "{host}");
        }
    }
}
