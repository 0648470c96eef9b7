//! The response to one request, correct or with a scripted failure.

use std::fmt::Write as _;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::{Misbehavior, Request, State};

/// A connection and its request.
pub(super) struct Exchange<'a> {
    pub(super) stream: TcpStream,
    pub(super) request: &'a Request,
    pub(super) state: &'a State,
    pub(super) speed: Option<u64>,
    pub(super) misbehavior: Option<Misbehavior>,
}

/// A response head and its part of the body.
struct Response<'a> {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: &'a [u8],
    /// The value of `Content-Length`; `None` omits it.
    length: Option<u64>,
}

/// The HTML page that is sent in place of a file.
const HTML: &[u8] =
    b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Welcome</body></html>\n";

impl Exchange<'_> {
    /// Sends the response: `bytes` is the file, `None` a 404.
    pub(super) fn respond(&self, bytes: Option<Vec<u8>>) -> std::io::Result<()> {
        if let Some(Misbehavior::Wait(time)) = &self.misbehavior {
            self.state.sleep(*time);
        }
        let is_read = matches!(self.request.method.as_str(), "GET" | "HEAD");
        self.send(&match (&self.misbehavior, &bytes) {
            (Some(Misbehavior::Status(status, retry_after)), _) => {
                let retry_after = retry_after.clone().map(|after| ("Retry-After", after));
                Response::text(*status, b"out of order\n", retry_after)
            }
            (Some(Misbehavior::Redirect(url)), _) => {
                Response::text(302, b"elsewhere\n", Some(("Location", url.clone())))
            }
            (Some(Misbehavior::Html), _) => {
                let html = String::from("text/html; charset=utf-8");
                Response::text(200, HTML, Some(("Content-Type", html)))
            }
            _ if !is_read => Response::text(405, b"GET or HEAD\n", None),
            (_, Some(bytes)) => self.file_response(bytes),
            (_, None) => Response::text(404, b"no such file\n", None),
        })
    }

    /// The file, or the requested range of it (RFC 9110, sections 13.1.5 and 14.2).
    fn file_response<'b>(&self, bytes: &'b [u8]) -> Response<'b> {
        let misbehavior = self.misbehavior.as_ref();
        let (etag, modified) = validators(bytes);
        let mut answer =
            Response { status: 200, headers: Vec::new(), body: bytes, length: Some(bytes.len() as u64) };
        let total = bytes.len() as u64;
        let same = self.request.header("if-range").is_none_or(|seen| seen == etag || seen == modified);
        let ignored = misbehavior == Some(&Misbehavior::IgnoreRange);
        match self.request.range_from().filter(|_| same && !ignored) {
            Some(from) if from >= total => {
                let range = ("Content-Range", format!("bytes */{total}"));
                answer = Response::text(416, b"past the end\n", Some(range));
            }
            Some(from) => {
                let start =
                    if let Some(Misbehavior::WrongRange(start)) = misbehavior { *start } else { from };
                answer.status = 206;
                answer.body = &bytes[from as usize..];
                answer.length = Some(total - from);
                answer.headers.push(("Content-Range", format!("bytes {start}-{}/{total}", total - 1)));
            }
            None => {}
        }
        answer.headers.push(("Content-Type", String::from("application/octet-stream")));
        answer.headers.push(("Accept-Ranges", String::from("bytes")));
        if !matches!(misbehavior, Some(Misbehavior::NoValidators | Misbehavior::CutWithoutValidators(_))) {
            answer.headers.extend([("ETag", etag), ("Last-Modified", modified)]);
        }
        match misbehavior {
            Some(Misbehavior::WrongLength(length)) => answer.length = Some(*length),
            Some(Misbehavior::NoLength) => answer.length = None,
            Some(Misbehavior::GzipEncoding) => {
                answer.headers.push(("Content-Encoding", String::from("gzip")))
            }
            _ => {}
        }
        answer
    }

    fn send(&self, answer: &Response<'_>) -> std::io::Result<()> {
        let (mut stream, misbehavior) = (&self.stream, self.misbehavior.as_ref());
        stream.write_all(answer.head().as_bytes())?;
        if self.request.method == "HEAD" {
            return stream.flush();
        }
        let speed = if let Some(Misbehavior::Slow(speed)) = misbehavior { Some(*speed) } else { self.speed };
        match misbehavior {
            Some(Misbehavior::CutAfter(count) | Misbehavior::CutWithoutValidators(count)) => {
                self.write_body(first(answer.body, *count), speed)?;
                return stream.shutdown(Shutdown::Both);
            }
            Some(Misbehavior::StallAfter(count)) => {
                self.write_body(first(answer.body, *count), speed)?;
                self.state.sleep(Duration::from_secs(3600));
            }
            _ => self.write_body(answer.body, speed)?,
        }
        stream.flush()
    }

    fn write_body(&self, body: &[u8], speed: Option<u64>) -> std::io::Result<()> {
        let mut stream = &self.stream;
        let Some(speed) = speed else { return stream.write_all(body) };
        // Twenty pieces per second: smooth for a progress bar.
        let piece = usize::try_from(speed / 20).unwrap_or(usize::MAX).max(1);
        for part in body.chunks(piece) {
            stream.write_all(part)?;
            self.state.sleep(Duration::from_millis(50));
            if self.state.stopped() {
                break;
            }
        }
        Ok(())
    }
}

impl<'a> Response<'a> {
    fn text(status: u16, body: &'a [u8], header: Option<(&'static str, String)>) -> Response<'a> {
        Response { status, headers: header.into_iter().collect(), body, length: Some(body.len() as u64) }
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} \r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            // Writing to a String cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(length) = self.length {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        head + "\r\n"
    }
}

fn first(body: &[u8], count: u64) -> &[u8] {
    &body[..usize::try_from(count).unwrap_or(usize::MAX).min(body.len())]
}

/// `ETag` and `Last-Modified` of these bytes: both are derived from a checksum, so that other bytes have other values.
fn validators(bytes: &[u8]) -> (String, String) {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let (minute, second) = (hash % 60, hash / 60 % 60);
    (format!("\"{hash:016x}\""), format!("Fri, 29 Apr 2016 01:{minute:02}:{second:02} GMT"))
}
