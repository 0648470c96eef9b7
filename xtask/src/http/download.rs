//! Download of one file as a reader: an interrupted connection is retried from the byte at which it stopped.

use std::io::{self, Read};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::classify_response::{BodyHeaders, Disposition, ResumePoint, check_start, classify};
use super::client::{Client, Event};
use super::download_limits::{DownloadLimits, RateMeter};
use super::error::{RequestError, RequestResult, Route};
use super::request_transport::Deadline;
use super::url::Url;
use crate::terminal::Progress;
use coreos_types::{Error, Result, error::error_from_read};

const TRY_LATER: &str = "try again later, or download from another mirror: --mirror URL";

/// A file that is being downloaded.
pub struct Download<'c> {
    client: &'c Client,
    url: String,
    /// The URL without secrets, for messages.
    shown: String,
    max_len: u64,
    limits: DownloadLimits,
    progress: Progress,
    body: Option<OpenBody>,
    position: u64,
    total: Option<u64>,
    validator: Option<String>,
    /// `Content-Encoding` of the file's first bytes.
    encoding: Option<String>,
    started: Instant,
    /// Time of the last received byte.
    last_progress: Instant,
    rate: RateMeter,
    retries: u32,
    /// Bytes received when `retries` was last reset.
    retries_reset_at: u64,
    restart: bool,
}

/// A response with its body being read.
struct OpenBody {
    reader: Box<dyn Read + Send>,
    deadline: Deadline,
    route: Route,
    /// First byte of this response.
    first: u64,
    /// The byte after its last one, if the response is a part of the file.
    part_end: Option<u64>,
}

impl Client {
    /// Opens a file of at most `max_len` bytes for reading, from `resume` on; `None` if the server does not have the
    /// file.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or sends something else, after retries.
    pub fn get<'c>(
        &'c self,
        url: &str,
        max_len: u64,
        resume: Option<&ResumePoint>,
        progress: Progress,
    ) -> Result<Option<Download<'c>>> {
        Download { progress, ..Download::new(self, url, max_len, resume)? }.start()
    }

    /// Downloads a whole small file; `None` if the server does not have the file.
    pub fn get_bytes(&self, url: &str, max_len: u64) -> Result<Option<Vec<u8>>> {
        self.get_bytes_within(url, max_len, self.config.limits)
    }

    /// Downloads an OpenPGP certificate from a vendor's URL or a key server. The time limit is a share of
    /// the total, so that the next server is still tried. A server without the certificate is an error.
    pub fn get_certificate(&self, url: &str) -> Result<Vec<u8>> {
        let limits = self.config.limits.for_one_of_several();
        let found = self.get_bytes_within(url, super::MAX_CERTIFICATE_LEN, limits)?;
        found.ok_or_else(|| Error::failed(format!("{} has no certificate", super::redact(url))))
    }

    /// As [`Client::get_bytes`] for an optional file: without retries, and within 30 s.
    pub fn get_bytes_without_retry(&self, url: &str, max_len: u64) -> Result<Option<Vec<u8>>> {
        self.get_bytes_within(url, max_len, self.config.limits.without_retry())
    }

    fn get_bytes_within(&self, url: &str, max_len: u64, limits: DownloadLimits) -> Result<Option<Vec<u8>>> {
        // A small file that was interrupted and cannot be resumed is requested once more.
        let mut is_repeated = false;
        loop {
            let download = Download { limits, ..Download::new(self, url, max_len, None)? };
            let Some(mut download) = download.start()? else { return Ok(None) };
            let mut bytes = Vec::with_capacity(download.total.unwrap_or(0).min(max_len) as usize);
            match download.read_to_end(&mut bytes) {
                Ok(_) => return Ok(Some(bytes)),
                Err(_) if download.must_restart() && !is_repeated => is_repeated = true,
                Err(error) => return Err(error_from_read(error)),
            }
        }
    }
}

