//! What the download does when servers, caches and proxies misbehave, against the scripted server.

use std::io::Read;
use std::time::{Duration, Instant};

use release_fixture::server::{Misbehavior, Server};
use xtask::http::{
    CaBundle, Client, ClientConfig, MAX_IMAGE_LEN, MAX_SIGNATURE_LEN, ResumePoint, RetryPolicy,
};
use xtask::terminal::Silent;

const PATH: &str = "amd64-usr/1032.0.0/coreos_production_pxe_image.cpio.gz";

/// 300 kB in which every place is told from every other.
fn file() -> Vec<u8> {
    (0..75_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn server() -> Server {
    Server::start([(PATH.to_owned(), file())].into()).unwrap()
}

/// A client that loses patience a hundred times sooner than ours.
fn client() -> Client {
    let retry = RetryPolicy {
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_millis(300),
        overhead_timeout: Duration::from_millis(600),
        progress_timeout: Duration::from_millis(1500),
        rate_window: Duration::from_secs(6),
        initial_backoff: Duration::from_millis(5),
        ..RetryPolicy::default()
    };
    Client::new(ClientConfig { retry, ..ClientConfig::default() })
}

/// What a download gives: the bytes, or what went wrong; `restart: ` in front says that it must begin again.
fn outcome(server: &Server, resume: Option<&ResumePoint>) -> Result<Vec<u8>, String> {
    let client = client();
    let url = format!("{}/{PATH}", server.url());
    let mut download = match client.get(&url, MAX_IMAGE_LEN, resume, &Silent) {
        Ok(Some(download)) => download,
        Ok(None) => return Err("missing".to_owned()),
        Err(fault) => return Err(fault.to_string().replace(&server.url(), "")),
    };
    let mut bytes = Vec::new();
    match download.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            let restart = if download.must_restart() { "restart: " } else { "" };
            Err(format!("{restart}{error}").replace(&server.url(), ""))
        }
    }
}

fn with(troubles: &[Misbehavior]) -> (Result<Vec<u8>, String>, Server) {
    let server = server();
    for trouble in troubles {
        server.trouble(PATH, 1, trouble.clone());
    }
    (outcome(&server, None), server)
}

#[test]
fn passing_troubles_are_waited_out() {
    for trouble in [
        Misbehavior::Status(408, None),
        Misbehavior::Status(429, Some("0".to_owned())),
        Misbehavior::Status(500, None),
        Misbehavior::Status(503, Some("Thu, 01 Jan 1970 00:00:00 GMT".to_owned())),
        Misbehavior::Wait(Duration::from_millis(600)),
    ] {
        let (outcome, server) = with(&[trouble.clone(), trouble.clone()]);
        assert!(outcome == Ok(file()), "{trouble:?}: {:?}", outcome.map(|bytes| bytes.len()));
        assert_eq!(server.requests().len(), 3, "{trouble:?}");
    }
}

