//! One file as a reader: what breaks on the way is asked for again, from where it broke.

use std::io::{self, Read};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::client::Client;
use super::error::{RequestError, RequestResult, io_trouble};
use super::response::{self, Disposition, Why, meaning};
use super::retry::RetryPolicy;
use super::url::Url;
use crate::terminal::Progress;
use coreos_types::error::error_from_io;
use coreos_types::error::{Error, Result};

/// Where an earlier download of the same entity stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// Bytes that are there.
    pub at: u64,
    /// Bytes of the whole file, where the server said so.
    pub total: Option<u64>,
    /// The strong `ETag` or the `Last-Modified` of that entity.
    pub validator: String,
}

/// A file on its way.
pub struct Download<'c> {
    client: &'c Client,
    url: String,
    most: u64,
    progress: &'c dyn Progress,
    body: Option<Box<dyn Read + Send>>,
    at: u64,
    total: Option<u64>,
    validator: Option<String>,
    started: Instant,
    /// When, and with how many bytes, it last got on.
    gained: (Instant, u64),
    tries: u32,
    restart: bool,
}

impl Client {
    /// Opens a file for reading, at most `most` bytes of it, from where `resume` says; `None` where the server has
    /// no such file.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or sends something else in the file's place, and goes on to do so.
    pub fn get<'c>(
        &'c self,
        url: &str,
        most: u64,
        resume: Option<&Resume>,
        progress: &'c dyn Progress,
    ) -> Result<Option<Download<'c>>> {
        let now = Instant::now();
        let mut download = Download {
            client: self,
            url: url.to_owned(),
            most,
            progress,
            body: None,
            at: resume.map_or(0, |resume| resume.at),
            total: resume.and_then(|resume| resume.total),
            validator: resume.map(|resume| resume.validator.clone()),
            started: now,
            gained: (now, resume.map_or(0, |resume| resume.at)),
            tries: 0,
            restart: false,
        };
        loop {
            match download.open() {
                Ok(OpenOutcome::Body) => return Ok(Some(download)),
                Ok(OpenOutcome::Missing) => return Ok(None),
                // Nobody has seen a byte of it yet: the whole file is as good.
                Ok(OpenOutcome::Restart(_)) if download.validator.is_some() => {
                    download.validator = None;
                    (download.at, download.total, download.gained.1) = (0, None, 0);
                }
                Ok(OpenOutcome::Restart(why)) => return Err(download.ended(download.broken(), why)),
                Err(trouble) => download.wait(trouble)?,
            }
        }
    }

    /// Gets a whole small file; `None` where there is none.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn get_small(&self, url: &str, most: u64) -> Result<Option<Vec<u8>>> {
        // A small file that broke off, and could not go on, is asked for once more.
        let mut tries = 0;
        loop {
            tries += 1;
            let Some(mut download) = self.get(url, most, None, &crate::terminal::Silent)? else {
                return Ok(None);
            };
            let mut bytes = Vec::new();
            match download.read_to_end(&mut bytes) {
                Ok(_) => return Ok(Some(bytes)),
                Err(_) if download.must_restart() && tries < 2 => {}
                Err(error) => return Err(error_from_io(error)),
            }
        }
    }
}

impl Client {
    /// Gets an OpenPGP certificate from a vendor's address or a key server.
    ///
    /// # Errors
    /// As [`Client::get`], or there is none.
    pub fn get_certificate(&self, url: &str) -> Result<Vec<u8>> {
        let found = self.get_small(url, super::MOST_LIST)?;
        found.ok_or_else(|| Error::failed(format!("{url} has no certificate")))
    }
}

enum OpenOutcome {
    Body,
    Restart(Why),
    Missing,
}

