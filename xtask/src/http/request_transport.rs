//! The transport of a request: a deadline for slow responses, tolerance of malformed header fields, and the request line
//! for a proxy.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

/// The end of the current step, and whether that is the header section; shared with the connection. The library's own
/// limits are per read, so a server that sends single bytes slowly would never exceed them.
#[derive(Debug, Clone)]
pub(super) struct Deadline(Arc<Mutex<(Instant, bool)>>);

impl Deadline {
    /// A deadline for the header section.
    pub(super) fn new(limit: Duration) -> Deadline {
        Deadline(Arc::new(Mutex::new((Instant::now() + limit, true))))
    }

    /// Sets the deadline of the next piece of the body.
    pub(super) fn set_for_body(&self, limit: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now() + limit, false);
    }

    /// The time left, and whether the header section is being read.
    fn left_and_in_headers(&self) -> (Duration, bool) {
        let (end, in_headers) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (end.saturating_duration_since(Instant::now()), in_headers)
    }
}

/// Limit of a header section in bytes, which is that of the HTTP library.
const MAX_HEADER_SECTION: usize = 64 << 10;

/// The header fields that this program or the HTTP library reads. The library rejects a response with a malformed field
/// or with more than 128 fields, whatever they are; curl ignores them.
const FIELDS: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "transfer-encoding",
];

/// Wraps a connection in [`RequestTransport`].
#[derive(Debug, Clone)]
pub(super) struct RequestConnector {
    pub(super) deadline: Deadline,
    /// `http://HOST` of the target, if a proxy forwards the request (RFC 9112, section 3.2.2).
    pub(super) absolute_form: Option<String>,
}

impl<In: Transport> Connector<In> for RequestConnector {
    type Out = RequestTransport<In>;

    fn connect(
        &self,
        _: &ConnectionDetails,
        inner: Option<In>,
    ) -> Result<Option<RequestTransport<In>>, Error> {
        Ok(inner.map(|inner| RequestTransport { inner, connector: self.clone() }))
    }
}

/// A connection under a [`Deadline`].
#[derive(Debug)]
pub(super) struct RequestTransport<T> {
    inner: T,
    connector: RequestConnector,
}

impl<T: Transport> Transport for RequestTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, mut amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if let Some(origin) = self.connector.absolute_form.take() {
            amount = insert_origin(self.inner.buffers().output(), amount, origin.as_bytes())?;
        }
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, Error> {
        loop {
            let (left, in_headers) = self.connector.deadline.left_and_in_headers();
            let reason = if in_headers { Timeout::RecvResponse } else { Timeout::RecvBody };
            if left.is_zero() {
                return Err(Error::Timeout(reason));
            }
            if timeout.after > left.into() {
                (timeout.after, timeout.reason) = (left.into(), reason);
            }
            let has_input = self.inner.await_input(timeout)?;
            let buffers = self.inner.buffers();
            let is_done = !has_input || !in_headers || buffers.input().len() > MAX_HEADER_SECTION;
            if is_done || filter_header_section(buffers) {
                return Ok(has_input);
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// Turns `GET /path` at the start of a request into `GET http://HOST/path`; returns the new length.
fn insert_origin(output: &mut [u8], amount: usize, origin: &[u8]) -> Result<usize, Error> {
    let slash = output[..amount].iter().position(|byte| *byte == b' ').map_or(0, |blank| blank + 1);
    let end = amount + origin.len();
    if end > output.len() {
        return Err(Error::BadUri("too long for a request to a proxy".to_owned()));
    }
    output.copy_within(slash..amount, slash + origin.len());
    output[slash..slash + origin.len()].copy_from_slice(origin);
    Ok(end)
}

/// Removes the fields that nobody reads from a complete header section; `false` if it is not complete yet.
fn filter_header_section(buffers: &mut dyn Buffers) -> bool {
    let received = buffers.input().len();
    let Some(bytes) = filtered_header_section(buffers.input()) else { return false };
    buffers.input_consume(received);
    buffers.input_append_buf()[..bytes.len()].copy_from_slice(&bytes);
    buffers.input_appended(bytes.len());
    true
}

/// A header section, after those of interim responses, with [`FIELDS`] alone and without line folds (RFC 9112, section
/// 5.2), and the bytes that follow it; `None` if it is not complete. The version of its status line becomes 1.1, as the
/// connection is closed in any case.
fn filtered_header_section(input: &[u8]) -> Option<Vec<u8>> {
    let input = input.trim_ascii_start();
    if input.iter().zip(b"HTTP/").any(|(found, expected)| found != expected) {
        // The parser reports another protocol.
        return Some(input.to_vec());
    }
    let mut lines = input.split_inclusive(|byte| *byte == b'\n').peekable();
    let mut output = Vec::with_capacity(input.len());
    loop {
        let status = lines.next()?;
        let start = output.len();
        output.extend_from_slice(status);
        if status.starts_with(b"HTTP/1.0 ") {
            output[start + 7] = b'1';
        }
        let is_interim = status.get(8..10) == Some(b" 1");
        while let Some(line) = lines.next_if(|line| !line.trim_ascii().is_empty()) {
            let mut field = line.to_vec();
            while let Some(fold) = lines.next_if(|line| line.starts_with(b" ") || line.starts_with(b"\t")) {
                field.truncate(field.trim_ascii_end().len());
                field.extend_from_slice(fold);
            }
            let name_len = field.iter().position(|byte| *byte == b':').unwrap_or(0);
            let name = field[..name_len].trim_ascii_end();
            if !is_interim && FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
                output.extend_from_slice(name);
                output.extend_from_slice(&field[name_len..]);
            }
        }
        output.extend_from_slice(lines.next().filter(|line| line.ends_with(b"\n"))?);
        if !is_interim {
            output.extend(lines.flatten());
            return Some(output);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn header_section_keeps_only_known_fields() {
        for (received, filtered) in [
            (
                "HTTP/1.1 200 OK\r\nETag: b\r\n c\r\n\td\r\n\r\n x",
                Some("HTTP/1.1 200 OK\r\nETag: b c\td\r\n\r\n x"),
            ),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n", Some("HTTP/1.1 200 OK\r\n\r\n")),
            (
                "HTTP/1.0 200 OK\nserver: \u{1}\nX(y): z\nz\n: z\ncontent-length : 4\n\nbody\n",
                Some("HTTP/1.1 200 OK\ncontent-length: 4\n\nbody\n"),
            ),
            (
                "\r\nHTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 200\r\n\r\n",
                Some("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\n\r\n"),
            ),
            ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n", None),
            ("HTTP/1.1 200 OK\r\nETag: b\r\n\r", None),
            ("HTTP/1.1 200 OK\r\nETag: b\r\n", None),
            ("HTTP/1.1 200 OK", None),
            ("HT", None),
            ("220 smtp\r\n", Some("220 smtp\r\n")),
            ("", None),
        ] {
            let bytes = filtered_header_section(received.as_bytes());
            assert_eq!(bytes.as_deref().map(String::from_utf8_lossy).as_deref(), filtered, "{received:?}");
        }
    }

    #[test]
    fn request_line_gets_the_origin() {
        let mut output = [0; 64];
        let line = b"GET /a HTTP/1.1\r\n";
        output[..line.len()].copy_from_slice(line);
        let end = insert_origin(&mut output, line.len(), b"http://h:1").unwrap();
        assert_eq!(&output[..end], b"GET http://h:1/a HTTP/1.1\r\n");
        assert!(insert_origin(&mut output, end, &[b'x'; 64]).is_err());
    }
}