#[test]
fn retry_after_is_honoured_and_not_beyond_patience() {
    let begin = Instant::now();
    let (outcome, _server) = with(&[Misbehavior::Status(429, Some("1".to_owned()))]);
    assert!(outcome == Ok(file()) && begin.elapsed() >= Duration::from_secs(1));
    let (outcome, server) = with(&[Misbehavior::Status(503, Some("3600".to_owned()))]);
    let fault = outcome.unwrap_err();
    assert!(fault.contains("503 Service Unavailable: it requests to retry after 3600 s"), "{fault}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn lasting_troubles_end_at_once() {
    for (trouble, words) in [
        (Misbehavior::Status(403, None), "the server responded 403 Forbidden"),
        (Misbehavior::Html, "the server sent an HTML page instead of"),
        (Misbehavior::Redirect("http://mirror.example/x".to_owned()), "plain http is for loopback only"),
        (Misbehavior::Redirect("ftp://mirror.example/x".to_owned()), "is not a valid URL"),
    ] {
        let (outcome, server) = with(std::slice::from_ref(&trouble));
        let fault = outcome.unwrap_err();
        assert!(fault.contains(words), "{trouble:?}: {fault}");
        assert_eq!(server.requests().len(), 1, "{trouble:?}");
    }
    let server = server();
    server.remove(PATH);
    assert_eq!(outcome(&server, None), Err("missing".to_owned()));
    server.trouble(PATH, usize::MAX, Misbehavior::Redirect(format!("/{PATH}")));
    assert!(outcome(&server, None).unwrap_err().contains("redirects more than 10 times"));
    let url = format!("{}/{PATH}", server.url());
    let fault = client().get(&url, MAX_IMAGE_LEN, None, &Silent).err().unwrap();
    assert!(fault.hint.unwrap().contains("--mirror URL"));
}

#[test]
fn patience_ends() {
    let begin = Instant::now();
    let server = server();
    server.trouble(PATH, usize::MAX, Misbehavior::Status(500, None));
    let fault = outcome(&server, None).unwrap_err();
    assert!(fault.contains("500") && fault.contains("gave up after 7 attempts"), "{fault}");
    server.trouble(PATH, 1, Misbehavior::Status(500, None));
    let dripping = Server::start([(PATH.to_owned(), file())].into()).unwrap();
    dripping.slow_down(500);
    let fault = outcome(&dripping, None).unwrap_err();
    assert!(fault.contains("averaged below 1024 bytes/s for 6 s"), "{fault}");
    drop(dripping);
    let gone = { Server::start([].into()).unwrap() }.url();
    let fault = client().get_bytes(&format!("{gone}/x"), MAX_SIGNATURE_LEN).unwrap_err().to_string();
    assert!(fault.contains("refused"), "{fault}");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn broken_connections_go_on_from_where_they_broke() {
    for trouble in
        [Misbehavior::CutAfter(100_000), Misbehavior::StallAfter(100_000), Misbehavior::CutAfter(299_999)]
    {
        let (outcome, server) =
            with(&[trouble.clone(), Misbehavior::CutAfter(0), Misbehavior::Status(503, None)]);
        assert!(outcome == Ok(file()), "{trouble:?}: {:?}", outcome.map(|bytes| bytes.len()));
        let requests = server.requests();
        assert_eq!(requests.len(), 4, "{trouble:?}");
        let last = requests.last().unwrap();
        assert!(last.range_from().is_some_and(|from| from >= 100_000), "{last:?}");
        assert!(last.header("if-range").is_some_and(|etag| etag.starts_with('"')), "{last:?}");
        assert_eq!(last.header("accept-encoding"), Some("identity"));
    }
}

#[test]
fn what_cannot_be_continued_starts_again_and_says_why() {
    let mut other = file();
    other[0] ^= 1;
    let interrupted = format!("the download of /{PATH} was interrupted after 100000 of 300000 bytes: ");
    let unable = "the server cannot continue from there: ";
    for (first, then, words) in [
        (
            Misbehavior::CutAfter(100_000),
            Misbehavior::IgnoreRange,
            "it sends the whole file when a part is requested",
        ),
        (
            Misbehavior::CutAfter(100_000),
            Misbehavior::WrongRange(7),
            "it responds with Content-Range bytes 7-299999/300000, expected bytes 100000-299999/300000",
        ),
        (
            Misbehavior::CutUnnamed(100_000),
            Misbehavior::NoValidators,
            "it sends no ETag and no Last-Modified",
        ),
    ] {
        let fault = with(&[first, then]).0.map(|bytes| bytes.len()).unwrap_err();
        assert!(fault.starts_with(&format!("restart: {interrupted}")), "{fault}");
        assert!(fault.contains(&format!("{unable}{words}")), "{fault}");
    }
    for trouble in [Misbehavior::ChangeEntity(other), Misbehavior::ChangeEntity(vec![1; 50_000])] {
        let (outcome, _server) = with(&[Misbehavior::CutAfter(100_000), trouble.clone()]);
        let changes = format!("restart: /{PATH} changed while it was downloaded");
        assert_eq!(outcome.map(|bytes| bytes.len()), Err(changes), "{trouble:?}");
    }
    let server = server();
    server.trouble(PATH, 1, Misbehavior::WrongLength(400_000));
    let fault = outcome(&server, None).map(|bytes| bytes.len()).unwrap_err();
    assert!(
        fault.contains("after 300000 of 400000 bytes") && fault.contains("it has no byte 300000"),
        "{fault}"
    );
}

/// One request may not outlast what is left of the time in which nothing comes.
#[test]
fn a_server_that_never_answers_is_left_when_patience_ends() {
    let server = server();
    server.trouble(PATH, 1, Misbehavior::Wait(Duration::from_secs(20)));
    let retry = RetryPolicy {
        read_timeout: Duration::from_secs(3600),
        progress_timeout: Duration::from_millis(400),
        ..RetryPolicy::default()
    };
    let client = Client::new(ClientConfig { retry, ..ClientConfig::default() });
    let fault = client.get_bytes(&format!("{}/{PATH}", server.url()), MAX_IMAGE_LEN).unwrap_err().to_string();
    assert!(fault.contains("no response in time"), "{fault}");
}

#[test]
fn an_earlier_download_is_taken_up_or_begun_anew() {
    let server = server();
    let client = client();
    let url = format!("{}/{PATH}", server.url());
    let first = client.get(&url, MAX_IMAGE_LEN, None, &Silent).unwrap().unwrap();
    let resume = first.resume_after(120_000).unwrap();
    drop(first);
    assert_eq!(resume.total, Some(300_000));
    assert!(outcome(&server, Some(&resume)).as_deref() == Ok(&file()[120_000..]));
    for trouble in [Misbehavior::IgnoreRange, Misbehavior::WrongRange(7)] {
        server.trouble(PATH, 1, trouble);
        assert!(outcome(&server, Some(&resume)) == Ok(file()));
    }
    let asked = server.requests().len();
    let done = ResumePoint { at: 300_000, ..resume.clone() };
    assert_eq!((outcome(&server, Some(&done)), server.requests().len()), (Ok(Vec::new()), asked));
    server.put(PATH, vec![7; 1000]);
    assert!(outcome(&server, Some(&resume)) == Ok(vec![7; 1000]));
}

#[test]
fn odd_servers_are_understood() {
    for trouble in [
        Misbehavior::NoLength,
        Misbehavior::NoValidators,
        Misbehavior::GzipEncoding,
        Misbehavior::Redirect("/elsewhere".to_owned()),
        Misbehavior::Slow(2_000_000),
    ] {
        let server = server();
        server.put("elsewhere", file());
        server.trouble(PATH, 1, trouble.clone());
        let outcome = outcome(&server, None);
        assert!(outcome == Ok(file()), "{trouble:?}: {:?}", outcome.map(|bytes| bytes.len()));
    }
}

#[test]
fn small_files_have_limits() {
    let server = server();
    let get = |path: &str| {
        let bytes = client().get_bytes(&format!("{}/{path}", server.url()), MAX_SIGNATURE_LEN);
        bytes.map(|bytes| bytes.map(|bytes| bytes.len())).map_err(|fault| fault.to_string())
    };
    server.put("x.sig", vec![1; 64 << 10]);
    assert_eq!(get("x.sig"), Ok(Some(64 << 10)));
    assert_eq!(get("y.sig"), Ok(None));
    server.put("x.sig", vec![1; (64 << 10) + 1]);
    assert!(get("x.sig").unwrap_err().contains("expected at most 65536"));
    server.trouble("x.sig", 1, Misbehavior::NoLength);
    assert!(get("x.sig").unwrap_err().contains("expected at most 65536"));
    server.trouble("x.sig", 1, Misbehavior::GzipEncoding);
    assert!(get("x.sig").unwrap_err().contains("Content-Encoding gzip"));
}

#[test]
fn addresses_that_are_not_asked() {
    let ask = |rules: ClientConfig, url: &str| Client::new(rules).get_bytes(url, 1).unwrap_err().to_string();
    let fault = ask(ClientConfig::default(), "http://mirror.example/x");
    assert!(fault.contains("plain http is for loopback only"), "{fault}");
    let fault = ask(ClientConfig { offline: true, ..ClientConfig::default() }, "https://mirror.example/x");
    assert!(fault.contains("--offline"), "{fault}");
    let rules = ClientConfig {
        ca_bundle: CaBundle { file: Some("/nonexistent/ca.pem".into()), dir: None },
        ..ClientConfig::default()
    };
    let fault = ask(rules, "https://mirror.example/x");
    assert!(fault.contains("cannot read the certificates of /nonexistent/ca.pem"), "{fault}");
}
