//! Parsing and resolving, with the tables of RFC 3986.

#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn hosts_are_normalized() {
    for (url, host, is_https, is_loopback) in [
        ("https://Alpha.release.core-os.net/x", "alpha.release.core-os.net", true, false),
        ("HTTP://127.0.0.1:8080/x", "127.0.0.1", false, true),
        ("http://[::1]:8080/x", "::1", false, true),
        ("http://[::ffff:127.0.0.1]/x", "127.0.0.1", false, true),
        ("http://127.1", "127.0.0.1", false, true),
        ("http://0x7f000001", "127.0.0.1", false, true),
        ("http://2130706433/", "127.0.0.1", false, true),
        ("http://0177.0.0.1/", "127.0.0.1", false, true),
        ("http://localhost./", "localhost", false, true),
        ("http://localhost.example/x", "localhost.example", false, false),
        ("https://0xcafe.example/", "0xcafe.example", true, false),
    ] {
        let parsed = Url::parse(url).unwrap();
        assert_eq!((parsed.host(), parsed.is_https(), parsed.is_loopback()), (host, is_https, is_loopback));
    }
}

#[test]
fn invalid_url_is_an_error_with_a_hint() {
    for (url, word) in [
        ("ftp://x/y", "scheme"),
        ("x/y", "https://HOST"),
        ("https:///x", "host"),
        ("https://me@x/y", "user names"),
        ("https://x/$(A)", "character"),
        ("https://x/a b", "character"),
        ("https://x/a\n", "character"),
        ("https://x:0/", "port"),
        ("https://x:65536/", "port"),
        ("https://x:8o/", "port"),
        ("https://[::1/", "port"),
        ("https://[::g]/", "IPv6"),
        ("https://256.1.1.1/", "IPv4"),
        ("https://1.2.3.4.5/", "IPv4"),
        ("https://m\u{ef}rror.test/", "xn--"),
        ("https://mirror.test/\u{ef}", "ASCII"),
        ("https://a%2eb/", "host name"),
    ] {
        let error = Url::parse(url).unwrap_err();
        assert!(error.to_string().contains(word) && error.hint.is_some(), "{url}: {error}");
    }
}

#[test]
fn secrets_are_not_printed() {
    for text in [
        "https://bot:SECRET@x/y",
        "https://x/y?token=SECRET",
        "ftp://SECRET@x",
        "bot:SECRET@x:1",
        "https://u:SECRET/more@x/y",
        "https://u:SECRET?more@x/y",
        "u:SECRET?SECRET@x:1",
        "https://x/y?SECRET@x",
        "x/y?SECRET://x",
    ] {
        let shown = Url::parse(text).map_or_else(|error| error.to_string(), |url| url.to_string());
        assert!(!shown.contains("SECRET") && !redact(text).contains("SECRET"), "{shown}");
    }
}

/// RFC 3986, sections 5.4.1 and 5.4.2, and what servers send.
#[test]
fn locations_are_resolved() {
    let base = Url::parse("http://a/b/c/d;p?q").unwrap();
    for (location, url) in [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        (";x", "http://a/b/c/;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../..", "http://a/"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/../h", "http://a/b/c/h"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("/login?next=https://x/y", "http://a/login?next=https://x/y"),
        ("?next=https://x/y", "http://a/b/c/d;p?next=https://x/y"),
        ("https://e.example:8443/f", "https://e.example:8443/f"),
        ("HTTPS://E.example/f", "https://e.example/f"),
        (" /a b ", "http://a/a%20b"),
        ("/\u{e9}", "http://a/%C3%A9"),
        ("/a|b", "http://a/a%7Cb"),
        ("/a$b+c", "http://a/a%24b+c"),
    ] {
        let joined = base.join(location.as_bytes()).unwrap();
        assert_eq!(format!("{}{}", joined.origin(), joined.path_and_query()), url, "{location}");
    }
    for location in ["ftp://e.example/f", "https://u:p@e.example/", "mailto:x", "https://\u{ef}.example/"] {
        assert!(base.join(location.as_bytes()).is_err(), "{location}");
    }
}

#[test]
fn plus_is_encoded_in_the_path_only() {
    let url = Url::parse("https://x/4799.0.0+nightly?a+b").unwrap().with_plus_encoded();
    assert_eq!(url.path_and_query(), "/4799.0.0%2Bnightly?a+b");
}