impl<'c> Download<'c> {
    /// A download without progress, within the limits of the client, that no request was made for.
    fn new(
        client: &'c Client,
        url: &str,
        max_len: u64,
        resume: Option<&ResumePoint>,
    ) -> Result<Download<'c>> {
        let (limits, now) = (client.config.limits, Instant::now());
        let at = resume.map_or(0, |resume| resume.at);
        Ok(Download {
            client,
            url: url.to_owned(),
            shown: Url::parse(url)?.to_string(),
            max_len,
            limits,
            progress: Progress::silent(),
            body: None,
            position: at,
            total: resume.and_then(|resume| resume.total),
            validator: resume.map(|resume| resume.validator.clone()),
            encoding: None,
            started: now,
            last_progress: now,
            rate: RateMeter::new(limits.rate_window, now, at),
            retries: 0,
            retries_reset_at: at,
            restart: false,
        })
    }

    /// Makes the first request; `None` if the server does not have the file.
    fn start(mut self) -> Result<Option<Download<'c>>> {
        loop {
            match self.open_with_retry(None)? {
                Disposition::Body(_) => return Ok(Some(self)),
                Disposition::NotFound => return Ok(None),
                // No byte was returned to the reader yet, so the download can start from zero.
                Disposition::Changed | Disposition::RangeUnsupported(_) => {
                    (self.position, self.total, self.validator, self.retries_reset_at) = (0, None, None, 0);
                    self.rate = RateMeter::new(self.limits.rate_window, Instant::now(), 0);
                }
            }
        }
    }
}

