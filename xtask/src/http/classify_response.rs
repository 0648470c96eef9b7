//! Classification of responses: the requested file, a part of the file, or an error.

use ureq::Body;
use ureq::http::{HeaderMap, Response};

use super::error::{CHECK_URL, OTHER_MIRROR, RequestResult};
use coreos_types::{Error, Result};

/// The point at which an earlier download of the same entity stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// Bytes that are already stored.
    pub at: u64,
    /// Length of the whole file in bytes, if known.
    pub total: Option<u64>,
    /// The strong `ETag` or the `Last-Modified` of that entity.
    pub validator: String,
}

/// The meaning of a response for the download.
pub(super) enum Disposition {
    /// The file, from the requested byte on.
    Body(BodyHeaders),
    /// The server does not have the file.
    NotFound,
    /// The file on the server has changed: the download must restart.
    Changed,
    /// The server does not send this part of the file, or no validator that identifies the file: the download must
    /// restart.
    RangeUnsupported(String),
}

/// The headers that describe the file.
#[derive(Default)]
pub(super) struct BodyHeaders {
    /// Length of the whole file.
    pub(super) total: Option<u64>,
    /// The byte after the last one of this response, if the response is a part of the file.
    pub(super) part_end: Option<u64>,
    /// The strong `ETag` or the `Last-Modified`.
    pub(super) validator: Option<String>,
}

/// Reads status and header fields (RFC 9110, sections 8, 13.1.5 and 14). `url` is for messages.
pub(super) fn classify(
    url: &str,
    response: &Response<Body>,
    resume: Option<&ResumePoint>,
) -> RequestResult<Disposition> {
    let headers = response.headers();
    let validator = validator(headers);
    Ok(match (response.status().as_u16(), resume) {
        (code @ (200 | 203 | 206), None) => {
            check_content_headers(url, headers)?;
            let total = match code {
                206 => check_whole_file(url, headers)?,
                _ => header_text(headers, "content-length").and_then(|length| length.trim().parse().ok()),
            };
            Disposition::Body(BodyHeaders { total, part_end: None, validator })
        }
        (200 | 203 | 206, Some(resume)) if validator.as_ref().is_some_and(|now| *now != resume.validator) => {
            Disposition::Changed
        }
        (206, Some(resume)) => match check_content_range(headers, resume) {
            Ok(range) => {
                let part_end = range.last.checked_add(1);
                Disposition::Body(BodyHeaders { total: range.total, part_end, validator })
            }
            Err(why) => Disposition::RangeUnsupported(why),
        },
        (200 | 203, Some(_)) => {
            Disposition::RangeUnsupported("it sends the whole file when a part is requested".to_owned())
        }
        (412, Some(_)) => Disposition::Changed,
        // If-Range sends a changed file as a whole, so the file is the same one, and shorter than announced.
        (416, Some(resume)) => Disposition::RangeUnsupported(format!("it has no byte {}", resume.at)),
        (404 | 410, _) => Disposition::NotFound,
        (code, _) => return Err(unexpected_status(url, code, response).into()),
    })
}

fn unexpected_status(url: &str, code: u16, response: &Response<Body>) -> Error {
    let error = Error::request_failed(url)
        .with_cause(format!("the server responded {}, expected 200 OK", response.status()));
    error.with_hint(match code {
        407 => "the proxy requires a user name and a password: https_proxy=http://USER:PASSWORD@HOST:PORT",
        401 | 403 => "check the URL; a mirror that requires a login cannot be used",
        _ => CHECK_URL,
    })
}

/// The length of a file in a 206 response without a range request, if the response is complete (RFC 9110, section
/// 15.3.7).
fn check_whole_file(url: &str, headers: &HeaderMap) -> Result<Option<u64>> {
    let text = header_text(headers, "content-range");
    match text.and_then(parse_content_range) {
        Some(ContentRange { first: 0, last, total: Some(total) }) if last + 1 == total => Ok(Some(total)),
        _ => {
            let found = text.unwrap_or("no Content-Range");
            let what = format!("the server sent a part of {url} ({found}), expected the whole file");
            Err(Error::failed(what).with_hint(OTHER_MIRROR))
        }
    }
}

