//! `http` and `https` URLs (RFC 3986).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use coreos_types::{Error, Result};

/// A parsed `http` or `https` URL without a fragment. [`fmt::Display`] leaves out the value of the query, which may
/// be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    is_https: bool,
    /// Host name in lower case, or an IP address without brackets.
    host: String,
    port: Option<u16>,
    /// From the first slash on, without dot segments.
    path: String,
    query: Option<String>,
}

/// Characters that no URL has (RFC 3986, section 2), and `$`, which is an unexpanded make variable.
const INVALID: &str = "\"<>\\^`{|}$";

/// The same and blanks, as they are encoded in a redirect.
const NOT_IN_URLS: AsciiSet = {
    let (mut set, mut at) = (CONTROLS.add(b' '), 0);
    while at < INVALID.len() {
        set = set.add(INVALID.as_bytes()[at]);
        at += 1;
    }
    set
};

const HINT: &str = "write it as https://HOST/DIRECTORY";

impl Url {
    /// Parses a URL of the user.
    ///
    /// # Errors
    /// Another scheme, a user name, an invalid host or port. The message has no credentials and no query.
    pub fn parse(text: &str) -> Result<Url> {
        let invalid =
            |why: &str| Error::failed(format!("{} is not a valid URL: {why}", redact(text))).with_hint(HINT);
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || INVALID.contains(c)) {
            return Err(invalid("it has a character that URLs do not have"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid("expected https://HOST/…"))?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(invalid("expected the scheme https")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, after) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(invalid("user names and passwords are not supported"));
        }
        let (host, port) =
            split_port(authority).ok_or_else(|| invalid("its port is not between 1 and 65535"))?;
        let (path, query) = split_query(after);
        let path = if path.is_empty() { "/" } else { path };
        if !path.is_ascii() || query.as_ref().is_some_and(|query| !query.is_ascii()) {
            return Err(invalid("it has a character that is not ASCII: write it as %XX"));
        }
        let host = parse_host(host).map_err(invalid)?;
        Ok(Url { is_https, host, port, path: remove_dot_segments(path), query })
    }

    /// Whether the scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Host name in lower case, or an IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port as written; `None` if the URL has none.
    pub(super) fn explicit_port(&self) -> Option<u16> {
        self.port
    }

    /// Whether the URL has a query.
    pub fn has_query(&self) -> bool {
        self.query.is_some()
    }

    /// Whether the host is this machine by its name or address.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// The host, with brackets around an IPv6 address.
    pub(super) fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// `HOST`, or `HOST:PORT` if the port differs from the scheme's default.
    pub(super) fn authority(&self) -> String {
        let default = if self.is_https { 443 } else { 80 };
        let port = self.port.filter(|port| *port != default).map(|port| format!(":{port}"));
        self.bracketed_host() + &port.unwrap_or_default()
    }

    /// `SCHEME://AUTHORITY`.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }

    /// Path and query for the request line.
    pub(super) fn path_and_query(&self) -> String {
        self.query.as_ref().map_or(self.path.clone(), |query| format!("{}?{query}", self.path))
    }

    /// Writes `+` in the path as `%2B`: object stores decode a literal `+` as a blank.
    pub(super) fn with_plus_encoded(mut self) -> Url {
        self.path = self.path.replace('+', "%2B");
        self
    }

    /// Resolves a `Location` header (RFC 3986, section 5.2). Bytes that are not valid in URLs, such as blanks
    /// and raw UTF-8, are percent-encoded first, as curl and browsers do.
    pub(super) fn join(&self, location: &[u8]) -> Result<Url> {
        let location = percent_encode(location.trim_ascii(), &NOT_IN_URLS).to_string();
        let reference = location.split('#').next().unwrap_or_default();
        if has_scheme(reference) {
            return Url::parse(reference);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Url::parse(&format!("{}://{rest}", self.scheme()));
        }
        let (path, query) = split_query(reference);
        let (path, query) = match path {
            "" => (self.path.clone(), query.or_else(|| self.query.clone())),
            path if path.starts_with('/') => (path.to_owned(), query),
            path => (format!("{}/{path}", self.path.rsplit_once('/').map_or("", |(base, _)| base)), query),
        };
        Ok(Url { path: remove_dot_segments(&path), query, ..self.clone() })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = if self.has_query() { "?…" } else { "" };
        write!(f, "{}{}{query}", self.origin(), self.path)
    }
}

