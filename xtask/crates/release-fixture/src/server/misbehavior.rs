//! Scripted failures of one response.

use std::time::Duration;

/// A wrong response, as release servers, caches or proxies send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehavior {
    /// A status with a short text, and `Retry-After` if set.
    Status(u16, Option<String>),
    /// The connection ends after this number of bytes of the body.
    CutAfter(usize),
    /// The connection ends after this number of bytes of the body, without `ETag` and `Last-Modified`.
    CutWithoutValidators(usize),
    /// The body stalls after this number of bytes, on an open connection.
    StallAfter(usize),
    /// The server waits this long before the response.
    Wait(Duration),
    /// A `Range` is answered with 200 and the whole file.
    IgnoreRange,
    /// A `Range` is answered with 206 and a wrong `Content-Range`: it starts at this byte.
    WrongRange(usize),
    /// The file is replaced by this one, for this and later requests.
    ChangeEntity(Vec<u8>),
    /// `Content-Length` has this value, independent of the body.
    WrongLength(usize),
    /// No `Content-Length`: the end of the connection is the end of the body.
    NoLength,
    /// Neither `ETag` nor `Last-Modified`.
    NoValidators,
    /// 302 to this URL.
    Redirect(String),
    /// 200 with an HTML page, as captive portals and error pages send it.
    Html,
    /// `Content-Encoding: gzip` on a file that is gzip by itself, bytes unchanged.
    GzipEncoding,
}