/// The range of a partial response that continues from the resume point; else the reason to restart.
fn check_content_range(
    headers: &HeaderMap,
    resume: &ResumePoint,
) -> std::result::Result<ContentRange, String> {
    let text = header_text(headers, "content-range");
    if let Some(range) = text.and_then(parse_content_range) {
        let total = range.total.or(resume.total);
        let is_same = resume.total.is_none() || resume.total == total;
        if range.first == resume.at && is_same && total.is_none_or(|total| range.last < total) {
            return Ok(ContentRange { total, ..range });
        }
    }
    let (last, length) = match resume.total {
        Some(total) => (total.saturating_sub(1).to_string(), total.to_string()),
        None => (String::new(), "LENGTH".to_owned()),
    };
    Err(format!(
        "it responds with Content-Range {}, expected bytes {}-{last}/{length}",
        text.unwrap_or("(none)"),
        resume.at
    ))
}

/// Refuses HTML pages and encoded files.
fn check_content_headers(url: &str, headers: &HeaderMap) -> Result<()> {
    let text = |name| header_text(headers, name).unwrap_or_default();
    if text("content-type").to_ascii_lowercase().starts_with("text/html") {
        return Err(html_error(url));
    }
    let encoding = text("content-encoding");
    // Some servers label a .gz as "encoded" by its name, without changing the bytes.
    if !matches!(encoding, "" | "identity") && !url.ends_with(".gz") {
        let what = format!("the server sent {url} with Content-Encoding {encoding}, expected none");
        return Err(Error::failed(what).with_hint(OTHER_MIRROR));
    }
    Ok(())
}

/// The error of an HTML page instead of a file.
pub(super) fn html_error(url: &str) -> Error {
    Error::failed(format!("the server sent an HTML page instead of {url}")).with_hint(
        "open the URL in a browser: it may be a sign-in page of this network, or an error page of the mirror",
    )
}

/// Whether a file's first bytes are those of an HTML page.
pub(super) fn looks_like_html(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let starts = |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    starts(b"<!doctype html") || starts(b"<html") || starts(b"<head")
}

/// The validator of this version of the file: a strong `ETag`, else `Last-Modified`.
fn validator(headers: &HeaderMap) -> Option<String> {
    let etag = header_text(headers, "etag").filter(|etag| etag.starts_with('"'));
    etag.or_else(|| header_text(headers, "last-modified")).map(str::to_owned)
}

/// The value of a header field; `None` without the field, and if it is not ASCII.
pub(super) fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// `bytes FIRST-LAST/TOTAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentRange {
    first: u64,
    last: u64,
    /// `None` is `*`, an unknown length.
    total: Option<u64>,
}

fn parse_content_range(text: &str) -> Option<ContentRange> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    let is_inside = last < u64::MAX && total.is_none_or(|total| last < total);
    (first <= last && is_inside).then_some(ContentRange { first, last, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_parsed() {
        let range = |first, last, total| Some(ContentRange { first, last, total });
        assert_eq!(parse_content_range("bytes 5-9/10"), range(5, 9, Some(10)));
        assert_eq!(parse_content_range("bytes 5-8/10"), range(5, 8, Some(10)));
        assert_eq!(parse_content_range("bytes 5-9/*"), range(5, 9, None));
        for odd in [
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes */10",
            "5-9/10",
            "bytes 5-9/x",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(parse_content_range(odd), None, "{odd}");
        }
    }

    #[test]
    fn html_is_recognized_by_its_first_bytes() {
        assert!(looks_like_html(b"\n <!DOCTYPE HTML PUBLIC"));
        assert!(looks_like_html(b"\xef\xbb\xbf<html>"));
        assert!(!looks_like_html(b"\x1f\x8b"));
        assert!(!looks_like_html(b""));
    }
}