/// Removes user name, password and query from a text that may be a URL, for messages.
pub fn redact(text: &str) -> String {
    let (shown, query) = match text.split_once('?') {
        Some((shown, _)) => (shown, "?…"),
        None => (text, ""),
    };
    let (scheme, rest) = shown.split_at(shown.find("://").map_or(0, |at| at + 3));
    // Split at the last @ of the whole text, since a password may have a slash or a question mark.
    let rest = match rest.rsplit_once('@') {
        _ if text[shown.len()..].contains('@') => "***".to_owned(),
        Some((_, host)) => format!("***@{host}"),
        None => rest.to_owned(),
    };
    format!("{scheme}{rest}{query}").escape_debug().to_string()
}

fn split_query(text: &str) -> (&str, Option<String>) {
    text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query.to_owned())))
}

/// Splits `HOST:PORT`; `None` if the port is not valid. An empty one is the scheme's default.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let from = authority.rfind(']').unwrap_or(0);
    let Some(colon) = authority[from..].find(':') else { return Some((authority, None)) };
    let (host, port) = (&authority[..from + colon], &authority[from + colon + 1..]);
    match port {
        "" => Some((host, None)),
        port if port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse().ok().filter(|port| *port != 0).map(|port| (host, Some(port)))
        }
        _ => None,
    }
}

fn parse_host(host: &str) -> std::result::Result<String, &'static str> {
    if let Some(v6) = host.strip_prefix('[') {
        let v6 = v6.strip_suffix(']').and_then(|v6| v6.parse::<Ipv6Addr>().ok());
        // An IPv4-mapped address is the IPv4 address.
        return v6.map(|v6| v6.to_canonical().to_string()).ok_or("its IPv6 address is not valid");
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if !host.is_ascii() {
        return Err("its host is not ASCII: write it in its ASCII form, xn--…");
    }
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if host.is_empty() || !host.bytes().all(is_name) {
        return Err("expected a host name or an IP address");
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|c: char| c.is_ascii_digit()) && parse_number(last).is_some() {
        return parse_ipv4(&host).map(|ip| ip.to_string()).ok_or("its IPv4 address is not valid");
    }
    Ok(host)
}

/// An IPv4 address in the forms of inet_aton(3): `127.1`, `0x7f000001`, `017700000001`.
fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(parse_number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let bits = 8 * (4 - first.len() as u32);
    if bits < 32 && *last >> bits != 0 {
        return None;
    }
    let head = first.iter().enumerate().fold(0, |sum, (at, part)| sum | part << (24 - 8 * at));
    Some(Ipv4Addr::from(head | last))
}

/// A decimal, octal (`0…`) or hexadecimal (`0x…`) number, as inet_aton(3) reads it.
fn parse_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some("") => return Some(0),
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, radix).ok()).flatten()
}

/// Whether a reference is absolute: `SCHEME:` comes before any slash or question mark.
fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else { return false };
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(is_scheme)
}

/// Removes `.` and `..` (RFC 3986, section 5.2.4).
fn remove_dot_segments(path: &str) -> String {
    let mut output = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(output.pop()),
            segment => output.push(segment),
        }
    }
    // The path of a directory ends with a slash.
    if path.ends_with("/.") || path.ends_with("/..") {
        output.push("");
    }
    format!("/{}", output.join("/"))
}

#[cfg(test)]
mod tests;
