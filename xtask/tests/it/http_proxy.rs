//! Requests through scripted proxies, and comparisons with curl(1).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use super::http_raw::{ScriptedServer, download_limits, get};
use xtask::http::{CaBundle, Client, ClientConfig, DownloadLimits, ProxyConfig, ProxyVariable};

fn proxy_config(proxy: &str, no_proxy: &str) -> ClientConfig {
    let http = Some(ProxyVariable { name: "http_proxy", value: proxy.to_owned() });
    let proxies = ProxyConfig { http, no_proxy: no_proxy.to_owned(), ..ProxyConfig::default() };
    ClientConfig {
        proxies,
        insecure_http: true,
        limits: DownloadLimits { max_retries: 0, ..download_limits() },
        ..ClientConfig::default()
    }
}

fn start_proxy() -> ScriptedServer {
    ScriptedServer::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    })
}

#[test]
fn plain_http_goes_to_the_proxy_without_connect() {
    let proxy = start_proxy();
    let url = proxy.url.replace("http://", "http://bot:p%40ss@");
    assert_eq!(get(proxy_config(&url, ""), "http://mirror.invalid/a+b?c").as_deref(), Ok(&b"ok"[..]));
    let head = proxy.requests().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("get http://mirror.invalid/a%2bb?c http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: mirror.invalid\r\n"), "{head}");
    assert!(head.contains("\r\nproxy-authorization: basic ym90onbac3m=\r\n"), "{head}");
}

/// Responses of a proxy to `CONNECT`, and of one that forwards the request.
#[test]
fn proxy_statuses_are_reported_as_such() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/root.pem");
    for (status, scheme, reason, hint) in [
        (
            "407 x",
            "https",
            "the proxy responded 407 Proxy Authentication Required",
            "https_proxy=http://USER",
        ),
        ("407 x", "http", "the server responded 407", "http_proxy=http://USER"),
        ("403 x", "https", "the proxy responded 403 Forbidden", "check https_proxy"),
        ("403 x", "http", "the server responded 403 Forbidden", "check https_proxy"),
        (
            "503 x",
            "https",
            "the proxy responded 503 Service Unavailable: gave up after 3",
            "check https_proxy",
        ),
    ] {
        let proxy = ScriptedServer::start(move |_, stream| {
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        });
        let name = if scheme == "https" { "https_proxy" } else { "http_proxy" };
        let variable = Some(ProxyVariable { name, value: proxy.url.clone() });
        let client = Client::new(ClientConfig {
            proxies: ProxyConfig { http: variable.clone(), https: variable, ..ProxyConfig::default() },
            ca_bundle: CaBundle { file: Some(root.into()), dir: None },
            insecure_http: true,
            limits: DownloadLimits { max_retries: 6, ..download_limits() },
            ..ClientConfig::default()
        });
        let error = client.get_bytes(&format!("{scheme}://mirror.invalid/x"), 1 << 20).unwrap_err();
        assert!(
            error.to_string().contains(reason) && error.to_string().contains("through the proxy"),
            "{error}"
        );
        assert!(error.hint.as_ref().unwrap().contains(hint), "{status}: {error:?}");
    }
}

/// The subset of RFC 1928 for a domain name without authentication.
#[test]
fn socks5h_proxies_resolve_the_name() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).unwrap();
        stream.write_all(&[5, 0]).unwrap();
        let mut request = [0; 5];
        stream.read_exact(&mut request).unwrap();
        let mut name = vec![0; usize::from(request[4]) + 2];
        stream.read_exact(&mut name).unwrap();
        stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        while !line.ends_with("\r\n\r\n") {
            reader.read_line(&mut line).unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        (name, line)
    });
    let result = get(proxy_config(&format!("socks5h://{address}"), ""), "http://mirror.invalid/x");
    assert_eq!(result.as_deref(), Ok(&b"ok"[..]));
    let (name, head) = proxy.join().unwrap();
    assert!(name.starts_with(b"mirror.invalid") && head.starts_with("GET /x HTTP/1.1"), "{head}");
}

/// Whether curl sends a request for this host to the proxy.
fn curl_uses_proxy(no_proxy: &str, host: &str) -> bool {
    let proxy = start_proxy();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-m", "3", "--connect-timeout", "1", "-o", "/dev/null", &format!("http://{host}/x")]);
    curl.env_clear()
        .env("http_proxy", &proxy.url)
        .env("no_proxy", no_proxy)
        .output()
        .expect("curl is not installed");
    !proxy.requests().is_empty()
}

#[test]
#[ignore = "needs curl"]
fn no_proxy_matches_hosts_as_curl_does() {
    for no_proxy in [
        "",
        "*",
        "corp.invalid",
        ".corp.invalid",
        "*.corp.invalid",
        "CORP.invalid",
        "corp.invalid.",
        "localhost, .corp.invalid",
        "localhost corp.invalid",
        "a\tcorp.invalid",
        "corp.invalid:80",
        "rp.invalid",
        "invalid",
        "192.0.2.0/24",
        "192.0.2.7/0",
        "192.0.2.8",
        "192.0.2.7",
        "192.0.2.0/33",
        "192.0.2.0/x",
        "1,192.0.2.7/32",
        "*,x",
        ",,",
        ".",
    ] {
        for host in ["mirror.corp.invalid", "corp.invalid", "192.0.2.7"] {
            let proxy = start_proxy();
            let _ = get(proxy_config(&proxy.url, no_proxy), &format!("http://{host}/x"));
            let uses_proxy = !proxy.requests().is_empty();
            assert_eq!(uses_proxy, curl_uses_proxy(no_proxy, host), "no_proxy={no_proxy:?} {host}");
        }
    }
}