impl Download<'_> {
    /// Position of the next byte; right after opening, the number of bytes that are still valid.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Length of the whole file in bytes, if the server sent it.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The resume point for a later run that continues after byte `at`.
    pub fn resume_point_at(&self, at: u64) -> Option<ResumePoint> {
        self.validator.clone().map(|validator| ResumePoint { at, total: self.total, validator })
    }

    /// The `Content-Encoding` of the file, in lower case, if the server sent it.
    pub fn encoding(&self) -> Option<&str> {
        self.encoding.as_deref()
    }

    /// Whether reading failed because the rest of this entity is not available, so that the download must restart.
    pub fn must_restart(&self) -> bool {
        self.restart
    }

    /// Requests the file from the current position on; after `failure`, and each further one, waits first.
    fn open_with_retry(&mut self, mut failure: Option<RequestError>) -> Result<Disposition> {
        loop {
            if let Some(failure) = failure {
                self.back_off(failure)?;
            }
            match self.open() {
                Ok(found) => return Ok(found),
                Err(next) => failure = Some(next),
            }
        }
    }

    fn open(&mut self) -> RequestResult<Disposition> {
        let resume = match (self.position, &self.validator) {
            (0, _) => None,
            (_, Some(_)) => self.resume_point_at(self.position),
            // No validator identifies the file.
            (_, None) => {
                let why = "it sends no ETag and no Last-Modified that identify the file";
                return Ok(Disposition::RangeUnsupported(why.to_owned()));
            }
        };
        if resume.is_some() && self.total == Some(self.position) {
            // The download was interrupted after the last byte: the signature check decides.
            self.body = None;
            return Ok(Disposition::Body(BodyHeaders::default()));
        }
        let received =
            self.client.get_with_redirects(&self.url, resume.as_ref(), self.limits, self.time_left())?;
        let found = classify(&received.route, &received.response, resume.as_ref())?;
        if let Disposition::Body(headers) = &found {
            let total = headers.total.or(self.total);
            if let Some(total) = total {
                self.check_limit(total)?;
                self.progress.set_total(total);
            }
            if resume.is_none() {
                (self.total, self.validator) = (total, headers.validator.clone());
                self.encoding = headers.encoding.clone();
            }
            self.body = Some(OpenBody {
                reader: Box::new(received.response.into_body().into_reader()),
                deadline: received.deadline,
                route: received.route,
                first: self.position,
                part_end: headers.part_end,
            });
        }
        Ok(found)
    }

    fn read_body(&mut self, out: &mut [u8]) -> RequestResult<usize> {
        let limit = self.limits.overhead_timeout.min(self.time_left());
        let count = self.body.as_mut().map_or(Ok(0), |body| {
            body.deadline.set_for_body(limit);
            body.reader.read(out)
        });
        let count = count.map_err(|error| RequestError::from_io(self.interrupted_error(), &error))?;
        if count == 0 && self.total.is_some_and(|total| self.position < total) {
            let error = self.interrupted_error().with_cause("the connection was closed");
            return Err(RequestError::transient(error));
        }
        if count == 0 {
            return Ok(0);
        }
        if let Some(body) = self.body.as_ref().filter(|_| self.position == 0) {
            check_start(&body.route, self.encoding.as_deref(), &out[..count])?;
        }
        self.position += count as u64;
        self.last_progress = Instant::now();
        self.check_limit(self.position)?;
        self.progress.advance(count as u64);
        if self.position >= self.retries_reset_at + DownloadLimits::MIN_PROGRESS {
            (self.retries, self.retries_reset_at) = (0, self.position);
        }
        self.check_rate_and_time()?;
        Ok(count)
    }

    fn interrupted_error(&self) -> Error {
        let total = self.total.map_or_else(String::new, |total| format!(" of {total}"));
        let (url, position) = (&self.shown, self.position);
        Error::failed(format!("the download of {url} was interrupted after {position}{total} bytes"))
    }

    /// Fails a download that is too slow, or takes longer than its total limit.
    fn check_rate_and_time(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.rate.is_too_slow(now, self.position) {
            let (rate, window) = (DownloadLimits::MIN_RATE, self.limits.rate_window.as_secs_f64());
            let slow = format!("it averaged below {rate} bytes/s for {window:.0} s");
            return Err(self.interrupted_error().with_cause(slow).with_hint(
                "run the command again to continue, or download from another mirror: --mirror URL",
            ));
        }
        match self.limits.total_timeout {
            Some(limit) if now.saturating_duration_since(self.started) > limit => {
                let late = format!("it took longer than {:.0} s", limit.as_secs_f64());
                Err(self.interrupted_error().with_cause(late).with_hint(TRY_LATER))
            }
            _ => Ok(()),
        }
    }

    fn check_limit(&self, length: u64) -> Result<()> {
        if length <= self.max_len {
            return Ok(());
        }
        let message = format!("{} has {length} bytes or more, expected at most {}", self.shown, self.max_len);
        Err(Error::failed(message).with_hint("check the URL: this is not the expected file"))
    }

    /// Waits before a retry, or returns the last error.
    fn back_off(&mut self, failure: RequestError) -> Result<()> {
        self.body = None;
        self.check_rate_and_time()?;
        let RequestError { error, retry_after, max_retries } = failure;
        let max = max_retries.min(self.limits.max_retries);
        match self.limits.backoff(self.retries, max, retry_after, self.time_left()) {
            Some(wait) => {
                self.retries += 1;
                let (number, seconds) = (self.retries, wait.as_secs_f64());
                let message = format!("{error}, retrying in {seconds} s ({number} of {max})");
                self.client.log(Event::Retry(message));
                sleep(wait);
                Ok(())
            }
            None => {
                let attempts = Some(self.retries + 1).filter(|count| *count > 1);
                let attempts = attempts.map(|count| format!("gave up after {count} attempts"));
                Err(attempts.iter().fold(*error, Error::with_cause).with_hint(TRY_LATER))
            }
        }
    }

    /// The time until `progress_timeout` without a byte, or `total_timeout`, whichever is first.
    fn time_left(&self) -> Duration {
        let left = self.limits.progress_timeout.saturating_sub(self.last_progress.elapsed());
        let total = self.limits.total_timeout.map(|limit| limit.saturating_sub(self.started.elapsed()));
        total.map_or(left, |total| total.min(left))
    }

    fn read_with_retry(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            let failure = match self.read_body(out) {
                Ok(count) => return Ok(count),
                Err(failure) => failure,
            };
            let interrupted = (*failure.error).clone();
            // A server may send less than the requested range (RFC 9110, section 14.2); the next part follows.
            let failure = Some(failure).filter(|_| !self.is_at_end_of_part());
            let error = match self.open_with_retry(failure)? {
                Disposition::Body(_) => continue,
                Disposition::NotFound => {
                    let what = format!("{} was removed during its download", self.shown);
                    return Err(Error::failed(what).with_hint(TRY_LATER));
                }
                Disposition::Changed => {
                    Error::failed(format!("{} changed while it was downloaded", self.shown))
                        .with_hint(TRY_LATER)
                }
                Disposition::RangeUnsupported(why) => {
                    let why = format!("the server cannot resume the download: {why}");
                    interrupted.with_cause(why).with_hint(
                        "download from another mirror: --mirror URL, or use --image FILE with an image you have",
                    )
                }
            };
            self.restart = true;
            return Err(error);
        }
    }

    /// Whether the open response was a large enough part of the file, and is complete.
    fn is_at_end_of_part(&self) -> bool {
        self.body.as_ref().is_some_and(|body| {
            body.part_end == Some(self.position) && self.position - body.first >= DownloadLimits::MIN_PROGRESS
        })
    }
}

impl Read for Download<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        self.read_with_retry(out).map_err(io::Error::other)
    }
}
