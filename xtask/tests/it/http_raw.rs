//! Downloads from servers and proxies that are scripted byte by byte, and comparisons with curl(1).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use xtask::http::{Client, ClientConfig, DownloadLimits, Event, ProxyConfig, ProxyVariable};
use xtask::terminal::Progress;

/// A loopback server that computes each response from the request's head. The server ends with the test process.
struct ScriptedServer {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ScriptedServer {
    fn start(respond: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> ScriptedServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (log, respond) = (Arc::clone(&heads), Arc::new(respond));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (log, respond) = (Arc::clone(&log), Arc::clone(&respond));
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if reader.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    log.lock().unwrap().push(head.clone());
                    respond(&head, &mut stream);
                });
            }
        });
        ScriptedServer { url, heads }
    }

    fn requests(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn download_limits() -> DownloadLimits {
    DownloadLimits {
        connect_timeout: Duration::from_millis(500),
        read_timeout: Duration::from_millis(400),
        overhead_timeout: Duration::from_millis(600),
        progress_timeout: Duration::from_millis(1200),
        rate_window: Duration::from_secs(3),
        initial_backoff: Duration::from_millis(5),
        ..DownloadLimits::default()
    }
}

fn get(config: ClientConfig, url: &str) -> Result<Vec<u8>, String> {
    let client = Client::new(config);
    let bytes = client.get_bytes(url, 1 << 20).map_err(|error| error.to_string())?;
    bytes.ok_or_else(|| "missing".to_owned())
}

fn get_scripted(head: &'static str, body: &'static [u8]) -> Result<Vec<u8>, String> {
    let server = ScriptedServer::start(move |_, stream| {
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(body);
    });
    get(ClientConfig { limits: download_limits(), ..ClientConfig::default() }, &format!("{}/x", server.url))
}

#[test]
fn unusual_whole_responses_are_accepted() {
    for head in [
        "HTTP/1.1 203 Non-Authoritative Information\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/4\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\n\tc\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
    ] {
        assert_eq!(get_scripted(head, b"file").as_deref(), Ok(&b"file"[..]), "{head}");
    }
}

#[test]
fn partial_and_malformed_responses_fail_at_once() {
    let begin = Instant::now();
    for (head, reason) in [
        (
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/8\r\nContent-Length: 4\r\n\r\n",
            "a part of",
        ),
        ("HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\n\r\n", "no Content-Range"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "not valid HTTP"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "not valid HTTP"),
        ("HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n", "501"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not valid HTTP"),
    ] {
        let error = get_scripted(head, b"file").unwrap_err();
        assert!(error.contains(reason) && !error.contains("attempts"), "{head}: {error}");
    }
    assert!(begin.elapsed() < Duration::from_secs(5));
}

/// Ranges shorter than requested, and ranges of unknown total length.
#[test]
fn short_ranges_and_unknown_length_are_resumed() {
    const FILE: usize = 200_000;
    for total in ["200000", "*"] {
        let server = ScriptedServer::start(move |head, stream| {
            let from = head.split("bytes=").nth(1).and_then(|rest| rest.split('-').next()?.parse().ok());
            let from: usize = from.unwrap_or(0);
            let end = (from + 70_000).min(FILE);
            let head = match from {
                0 => format!("HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: {FILE}\r\n\r\n"),
                _ => format!(
                    "HTTP/1.1 206 Partial\r\nETag: \"a\"\r\nContent-Range: bytes {from}-{}/{total}\r\nContent-Length: {}\r\n\r\n",
                    end - 1,
                    end - from
                ),
            };
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&vec![7; end - from]);
        });
        let result = get(ClientConfig { limits: download_limits(), ..ClientConfig::default() }, &server.url);
        assert_eq!(result.map(|bytes| bytes.len()), Ok(FILE), "{total}");
    }
}

/// The server sends bytes without end, and the download makes little or no progress.
#[test]
fn limits_apply_while_bytes_arrive() {
    for (head, flood) in [
        ("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\n", "X-T: y\r\n"),
        ("HTTP/1.1 200 OK\r\n", "X: y\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "0"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "a"),
    ] {
        let server = ScriptedServer::start(move |_, stream| {
            let _ = stream.write_all(head.as_bytes());
            while stream.write_all(flood.as_bytes()).is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        });
        let begin = Instant::now();
        let error = get(ClientConfig { limits: download_limits(), ..ClientConfig::default() }, &server.url)
            .unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(10), "{flood:?}: {error}");
    }
}

#[test]
fn retries_are_reported_with_their_number() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let client = Client::new(ClientConfig {
        limits: DownloadLimits { max_retries: 2, ..download_limits() },
        ..ClientConfig::default()
    })
    .with_logger(move |event| log.lock().unwrap().push(event));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = client
        .get(&format!("http://127.0.0.1:{port}/x"), 1, None, Progress::silent())
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("gave up after 3 attempts"), "{error}");
    let retries: Vec<String> = events.lock().unwrap().iter().map(|event| format!("{event:?}")).collect();
    assert!(
        retries[0].contains("retrying in 0.005 s (1 of 2)") && retries[1].contains("(2 of 2)"),
        "{retries:?}"
    );
    assert!(events.lock().unwrap().iter().all(|event| matches!(event, Event::Retry(_))));
}

/// Each certificate URL has a share of the time, so that the key servers after a dead vendor URL are still requested.
#[test]
fn dead_server_uses_only_its_share_of_time() {
    let server = ScriptedServer::start(|_, stream| {
        thread::sleep(Duration::from_secs(60));
        let _ = stream.write_all(b"late");
    });
    let begin = Instant::now();
    let client = Client::new(ClientConfig::default());
    assert!(client.get_certificate(&server.url).is_err());
    assert!(begin.elapsed() < Duration::from_secs(18), "{:?}", begin.elapsed());
}

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

/// Compares the request line after a redirect with curl's.
#[test]
#[ignore = "needs curl"]
fn redirects_are_resolved_as_curl_does() {
    for location in [
        "/b",
        "b",
        "./b",
        "../b",
        "/a/../b",
        "?q=1",
        "/login?next=https://x.example/y",
        "b?c=http://d",
        "/b#frag",
        "//HOST/b",
        "http://HOST/b/./c/..",
        "/\u{e9}",
        "/a b",
        "b/",
        ".",
        "..",
        "/b?x=%20y",
        "/b;p=1?q",
    ] {
        let server = ScriptedServer::start(move |head, stream| {
            let host = head.split("ost: ").nth(1).unwrap_or_default().lines().next().unwrap_or_default();
            let response = match head.starts_with("GET /first/file HTTP") {
                true => format!(
                    "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    location.replace("HOST", host)
                ),
                false => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".to_owned(),
            };
            let _ = stream.write_all(response.as_bytes());
        });
        let url = format!("{}/first/file", server.url);
        let config = ClientConfig { limits: download_limits(), ..ClientConfig::default() };
        assert!(get(config, &url).is_ok(), "{location}");
        let own_line = server.requests().last().unwrap().lines().next().unwrap().to_owned();
        Command::new("curl")
            .args(["-sS", "-L", "-m", "3", "-o", "/dev/null", &url])
            .output()
            .expect("curl is not installed");
        let curl_line = server.requests().last().unwrap().lines().next().unwrap().to_owned();
        assert_eq!(own_line.to_ascii_lowercase(), curl_line.to_ascii_lowercase(), "{location}");
    }
}
