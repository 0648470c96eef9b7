//! The loopback release server, tested with plain HTTP requests.

use std::io::{Read, Write};
use std::net::TcpStream;

use release_fixture::server::{Misbehavior, Server};
use release_fixture::site::Site;

/// Sends a request and returns the status, head and body of the response.
fn send(server: &Server, request: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(server.url().strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(request.replace('\n', "\r\n").as_bytes()).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    let end = response.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(response[..end].to_vec()).unwrap();
    (head[9..12].parse().unwrap(), head, response[end + 4..].to_vec())
}

fn server() -> Server {
    Server::start(Site::from([(String::from("a/b+c"), b"0123456789".to_vec())])).unwrap()
}

const GET: &str = "GET /a/b+c HTTP/1.1\nHost: x\n\n";

#[test]
fn get_head_and_errors_have_their_status() {
    let server = server();
    let (status, head, body) = send(&server, GET);
    assert_eq!((status, body.as_slice()), (200, &b"0123456789"[..]));
    assert!(
        head.contains("Content-Length: 10") && head.contains("ETag: ") && head.contains("Last-Modified: "),
        "{head}"
    );
    assert_eq!(send(&server, "GET /a/b%2Bc HTTP/1.1\n\n").0, 200);
    let (status, head, body) = send(&server, "HEAD /a/b+c HTTP/1.1\n\n");
    assert_eq!((status, body.len()), (200, 0));
    assert!(head.contains("Content-Length: 10"), "{head}");
    assert_eq!(send(&server, "GET /none HTTP/1.1\n\n").0, 404);
    assert_eq!(send(&server, "POST /a/b+c HTTP/1.1\n\n").0, 405);
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn range_is_served_for_the_same_etag_only() {
    let server = server();
    let (_, head, _) = send(&server, GET);
    let etag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let resume =
        |etag: &str| send(&server, &format!("GET /a/b+c HTTP/1.1\nRange: bytes=4-\nIf-Range: {etag}\n\n"));
    let (status, head, body) = resume(etag);
    assert_eq!((status, body.as_slice()), (206, &b"456789"[..]));
    assert!(head.contains("Content-Range: bytes 4-9/10"), "{head}");
    server.put("a/b+c", b"other bytes".to_vec());
    let (status, _, body) = resume(etag);
    assert_eq!((status, body.as_slice()), (200, &b"other bytes"[..]));
    assert_eq!(send(&server, "GET /a/b+c HTTP/1.1\nRange: bytes=11-\n\n").0, 416);
}

#[test]
fn scripted_misbehavior_runs_in_order() {
    let server = server();
    server.misbehave("a/b+c", 2, Misbehavior::Status(503, Some(String::from("1"))));
    server.misbehave("a/b+c", 1, Misbehavior::CutAfter(3));
    server.misbehave("a/b+c", 1, Misbehavior::Html);
    server.misbehave("a/b+c", 1, Misbehavior::Redirect(String::from("/elsewhere")));
    server.misbehave("a/b+c", 1, Misbehavior::ChangeEntity(b"new".to_vec()));
    server.misbehave("a/b+c", 1, Misbehavior::WrongLength(99));
    let (status, head, _) = send(&server, GET);
    assert!(status == 503 && head.contains("Retry-After: 1"), "{head}");
    assert_eq!(send(&server, GET).0, 503);
    assert_eq!(send(&server, GET).2, b"012");
    assert!(send(&server, GET).2.starts_with(b"<!DOCTYPE html>"));
    assert!(send(&server, GET).1.contains("Location: /elsewhere"));
    assert_eq!(send(&server, GET).2, b"new");
    assert!(send(&server, GET).1.contains("Content-Length: 99"));
    assert_eq!(send(&server, GET).2, b"new");
}

#[test]
fn stalled_response_ends_with_the_server() {
    let server = server();
    server.misbehave("a/b+c", 1, Misbehavior::StallAfter(2));
    let mut stream = TcpStream::connect(server.url().strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /a/b+c HTTP/1.1\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    let mut response = Vec::new();
    assert!(stream.read_to_end(&mut response).is_err());
    assert!(response.ends_with(b"01"));
    drop(server);
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    assert_eq!(stream.read_to_end(&mut response).unwrap(), 0);
}
