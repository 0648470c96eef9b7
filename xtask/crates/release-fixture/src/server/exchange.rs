//! The response to one request, correct or with a scripted failure.

use std::fmt::Write as _;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::{Misbehavior, Request, State};

/// A connection and its request.
pub(super) struct Exchange<'a> {
    pub(super) stream: TcpStream,
    pub(super) request: &'a Request,
    pub(super) state: &'a State,
    /// The rate of the body in bytes per second.
    pub(super) speed: Option<usize>,
    pub(super) misbehavior: Option<Misbehavior>,
}

/// A response without its length, which a scripted failure may change.
struct Response<'a> {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: &'a [u8],
}

/// The HTML page that is sent in place of a file.
const HTML: &[u8] =
    b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Welcome</body></html>\n";

impl Exchange<'_> {
    /// Sends the response: `file` has the bytes of the file, `None` is a 404.
    pub(super) fn respond(&self, file: Option<&[u8]>) -> std::io::Result<()> {
        if let Some(Misbehavior::Wait(time)) = &self.misbehavior {
            self.state.sleep(*time);
        }
        let response = self.response(file);
        let mut stream = &self.stream;
        stream.write_all(self.head(&response).as_bytes())?;
        if self.request.method == "HEAD" {
            return Ok(());
        }
        match &self.misbehavior {
            Some(Misbehavior::CutAfter(count) | Misbehavior::CutWithoutValidators(count)) => {
                self.write_body(first(response.body, *count))
            }
            Some(Misbehavior::StallAfter(count)) => {
                self.write_body(first(response.body, *count))?;
                self.state.sleep(Duration::from_secs(3600));
                Ok(())
            }
            _ => self.write_body(response.body),
        }
    }

    fn response<'b>(&self, file: Option<&'b [u8]>) -> Response<'b> {
        let text = |status, body, headers: Option<(&'static str, String)>| Response {
            status,
            headers: headers.into_iter().collect(),
            body,
        };
        match (&self.misbehavior, file) {
            (Some(Misbehavior::Status(status, retry_after)), _) => {
                text(*status, b"out of order\n", retry_after.clone().map(|after| ("Retry-After", after)))
            }
            (Some(Misbehavior::Redirect(url)), _) => {
                text(302, b"elsewhere\n", Some(("Location", url.clone())))
            }
            (Some(Misbehavior::Html), _) => {
                text(200, HTML, Some(("Content-Type", String::from("text/html; charset=utf-8"))))
            }
            _ if !matches!(self.request.method.as_str(), "GET" | "HEAD") => text(405, b"GET or HEAD\n", None),
            (_, Some(bytes)) => self.file_response(bytes),
            (_, None) => text(404, b"no such file\n", None),
        }
    }

    /// The file, or the requested range of it (RFC 9110, sections 13.1.5 and 14.2).
    fn file_response<'b>(&self, bytes: &'b [u8]) -> Response<'b> {
        let misbehavior = self.misbehavior.as_ref();
        let (etag, modified) = validators(bytes);
        let total = bytes.len();
        let mut response = Response { status: 200, headers: Vec::new(), body: bytes };
        let same = self.request.header("if-range").is_none_or(|seen| seen == etag || seen == modified);
        let ignored = misbehavior == Some(&Misbehavior::IgnoreRange);
        if let Some(from) = self.request.range_from().filter(|_| same && !ignored) {
            let range = if from < total {
                (response.status, response.body) = (206, &bytes[from..]);
                let start =
                    if let Some(Misbehavior::WrongRange(start)) = misbehavior { *start } else { from };
                format!("bytes {start}-{}/{total}", total - 1)
            } else {
                (response.status, response.body) = (416, b"past the end\n");
                format!("bytes */{total}")
            };
            response.headers.push(("Content-Range", range));
        }
        response.headers.push(("Content-Type", String::from("application/octet-stream")));
        response.headers.push(("Accept-Ranges", String::from("bytes")));
        if !matches!(misbehavior, Some(Misbehavior::NoValidators | Misbehavior::CutWithoutValidators(_))) {
            response.headers.extend([("ETag", etag), ("Last-Modified", modified)]);
        }
        if misbehavior == Some(&Misbehavior::GzipEncoding) {
            response.headers.push(("Content-Encoding", String::from("gzip")));
        }
        response
    }

    fn head(&self, response: &Response<'_>) -> String {
        let mut head = format!("HTTP/1.1 {} \r\nConnection: close\r\n", response.status);
        // Writing to a String cannot fail.
        for (name, value) in &response.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let length = match self.misbehavior {
            Some(Misbehavior::WrongLength(length)) => Some(length),
            Some(Misbehavior::NoLength) => None,
            _ => Some(response.body.len()),
        };
        if let Some(length) = length {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        head + "\r\n"
    }

    fn write_body(&self, body: &[u8]) -> std::io::Result<()> {
        let mut stream = &self.stream;
        let Some(speed) = self.speed else { return stream.write_all(body) };
        // Twenty pieces per second: smooth for a progress bar.
        for part in body.chunks((speed / 20).max(1)) {
            stream.write_all(part)?;
            self.state.sleep(Duration::from_millis(50));
            if self.state.stopped() {
                break;
            }
        }
        Ok(())
    }
}

fn first(body: &[u8], count: usize) -> &[u8] {
    body.get(..count).unwrap_or(body)
}

/// `ETag` and `Last-Modified` of these bytes: both are derived from a checksum, so that other bytes have other values.
fn validators(bytes: &[u8]) -> (String, String) {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let (minute, second) = (hash % 60, hash / 60 % 60);
    (format!("\"{hash:016x}\""), format!("Fri, 29 Apr 2016 01:{minute:02}:{second:02} GMT"))
}
