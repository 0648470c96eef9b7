//! Proxy variables; `tests/it/http_proxy.rs` compares them with curl.

#![allow(clippy::unwrap_used)]

use super::*;

fn config(variables: &[(&str, &str)]) -> ProxyConfig {
    ProxyConfig::from_lookup(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

/// The proxy for a URL as text, or the error.
fn proxy_for(variables: &[(&str, &str)], url: &str) -> String {
    match config(variables).for_url(&Url::parse(url).unwrap()) {
        Ok(None) => "direct".to_owned(),
        Ok(Some(server)) => server.proxy.uri().to_string().trim_end_matches('/').to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn proxy_variable_depends_on_the_scheme() {
    let (http, https) = ("http://mirror.test/x", "https://mirror.test/x");
    for (variables, url, used) in [
        (&[("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:2")][..], https, "http://a:1"),
        (&[("HTTPS_PROXY", "http://b:2")], https, "http://b:2"),
        (&[("https_proxy", ""), ("HTTPS_PROXY", "http://b:2")], https, "http://b:2"),
        (&[("http_proxy", "http://a:1")], https, "direct"),
        (&[("http_proxy", "http://a:1")], http, "http://a:1"),
        (&[("HTTP_PROXY", "http://a:1")], http, "direct"),
        (&[("https_proxy", "http://a:1"), ("all_proxy", "socks://c:3/")], https, "http://a:1"),
        (&[("all_proxy", "socks5h://c:3/")], http, "socks5h://c:3"),
        (&[("ALL_PROXY", "c:3")], https, "http://c:3"),
        (&[("ALL_PROXY", "c")], https, "http://c:1080"),
        (&[("ALL_PROXY", "https://c")], https, "https://c:443"),
        (&[("ALL_PROXY", "socks://c:3")], https, "socks4://c:3"),
        (&[("ALL_PROXY", "HTTP://[::1]:3/")], https, "http://[::1]:3"),
        (&[("https_proxy", "http://a:1"), ("no_proxy", "*")], https, "direct"),
        (&[("https_proxy", "http://a:1")], "https://localhost/x", "direct"),
        (&[("https_proxy", "http://a:1")], "https://127.1/x", "direct"),
    ] {
        assert_eq!(proxy_for(variables, url), used, "{variables:?} {url}");
    }
}

#[test]
fn invalid_proxy_is_named_without_secrets() {
    for value in [
        "http://http://u:SECRET@h:1/",
        "ftp://u:SECRET@h:1",
        "u:SECRET@h:99999",
        "http://u:SECRET@",
        "http://h h",
    ] {
        let used = proxy_for(&[("HTTPS_PROXY", value)], "https://mirror.test/");
        assert!(used.starts_with("error: HTTPS_PROXY=") && !used.contains("SECRET"), "{used}");
        assert_eq!(proxy_for(&[("HTTPS_PROXY", value)], "http://mirror.test/"), "direct");
    }
}

#[test]
fn proxy_credentials_become_basic_authorization() {
    let config = config(&[("http_proxy", "http://bot:p%40ss@h:1")]);
    let server = config.for_url(&Url::parse("http://mirror.test/").unwrap()).unwrap().unwrap();
    assert_eq!(server.authorization().unwrap(), "Basic Ym90OnBAc3M=");
    assert_eq!(server.redacted, "http_proxy=http://***@h:1");
}

#[test]
fn no_proxy_matches_as_in_curl() {
    for (list, host, is_direct) in [
        ("mirror.corp.test", "mirror.corp.test", true),
        (".corp.test", "mirror.corp.test", true),
        (".corp.test", "corp.test", true),
        ("corp.test", "mirror.corp.test", true),
        ("corp.test.", "mirror.corp.test", true),
        ("*.corp.test", "mirror.corp.test", false),
        ("corp.test:443", "corp.test", false),
        ("rp.test", "corp.test", false),
        ("mirror.corp.test.more", "mirror.corp.test", false),
        ("localhost, 127.0.0.1, .corp.test", "mirror.corp.test", true),
        ("localhost corp.test", "mirror.corp.test", true),
        ("a,,b\tcorp.test", "mirror.corp.test", true),
        ("MIRROR.corp.test", "mirror.corp.test", true),
        ("*", "mirror.corp.test", true),
        ("*,x", "mirror.corp.test", false),
        ("", "mirror.corp.test", false),
        (".", "mirror.corp.test", false),
        ("127.0.0.1,10.0.0.0/8", "10.20.30.40", true),
        ("10.0.0.0/8", "11.20.30.40", false),
        ("10.20.30.40", "10.20.30.40", true),
        ("10.20.30.0/0", "10.20.30.40", false),
        ("10.20.30.0/33", "10.20.30.0", false),
        ("10.20.30.40/32", "10.20.30.40", true),
        ("30.40", "10.20.30.40", false),
        ("2001:db8::/32", "2001:db8:1::1", true),
        ("[2001:db8::1]", "2001:db8::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
    ] {
        assert_eq!(matches_no_proxy(host, list), is_direct, "{list:?} {host}");
    }
}
