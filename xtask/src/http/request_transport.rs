//! The transport of a request: a deadline for slow responses, folded header fields, and the request line for a proxy.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

/// The deadline of the current step, shared with the connection. The library's own limits are per read, so a server
/// that sends single bytes slowly would never exceed them.
#[derive(Debug, Clone)]
pub(super) struct Deadline(Arc<Mutex<DeadlineState>>);

#[derive(Debug)]
struct DeadlineState {
    end: Instant,
    in_headers: bool,
}

impl Deadline {
    /// A deadline for the header section.
    pub(super) fn new(limit: Duration) -> Deadline {
        Deadline(Arc::new(Mutex::new(DeadlineState { end: Instant::now() + limit, in_headers: true })))
    }

    /// Sets the deadline of the next piece of the body.
    pub(super) fn set_for_body(&self, limit: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = DeadlineState { end: Instant::now() + limit, in_headers: false };
    }

    /// The time left, and whether the header section is being read.
    fn left_and_in_headers(&self) -> (Duration, bool) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.end.saturating_duration_since(Instant::now()), state.in_headers)
    }
}

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
        let (left, in_headers) = self.connector.deadline.left_and_in_headers();
        let reason = if in_headers { Timeout::RecvResponse } else { Timeout::RecvBody };
        if left.is_zero() {
            return Err(Error::Timeout(reason));
        }
        if timeout.after > left.into() {
            (timeout.after, timeout.reason) = (left.into(), reason);
        }
        let has_input = self.inner.await_input(timeout)?;
        if in_headers {
            unfold_header_lines(self.inner.buffers());
        }
        Ok(has_input)
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

/// Replaces each line fold in a header section by blanks, as the parser requires (RFC 9112, section 5.2).
fn unfold_header_lines(buffers: &mut dyn Buffers) {
    let input = buffers.input();
    let end = input.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(input.len());
    let is_fold = |at: usize| matches!(input.get(at..at + 3), Some([b'\r', b'\n', b' ' | b'\t']));
    let folds: Vec<usize> = (0..end).filter(|&at| is_fold(at)).collect();
    if folds.is_empty() {
        return;
    }
    let mut bytes = input.to_vec();
    for at in folds {
        bytes[at..at + 3].fill(b' ');
    }
    buffers.input_consume(bytes.len());
    buffers.input_append_buf()[..bytes.len()].copy_from_slice(&bytes);
    buffers.input_appended(bytes.len());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ureq::unversioned::transport::LazyBuffers;

    use super::*;

    #[test]
    fn folded_fields_become_one_line() {
        for (received, unfolded) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\td\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b   c   d\r\n\r\n"),
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\r\n x", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\r\n x"),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n"),
        ] {
            let mut buffers = LazyBuffers::new(256, 256);
            buffers.input_append_buf()[..received.len()].copy_from_slice(received.as_bytes());
            buffers.input_appended(received.len());
            unfold_header_lines(&mut buffers);
            assert_eq!(String::from_utf8_lossy(buffers.input()), unfolded);
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
