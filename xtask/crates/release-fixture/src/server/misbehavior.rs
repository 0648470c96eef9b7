//! What can go wrong with one answer.

use std::time::Duration;

/// A wrong response, as release servers, caches or proxies give them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehavior {
    /// A status with a short text, and `Retry-After` where it is given.
    Status(u16, Option<String>),
    /// The connection ends after so many bytes of the body.
    CutAfter(u64),
    /// The same, and there is neither `ETag` nor `Last-Modified`.
    CutUnnamed(u64),
    /// Nothing more comes after so many bytes of the body, and the connection stays.
    StallAfter(u64),
    /// The server takes so long before it answers at all.
    Wait(Duration),
    /// A `Range` is answered with 200 and the whole file.
    IgnoreRange,
    /// A `Range` is answered with 206 and a wrong `Content-Range`: it starts at this byte.
    WrongRange(u64),
    /// The file becomes another one, now and for later requests.
    ChangeEntity(Vec<u8>),
    /// `Content-Length` says so many bytes, whatever is sent.
    WrongLength(u64),
    /// No `Content-Length`: the end of the connection is the end of the body.
    NoLength,
    /// Neither `ETag` nor `Last-Modified`.
    NoValidators,
    /// 302 to this URL.
    Redirect(String),
    /// 200 with an HTML page, as captive portals and error pages come.
    Html,
    /// `Content-Encoding: gzip` on a file that is gzip by itself, bytes unchanged.
    GzipEncoding,
    /// The body no faster than this many bytes a second.
    Slow(u64),
}
