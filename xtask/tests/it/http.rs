//! Downloads from the scripted server while servers, caches and proxies misbehave.

use std::io::Read;
use std::time::{Duration, Instant};

use release_fixture::server::{Misbehavior, Server};
use xtask::http::{
    CaBundle, Client, ClientConfig, DownloadLimits, MAX_IMAGE_LEN, MAX_SIGNATURE_LEN, ResumePoint,
};
use xtask::terminal::Progress;

const PATH: &str = "amd64-usr/1032.0.0/coreos_production_pxe_image.cpio.gz";

/// 300 kB in which every four bytes are unique, so that an offset error is visible.
fn file() -> Vec<u8> {
    (0..75_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn start_server() -> Server {
    Server::start([(PATH.to_owned(), file())].into()).unwrap()
}

/// A client with timeouts that are about a hundred times shorter than the default.
fn client() -> Client {
    let limits = DownloadLimits {
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_millis(300),
        overhead_timeout: Duration::from_millis(600),
        progress_timeout: Duration::from_millis(1500),
        rate_window: Duration::from_secs(6),
        initial_backoff: Duration::from_millis(5),
        ..DownloadLimits::default()
    };
    Client::new(ClientConfig { limits, ..ClientConfig::default() })
}

/// Result of a download: the bytes, or the error message with the prefix `restart: ` if the download must restart.
fn download(server: &Server, resume: Option<&ResumePoint>) -> Result<Vec<u8>, String> {
    let client = client();
    let url = format!("{}/{PATH}", server.url());
    let mut download = match client.get(&url, MAX_IMAGE_LEN, resume, Progress::silent()) {
        Ok(Some(download)) => download,
        Ok(None) => return Err("missing".to_owned()),
        Err(error) => return Err(error.to_string().replace(&server.url(), "")),
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

fn download_with(misbehaviors: &[Misbehavior]) -> (Result<Vec<u8>, String>, Server) {
    let server = start_server();
    for misbehavior in misbehaviors {
        server.misbehave(PATH, 1, misbehavior.clone());
    }
    (download(&server, None), server)
}

#[test]
fn transient_errors_are_retried() {
    for misbehavior in [
        Misbehavior::Status(408, None),
        Misbehavior::Status(429, Some("0".to_owned())),
        Misbehavior::Status(500, None),
        Misbehavior::Status(503, Some("Thu, 01 Jan 1970 00:00:00 GMT".to_owned())),
        Misbehavior::Wait(Duration::from_millis(600)),
    ] {
        let (outcome, server) = download_with(&[misbehavior.clone(), misbehavior.clone()]);
        assert!(outcome == Ok(file()), "{misbehavior:?}: {:?}", outcome.map(|bytes| bytes.len()));
        assert_eq!(server.requests().len(), 3, "{misbehavior:?}");
    }
}

#[test]
fn retry_after_within_the_limit_is_honoured() {
    let begin = Instant::now();
    let (outcome, _server) = download_with(&[Misbehavior::Status(429, Some("1".to_owned()))]);
    assert!(outcome == Ok(file()) && begin.elapsed() >= Duration::from_secs(1));
    let (outcome, server) = download_with(&[Misbehavior::Status(503, Some("3600".to_owned()))]);
    let error = outcome.unwrap_err();
    assert!(error.contains("503 Service Unavailable: it requests to retry after 3600 s"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn transient_errors_without_a_retry_have_a_hint() {
    let server = start_server();
    let url = format!("{}/{PATH}", server.url());
    server.misbehave(PATH, 1, Misbehavior::Status(503, Some("3600".to_owned())));
    let error = client().get(&url, MAX_IMAGE_LEN, None, Progress::silent()).map(|_| ()).unwrap_err();
    assert!(error.hint.unwrap().contains("try again later"));
    server.misbehave(PATH, 1, Misbehavior::CutAfter(100_000));
    server.misbehave(PATH, 1, Misbehavior::Status(404, None));
    let error = client().get_bytes(&url, MAX_IMAGE_LEN).unwrap_err();
    assert!(error.to_string().contains("was removed during its download") && error.hint.is_some(), "{error}");
}

#[test]
fn permanent_errors_fail_without_retry() {
    for (misbehavior, words) in [
        (Misbehavior::Status(403, None), "the server responded 403 Forbidden"),
        (Misbehavior::Html, "the server sent an HTML page instead of"),
        (Misbehavior::Redirect("http://mirror.example/x".to_owned()), "plain http is for loopback only"),
        (Misbehavior::Redirect("ftp://mirror.example/x".to_owned()), "is not a valid URL"),
    ] {
        let (outcome, server) = download_with(std::slice::from_ref(&misbehavior));
        let error = outcome.unwrap_err();
        assert!(error.contains(words), "{misbehavior:?}: {error}");
        assert_eq!(server.requests().len(), 1, "{misbehavior:?}");
    }
    let server = start_server();
    server.remove(PATH);
    assert_eq!(download(&server, None), Err("missing".to_owned()));
    server.misbehave(PATH, usize::MAX, Misbehavior::Redirect(format!("/{PATH}")));
    assert!(download(&server, None).unwrap_err().contains("redirects more than 10 times"));
    let url = format!("{}/{PATH}", server.url());
    let error = client().get(&url, MAX_IMAGE_LEN, None, Progress::silent()).err().unwrap();
    assert!(error.hint.unwrap().contains("--mirror URL"));
}

#[test]
fn retries_end_at_their_limits() {
    let begin = Instant::now();
    let server = start_server();
    server.misbehave(PATH, usize::MAX, Misbehavior::Status(500, None));
    let error = download(&server, None).unwrap_err();
    assert!(error.contains("500") && error.contains("gave up after 7 attempts"), "{error}");
    server.misbehave(PATH, 1, Misbehavior::Status(500, None));
    let slow = Server::start([(PATH.to_owned(), file())].into()).unwrap();
    slow.slow_down(500);
    let error = download(&slow, None).unwrap_err();
    assert!(error.contains("averaged below 1024 bytes/s for 6 s"), "{error}");
    drop(slow);
    let dead_url = { Server::start([].into()).unwrap() }.url();
    let error = client().get_bytes(&format!("{dead_url}/x"), MAX_SIGNATURE_LEN).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn broken_connection_is_resumed_with_a_range() {
    for misbehavior in
        [Misbehavior::CutAfter(100_000), Misbehavior::StallAfter(100_000), Misbehavior::CutAfter(299_999)]
    {
        let (outcome, server) =
            download_with(&[misbehavior.clone(), Misbehavior::CutAfter(0), Misbehavior::Status(503, None)]);
        assert!(outcome == Ok(file()), "{misbehavior:?}: {:?}", outcome.map(|bytes| bytes.len()));
        let requests = server.requests();
        assert_eq!(requests.len(), 4, "{misbehavior:?}");
        let last = requests.last().unwrap();
        assert!(last.range_from().is_some_and(|from| from >= 100_000), "{last:?}");
        assert!(last.header("if-range").is_some_and(|etag| etag.starts_with('"')), "{last:?}");
        assert_eq!(last.header("accept-encoding"), Some("identity"));
    }
}

#[test]
fn unresumable_download_restarts_with_a_reason() {
    let mut other = file();
    other[0] ^= 1;
    let interrupted = format!("the download of /{PATH} was interrupted after 100000 of 300000 bytes: ");
    let unable = "the server cannot resume the download: ";
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
            Misbehavior::CutWithoutValidators(100_000),
            Misbehavior::NoValidators,
            "it sends no ETag and no Last-Modified",
        ),
    ] {
        let error = download_with(&[first, then]).0.map(|bytes| bytes.len()).unwrap_err();
        assert!(error.starts_with(&format!("restart: {interrupted}")), "{error}");
        assert!(error.contains(&format!("{unable}{words}")), "{error}");
    }
    for misbehavior in [Misbehavior::ChangeEntity(other), Misbehavior::ChangeEntity(vec![1; 50_000])] {
        let (outcome, _server) = download_with(&[Misbehavior::CutAfter(100_000), misbehavior.clone()]);
        let changes = format!("restart: /{PATH} changed while it was downloaded");
        assert_eq!(outcome.map(|bytes| bytes.len()), Err(changes), "{misbehavior:?}");
    }
    let server = start_server();
    server.misbehave(PATH, 1, Misbehavior::WrongLength(400_000));
    let error = download(&server, None).map(|bytes| bytes.len()).unwrap_err();
    assert!(
        error.contains("after 300000 of 400000 bytes") && error.contains("it has no byte 300000"),
        "{error}"
    );
}

/// One request must not take longer than the rest of the progress timeout, whatever its read timeout is.
#[test]
fn silent_server_times_out() {
    let server = start_server();
    server.misbehave(PATH, 1, Misbehavior::Wait(Duration::from_secs(20)));
    let limits = DownloadLimits {
        read_timeout: Duration::from_secs(3600),
        progress_timeout: Duration::from_millis(400),
        ..DownloadLimits::default()
    };
    let client = Client::new(ClientConfig { limits, ..ClientConfig::default() });
    let error = client.get_bytes(&format!("{}/{PATH}", server.url()), MAX_IMAGE_LEN).unwrap_err().to_string();
    assert!(error.contains("no response in time"), "{error}");
}

#[test]
fn earlier_download_is_resumed_or_restarted() {
    let server = start_server();
    let client = client();
    let url = format!("{}/{PATH}", server.url());
    let first = client.get(&url, MAX_IMAGE_LEN, None, Progress::silent()).unwrap().unwrap();
    let resume = first.resume_point_at(120_000).unwrap();
    drop(first);
    assert_eq!(resume.total, Some(300_000));
    assert!(download(&server, Some(&resume)).as_deref() == Ok(&file()[120_000..]));
    for misbehavior in [Misbehavior::IgnoreRange, Misbehavior::WrongRange(7)] {
        server.misbehave(PATH, 1, misbehavior);
        assert!(download(&server, Some(&resume)) == Ok(file()));
    }
    let requests = server.requests().len();
    let done = ResumePoint { at: 300_000, ..resume.clone() };
    assert_eq!((download(&server, Some(&done)), server.requests().len()), (Ok(Vec::new()), requests));
    server.put(PATH, vec![7; 1000]);
    assert!(download(&server, Some(&resume)) == Ok(vec![7; 1000]));
}

#[test]
fn unusual_responses_are_accepted() {
    for misbehavior in [
        Misbehavior::NoLength,
        Misbehavior::NoValidators,
        Misbehavior::GzipEncoding,
        Misbehavior::Redirect("/elsewhere".to_owned()),
    ] {
        let server = start_server();
        server.put("elsewhere", file());
        server.slow_down(2_000_000);
        server.misbehave(PATH, 1, misbehavior.clone());
        let outcome = download(&server, None);
        assert!(outcome == Ok(file()), "{misbehavior:?}: {:?}", outcome.map(|bytes| bytes.len()));
    }
}

#[test]
fn small_file_over_its_limit_is_refused() {
    let server = start_server();
    let get = |path: &str| {
        let bytes = client().get_bytes(&format!("{}/{path}", server.url()), MAX_SIGNATURE_LEN);
        bytes.map(|bytes| bytes.map(|bytes| bytes.len())).map_err(|error| error.to_string())
    };
    server.put("x.sig", vec![1; 64 << 10]);
    assert_eq!(get("x.sig"), Ok(Some(64 << 10)));
    assert_eq!(get("y.sig"), Ok(None));
    server.put("x.sig", vec![1; (64 << 10) + 1]);
    assert!(get("x.sig").unwrap_err().contains("expected at most 65536"));
    server.misbehave("x.sig", 1, Misbehavior::NoLength);
    assert!(get("x.sig").unwrap_err().contains("expected at most 65536"));
    server.put("x.sig", b"\x1f\x8b".to_vec());
    server.misbehave("x.sig", 1, Misbehavior::GzipEncoding);
    assert!(get("x.sig").unwrap_err().contains("Content-Encoding gzip"));
}

#[test]
fn forbidden_urls_are_not_requested() {
    let get_error =
        |config: ClientConfig, url: &str| Client::new(config).get_bytes(url, 1).unwrap_err().to_string();
    let error = get_error(ClientConfig::default(), "http://mirror.example/x");
    assert!(error.contains("plain http is for loopback only"), "{error}");
    let error =
        get_error(ClientConfig { offline: true, ..ClientConfig::default() }, "https://mirror.example/x");
    assert!(error.contains("--offline"), "{error}");
    let config = ClientConfig {
        ca_bundle: CaBundle { file: Some("/nonexistent/ca.pem".into()), dir: None },
        ..ClientConfig::default()
    };
    let error = get_error(config, "https://mirror.example/x");
    assert!(error.contains("cannot read the certificates of /nonexistent/ca.pem"), "{error}");
}
