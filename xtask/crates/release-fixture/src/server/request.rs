//! The request of a client.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use percent_encoding::percent_decode_str;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD`, or another method of the client.
    pub method: String,
    /// The path without its leading slash, `%XX` decoded: a key of the site.
    pub path: String,
    /// The header fields, their names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// The size of a request head in bytes; longer ones are truncated.
const MAX_HEAD: u64 = 64 << 10;

impl Request {
    /// Reads one request head; `None` if the client closed the connection or sent none.
    pub(super) fn read(stream: &TcpStream) -> std::io::Result<Option<Request>> {
        let mut lines = BufReader::new(stream.take(MAX_HEAD)).lines();
        let Some(first) = lines.next().transpose()? else { return Ok(None) };
        let mut words = first.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
        let mut headers = BTreeMap::new();
        for line in lines {
            let line = line?;
            match line.split_once(':') {
                Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
                None => break,
            };
        }
        let path = target.split('?').next().unwrap_or(target).trim_start_matches('/');
        let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
        Ok(Some(Request { method: method.to_owned(), path, headers }))
    }

    /// A header field by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte of a `Range: bytes=N-`, the one form that a resumed download has.
    pub fn range_from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}
