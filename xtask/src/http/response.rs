//! Whether an answer is the file that was asked for, and from which byte on.

use ureq::Body;
use ureq::http::{HeaderMap, Response};

use super::download::Resume;
use super::error::{RequestError, RequestResult};
use coreos_types::error::Error;

/// What one answer means.
pub(super) enum Disposition {
    /// The file, from the byte that was asked for on.
    Bytes { total: Option<u64>, validator: Option<String> },
    /// The rest of the file is not to be had: start again.
    Restart(Why),
    /// There is no such file.
    Missing,
}

/// Why a download cannot go on from where it broke off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// The server has another file under this name by now.
    Changed,
    /// The server cannot send this part of the file, or gives nothing to tell by that it is the same file.
    Unable(String),
}

/// Reads status and header fields (RFC 9110, sections 8, 13.1.5 and 14).
pub(super) fn meaning(
    url: &str,
    answer: &Response<Body>,
    resume: Option<&Resume>,
) -> RequestResult<Disposition> {
    let headers = answer.headers();
    let validator = validator(headers);
    match (answer.status().as_u16(), resume) {
        (200, None) => {
            plain_file(url, headers)?;
            Ok(Disposition::Bytes { total: number(headers, "content-length"), validator })
        }
        (206, Some(resume)) => Ok(match part(headers, resume, validator.as_deref()) {
            Ok(total) => Disposition::Bytes { total, validator },
            Err(why) => Disposition::Restart(why),
        }),
        // The whole file in answer to a range.
        (200, Some(resume)) => Ok(Disposition::Restart(match validator {
            Some(now) if now != resume.validator => Why::Changed,
            _ => Why::Unable("it sends the whole file when a part is asked for".to_owned()),
        })),
        (412, Some(_)) => Ok(Disposition::Restart(Why::Changed)),
        // Another file would have come whole, so it is the same one, and shorter than it was said to be.
        (416, Some(resume)) => Ok(Disposition::Restart(Why::Unable(format!("it has no byte {}", resume.at)))),
        (404 | 410, _) => Ok(Disposition::Missing),
        (code, _) => {
            let fault = Error::failed(format!("cannot get {url}"))
                .with_cause(format!("the server answered {}, expected 200 OK", answer.status()));
            Err(RequestError::lasting(match code {
                401 | 403 | 407 => {
                    fault.with_hint("look at the address; a mirror that asks who you are cannot be used")
                }
                _ => fault,
            }))
        }
    }
}

/// The whole length that a partial answer tells, if it is the part that was asked for.
fn part(headers: &HeaderMap, resume: &Resume, now: Option<&str>) -> Result<Option<u64>, Why> {
    if now.is_some_and(|now| now != resume.validator) {
        return Err(Why::Changed);
    }
    let text = headers.get("content-range").and_then(|value| value.to_str().ok());
    match text.and_then(content_range) {
        Some((first, total))
            if first == resume.at && resume.total.is_none_or(|known| Some(known) == total) =>
        {
            Ok(total)
        }
        _ => {
            let length = resume.total.map_or_else(|| "*".to_owned(), |total| total.to_string());
            let last = resume.total.map_or_else(String::new, |total| total.saturating_sub(1).to_string());
            Err(Why::Unable(format!(
                "it answers with Content-Range {}, expected bytes {}-{last}/{length}",
                text.unwrap_or("(none)"),
                resume.at
            )))
        }
    }
}

/// Refuses pages for people, and files that were encoded on the way.
fn plain_file(url: &str, headers: &HeaderMap) -> RequestResult<()> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text("content-type").to_ascii_lowercase().starts_with("text/html") {
        return Err(RequestError::lasting(html(url)));
    }
    let encoding = text("content-encoding");
    // Servers that go by the name label a .gz as "encoded" without touching it; that is harmless.
    if !matches!(encoding, "" | "identity") && !url.ends_with(".gz") {
        return Err(RequestError::lasting(
            Error::failed(format!("the server sends {url} encoded ({encoding}) though it was asked not to"))
                .with_hint("name another mirror: --mirror URL"),
        ));
    }
    Ok(())
}

/// The fault for a page where a file was expected.
pub(super) fn html(url: &str) -> Error {
    Error::failed(format!("the server sent an HTML page in place of {url}")).with_hint(
        "open the address in a browser: it may be a sign-in page of this network, or an error page of the mirror",
    )
}

/// Whether a file's first bytes are those of an HTML page.
pub(super) fn looks_like_html(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let starts = |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    starts(b"<!doctype html") || starts(b"<html") || starts(b"<head")
}

/// What names this state of the file: a strong `ETag`, else `Last-Modified`.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    text("etag").filter(|etag| etag.starts_with('"')).or_else(|| text("last-modified"))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The first byte and the whole length of `bytes 5-9/10`; `*` is an unknown length.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    let whole = total.is_none_or(|total| last.checked_add(1) == Some(total));
    (first <= last && whole).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for odd in ["bytes 5-8/10", "bytes 9-5/10", "bytes */10", "5-9/10", "bytes 5-9/x"] {
            assert_eq!(content_range(odd), None, "{odd}");
        }
    }

    #[test]
    fn html_is_told_by_its_start() {
        assert!(looks_like_html(b"\n <!DOCTYPE HTML PUBLIC"));
        assert!(looks_like_html(b"\xef\xbb\xbf<html>"));
        assert!(!looks_like_html(b"\x1f\x8b"));
        assert!(!looks_like_html(b""));
    }
}
