//! Classification of responses: the requested file, a part of the file, or an error.

use std::time::SystemTime;

use ureq::Body;
use ureq::http::{HeaderMap, Response};

use super::download_limits::parse_retry_after;
use super::error::{OPEN_IN_BROWSER, OTHER_MIRROR, RequestError, RequestResult, Route};
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
    /// `Content-Encoding`.
    pub(super) encoding: Option<String>,
}

/// Reads status and header fields (RFC 9110, sections 8, 13.1.5 and 14).
pub(super) fn classify(
    route: &Route,
    response: &Response<Body>,
    resume: Option<&ResumePoint>,
) -> RequestResult<Disposition> {
    let headers = response.headers();
    let validator = validator(headers);
    Ok(match (response.status().as_u16(), resume) {
        (code @ (200 | 203 | 206), None) => {
            let total = match code {
                206 => check_whole_file(route, headers)?,
                // The length of a chunked body is not that of Content-Length (RFC 9112, section 6.3).
                _ if headers.contains_key("transfer-encoding") => None,
                _ => header_text(headers, "content-length").and_then(|length| length.trim().parse().ok()),
            };
            let encoding = header_text(headers, "content-encoding").map(str::to_ascii_lowercase);
            Disposition::Body(BodyHeaders { total, part_end: None, validator, encoding })
        }
        (200 | 203 | 206, Some(resume)) if validator.as_ref().is_some_and(|now| *now != resume.validator) => {
            Disposition::Changed
        }
        (206, Some(resume)) => match check_content_range(headers, resume) {
            Ok(range) => {
                let part_end = range.last.checked_add(1);
                Disposition::Body(BodyHeaders { total: range.total, part_end, validator, encoding: None })
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
        _ => {
            let retry_after = header_text(headers, "retry-after");
            let retry_after = retry_after.and_then(|value| parse_retry_after(value, SystemTime::now()));
            return Err(RequestError::from_status(route, "the server", response.status(), retry_after));
        }
    })
}

/// The length of a file in a 206 response without a range request, if the response is complete (RFC 9110, section
/// 15.3.7).
fn check_whole_file(route: &Route, headers: &HeaderMap) -> Result<Option<u64>> {
    let text = header_text(headers, "content-range");
    match text.and_then(parse_content_range) {
        Some(ContentRange { first: 0, last, total: Some(total) }) if last + 1 == total => Ok(Some(total)),
        _ => {
            let found = text.unwrap_or("no Content-Range");
            let what = format!("the server sent a part of {} ({found}), expected the whole file", route.url);
            Err(route.explain(Error::failed(what)).with_hint(OTHER_MIRROR))
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

/// Refuses a page, or an encoded file, by its first bytes: its `Content-Type` and `Content-Encoding` may be wrong.
pub(super) fn check_start(route: &Route, encoding: Option<&str>, start: &[u8]) -> Result<()> {
    let url = route.redirected_from.as_ref().unwrap_or(&route.url);
    if let Some(page) = detect_page(start) {
        let what = format!("the server sent {page} instead of {url}");
        return Err(route.explain(Error::failed(what)).with_hint(OPEN_IN_BROWSER));
    }
    let (is_gzip, is_gzip_name) = (start.starts_with(b"\x1f\x8b"), url.path_and_query().ends_with(".gz"));
    let is_encoded = match encoding {
        // Apache labels `image.gz.sig` so, too, by the `.gz` in its name.
        Some("gzip" | "x-gzip") => is_gzip && !is_gzip_name,
        Some("br" | "deflate" | "zstd" | "compress" | "x-compress") => !(is_gzip && is_gzip_name),
        // Other values, such as `none`, `UTF-8` and `aws-chunked`, are mistakes in the configuration of a server.
        _ => false,
    };
    if is_encoded {
        let encoding = encoding.unwrap_or_default();
        let what = format!("the server sent {url} with Content-Encoding {encoding}, expected none");
        return Err(route.explain(Error::failed(what)).with_hint(OTHER_MIRROR));
    }
    Ok(())
}

/// The kind of page that begins with these bytes; `None` for other content. No file of a release begins with `<`.
fn detect_page(start: &[u8]) -> Option<&'static str> {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let text = String::from_utf8_lossy(&text[..text.len().min(512)]).to_ascii_lowercase();
    match text.starts_with('<') {
        true if text.starts_with("<?xml") && !text.contains("<html") => Some("an XML document"),
        true => Some("an HTML page"),
        false => None,
    }
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
    fn page_is_recognized_by_its_first_bytes() {
        for (start, page) in [
            ("\n <!DOCTYPE HTML PUBLIC", Some("an HTML page")),
            ("\u{feff}<html>", Some("an HTML page")),
            ("<!-- portal --><script>", Some("an HTML page")),
            ("<?xml version=\"1.0\"?>\n<!DOCTYPE html>\n<html xmlns", Some("an HTML page")),
            ("<?xml version=\"1.0\"?><Error>", Some("an XML document")),
            ("\u{1f}\u{8b}<", None),
            ("-----BEGIN PGP SIGNATURE-----", None),
            ("", None),
        ] {
            assert_eq!(detect_page(start.as_bytes()), page, "{start}");
        }
    }
}
