//! Downloads from servers that are scripted byte by byte, and comparisons with curl(1).

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use xtask::http::{Client, ClientConfig, DownloadLimits, Event};
use xtask::terminal::Progress;

/// A loopback server that computes each response from the request's head. The server ends with the test process.
pub(super) struct ScriptedServer {
    pub(super) url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ScriptedServer {
    pub(super) fn start(respond: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> ScriptedServer {
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

    pub(super) fn requests(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

pub(super) fn download_limits() -> DownloadLimits {
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

pub(super) fn get(config: ClientConfig, url: &str) -> Result<Vec<u8>, String> {
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
        "HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX(y): z\r\nServer: \u{1}\r\n: z\r\nContent-Length : 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: x-gzip\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: UTF-8\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n",
    ] {
        assert_eq!(get_scripted(head, b"file").as_deref(), Ok(&b"file"[..]), "{head}");
    }
    let many: &str = Box::leak(format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(300)).into_boxed_str());
    assert_eq!(get_scripted(many, b"file").as_deref(), Ok(&b"file"[..]));
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(get_scripted(head, b"4\r\nfile\r\n0\r\n\r\n").as_deref(), Ok(&b"file"[..]), "{head}");
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
        ("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\n", "Content-Encoding br"),
        ("HTTP/1.1 200 OK\r\n\r\n<!-- portal --> <script>", "sent an HTML page"),
        ("HTTP/1.1 200 OK\r\n\r\n<?xml version=\"1.0\"?><Error>", "sent an XML document"),
        ("HTTP/1.1 302 Found\r\nLocation: \r\nContent-Length: 0\r\n\r\n", "without a Location"),
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

#[test]
fn redirect_errors_name_the_first_url_and_hint_at_mirrors() {
    for (location, reason) in [
        ("https://u:SECRET@mirror.invalid/", "user names and passwords are not supported"),
        ("https://mirror.invalid:0/", "its port is not between 1 and 65535"),
        ("/gone", "redirected from http://127.0.0.1"),
    ] {
        let server = ScriptedServer::start(move |head, stream| {
            let status = if head.starts_with("GET /x") { "302 Found" } else { "451 Gone" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        });
        let client = Client::new(ClientConfig { limits: download_limits(), ..ClientConfig::default() });
        let error = client.get_bytes(&format!("{}/x", server.url), 1 << 20).unwrap_err();
        assert!(error.to_string().contains(reason) && !error.to_string().contains("SECRET"), "{error}");
        assert!(error.hint.unwrap().contains("use another mirror"), "{location}");
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