impl Download<'_> {
    /// Where the next byte lies: after opening, how much of a resumed file holds.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The length of the whole file in bytes, where the server has told it.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// What a later run needs to go on with this file, once so many bytes of it are kept.
    pub fn resume_after(&self, at: u64) -> Option<Resume> {
        self.validator.clone().map(|validator| Resume { at, total: self.total, validator })
    }

    /// Whether reading failed because the rest cannot be had as it was: the reader must begin from the start.
    pub fn must_restart(&self) -> bool {
        self.restart
    }

    fn open(&mut self) -> RequestResult<OpenOutcome> {
        let resume = match (self.at, &self.validator) {
            (0, _) => None,
            (_, Some(_)) => self.resume_after(self.at),
            // Nothing tells whether the file is the same as before.
            (_, None) => {
                let why = "it names no ETag and no Last-Modified to tell the file by";
                return Ok(OpenOutcome::Restart(Why::Unable(why.to_owned())));
            }
        };
        if resume.is_some() && self.total == Some(self.at) {
            // It broke off behind the last byte: there is nothing to ask for, and the signature judges what is there.
            self.body = Some(Box::new(io::empty()));
            return Ok(OpenOutcome::Body);
        }
        let answer = self.client.ask(&self.url, resume.as_ref(), self.left())?;
        match meaning(&self.url, &answer, resume.as_ref())? {
            Disposition::Missing => Ok(OpenOutcome::Missing),
            Disposition::Restart(why) => Ok(OpenOutcome::Restart(why)),
            Disposition::Bytes { total, validator } => {
                let total = total.or(self.total);
                if let Some(total) = total {
                    self.hold_to_limit(total).map_err(RequestError::lasting)?;
                    self.progress.expect(total);
                }
                if resume.is_none() {
                    (self.total, self.validator) = (total, validator);
                }
                self.body = Some(Box::new(answer.into_body().into_reader()));
                Ok(OpenOutcome::Body)
            }
        }
    }

    /// One read from the body there is, with everything that is wrong with it told.
    fn read_body(&mut self, out: &mut [u8]) -> RequestResult<usize> {
        let Some(body) = &mut self.body else { return Err(RequestError::passing(self.broken())) };
        let count = match body.read(out) {
            Ok(count) => count,
            Err(error) => {
                let address = Url::parse(&self.url).map_err(RequestError::lasting)?;
                return Err(io_trouble(self.broken(), &address, &error));
            }
        };
        if count == 0 {
            return match self.total {
                Some(total) if self.at < total => {
                    Err(RequestError::passing(self.broken().with_cause("the connection ended")))
                }
                _ => Ok(0),
            };
        }
        if self.at == 0 && response::looks_like_html(&out[..count]) {
            return Err(RequestError::lasting(response::html(&self.url)));
        }
        self.at += count as u64;
        self.hold_to_limit(self.at).map_err(RequestError::lasting)?;
        self.progress.advance(count as u64);
        self.count_gain().map_err(RequestError::lasting)?;
        Ok(count)
    }

    fn broken(&self) -> Error {
        let of = self.total.map_or_else(String::new, |total| format!(" of {total}"));
        Error::failed(format!("the download of {} broke off after {}{of} bytes", self.url, self.at))
    }

    /// Starts the fruitless time anew when enough came, and ends the download when too little does.
    fn count_gain(&mut self) -> Result<()> {
        let fruitless = self.client.patience().fruitless;
        if self.at >= self.gained.1 + RetryPolicy::GAIN {
            self.gained = (Instant::now(), self.at);
            self.tries = 0;
        } else if self.gained.0.elapsed() > fruitless {
            let slow = format!("fewer than {} bytes came in {} s", RetryPolicy::GAIN, fruitless.as_secs());
            return Err(self.broken().with_cause(slow));
        }
        Ok(())
    }

    fn hold_to_limit(&self, length: u64) -> Result<()> {
        if length <= self.most {
            return Ok(());
        }
        Err(Error::failed(format!("{} has {length} bytes or more, expected at most {}", self.url, self.most))
            .with_hint("look at the address: this is not the file that it should be"))
    }

    /// Waits before another try, or gives up with what went wrong last.
    fn wait(&mut self, trouble: RequestError) -> Result<()> {
        self.body = None;
        let patience = *self.client.patience();
        let left = self.left();
        let spent = self.started.elapsed() > patience.total;
        match patience.wait(self.tries, trouble.retry_after, left).filter(|_| trouble.passing && !spent) {
            Some(wait) => {
                self.tries += 1;
                self.client.tell(|| format!("{}, again in {:.1} s", trouble.fault, wait.as_secs_f64()));
                sleep(wait);
                Ok(())
            }
            None if self.tries == 0 => Err(trouble.fault),
            None => Err(trouble
                .fault
                .with_cause(format!("{} more tries were in vain", self.tries))
                .with_hint("try again later, or get the same files elsewhere: --mirror URL")),
        }
    }

    /// How much longer it may go on without a gain.
    fn left(&self) -> Duration {
        self.client.patience().fruitless.saturating_sub(self.gained.0.elapsed())
    }

    /// The end of a download that broke off with `fault` and cannot go on from there.
    fn ended(&self, fault: Error, why: Why) -> Error {
        match why {
            Why::Changed => Error::failed(format!("{} changes while it is downloaded", self.url))
                .with_hint("try again later"),
            Why::Unable(why) => {
                fault.with_cause(format!("the server cannot go on from there: {why}")).with_hint(
                    "get the same files elsewhere: --mirror URL, or --image FILE with one that you have",
                )
            }
        }
    }

    fn read_or_mend(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            let mut trouble = match self.read_body(out) {
                Ok(count) => return Ok(count),
                Err(trouble) => trouble,
            };
            // What broke it off; the troubles of going on come on top of that.
            let broken = trouble.fault.clone();
            loop {
                self.wait(trouble)?;
                match self.open() {
                    Ok(OpenOutcome::Body) => break,
                    Ok(OpenOutcome::Restart(why)) => {
                        self.restart = true;
                        return Err(self.ended(broken, why));
                    }
                    Ok(OpenOutcome::Missing) => {
                        return Err(Error::failed(format!(
                            "{} is gone in the middle of its download",
                            self.url
                        )));
                    }
                    Err(next) => trouble = next,
                }
            }
        }
    }
}

impl Read for Download<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        self.read_or_mend(out).map_err(io::Error::other)
    }
}
