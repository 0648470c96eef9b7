//! Time limits of downloads, and when to retry or give up.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use coreos_types::calendar;

/// The time limits of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadLimits {
    /// Limit for DNS, connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// Limit for the next byte.
    pub read_timeout: Duration,
    /// Limit for the header section as a whole, and for other data without a byte of the file: chunk extensions,
    /// trailers.
    pub overhead_timeout: Duration,
    /// Limit for retries and the waits between them, without a received byte of the file.
    pub progress_timeout: Duration,
    /// A download with an average rate below [`DownloadLimits::MIN_RATE`] over this time fails.
    pub rate_window: Duration,
    /// Limit for one file as a whole; `None` if there is no limit while the download makes progress.
    pub total_timeout: Option<Duration>,
    /// Wait before the first retry; each further wait is twice as long.
    pub initial_backoff: Duration,
    /// Limit of successive retries with fewer than [`DownloadLimits::MIN_PROGRESS`] received bytes.
    pub max_retries: u32,
}

impl Default for DownloadLimits {
    fn default() -> DownloadLimits {
        DownloadLimits {
            connect_timeout: Duration::from_secs(20),
            read_timeout: Duration::from_secs(30),
            overhead_timeout: Duration::from_secs(60),
            progress_timeout: Duration::from_secs(120),
            rate_window: Duration::from_secs(600),
            total_timeout: None,
            initial_backoff: Duration::from_millis(500),
            max_retries: 6,
        }
    }
}

impl DownloadLimits {
    /// Bytes that reset the count of retries.
    pub const MIN_PROGRESS: u64 = 32 << 10;
    /// Bytes per second.
    pub const MIN_RATE: u64 = 1 << 10;

    /// The limits for one of several servers with the same small file, so that a dead one uses only a share of the
    /// time.
    pub(super) fn for_one_of_several(self) -> DownloadLimits {
        let share = Duration::from_secs(15);
        let progress_timeout = self.progress_timeout.min(share);
        DownloadLimits { progress_timeout, ..self.within(share / 2, share, 1) }
    }

    /// The limits of a file that is not required: no retry, and 5 s for the connection.
    pub(super) fn without_retry(self) -> DownloadLimits {
        let connect = Duration::from_secs(5);
        let overhead_timeout = self.overhead_timeout.min(connect);
        DownloadLimits { overhead_timeout, ..self.within(connect, Duration::from_secs(30), 0) }
    }

    fn within(self, connect: Duration, total: Duration, max_retries: u32) -> DownloadLimits {
        DownloadLimits {
            connect_timeout: self.connect_timeout.min(connect),
            total_timeout: Some(self.total_timeout.unwrap_or(total).min(total)),
            max_retries: self.max_retries.min(max_retries),
            ..self
        }
    }

    /// The limits of one request while `left` remains.
    pub(super) fn capped_at(self, left: Duration) -> DownloadLimits {
        // Sockets do not accept zero.
        let left = left.max(Duration::from_millis(1));
        DownloadLimits {
            connect_timeout: self.connect_timeout.min(left),
            read_timeout: self.read_timeout.min(left),
            overhead_timeout: self.overhead_timeout.min(left),
            ..self
        }
    }

    /// The wait before retry `number` (from 0) of `max`, at least as long as the server's `Retry-After`; `None` after
    /// the last retry, or if the wait would exceed the time `left`.
    pub(super) fn backoff(
        &self,
        number: u32,
        max: u32,
        retry_after: Option<Duration>,
        left: Duration,
    ) -> Option<Duration> {
        if number >= max {
            return None;
        }
        let own = self.initial_backoff.saturating_mul(1 << number.min(16));
        let wait = retry_after.map_or(own, |requested| requested.max(self.initial_backoff));
        (wait < left).then_some(wait)
    }
}

/// The average rate of a download over a sliding window.
#[derive(Debug)]
pub(super) struct RateMeter {
    window: Duration,
    /// Times and byte counts, about 60 per window, the oldest first.
    marks: VecDeque<(Instant, u64)>,
}

impl RateMeter {
    pub(super) fn new(window: Duration, now: Instant, bytes: u64) -> RateMeter {
        RateMeter { window, marks: [(now, bytes)].into() }
    }

    /// Whether a full window before `now`, at which `bytes` were received, averages below [`DownloadLimits::MIN_RATE`].
    pub(super) fn is_too_slow(&mut self, now: Instant, bytes: u64) -> bool {
        let age = |mark: &(Instant, u64)| now.saturating_duration_since(mark.0);
        if self.marks.back().is_none_or(|mark| age(mark) >= self.window / 60) {
            self.marks.push_back((now, bytes));
        }
        while self.marks.get(1).is_some_and(|second| age(second) >= self.window) {
            self.marks.pop_front();
        }
        self.marks.front().is_some_and(|first| {
            let elapsed = age(first);
            elapsed >= self.window
                && (bytes.saturating_sub(first.1) as f64)
                    < elapsed.as_secs_f64() * DownloadLimits::MIN_RATE as f64
        })
    }
}

/// The value of `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(calendar::parse_http_date(value.trim())?).saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_until_time_is_up() {
        let limits = DownloadLimits::default();
        let all = Duration::from_secs(120);
        let waits: Vec<_> =
            (0..8).map(|number| limits.backoff(number, 6, None, all).map(|w| w.as_millis())).collect();
        let expected = [Some(500), Some(1000), Some(2000), Some(4000), Some(8000), Some(16_000), None, None];
        assert_eq!(waits, expected);
        let backoff = |seconds| limits.backoff(0, 6, Some(Duration::from_secs(seconds)), all);
        assert_eq!(backoff(7), Some(Duration::from_secs(7)));
        assert_eq!(backoff(0), Some(Duration::from_millis(500)));
        assert_eq!(backoff(600), None);
        assert_eq!(limits.backoff(3, 6, None, Duration::from_secs(3)), None);
    }

    /// Each row: bytes per second, seconds between pieces, and the second in which the download is too slow.
    #[test]
    fn slow_download_ends_after_10_minutes() {
        for (rate, pause, end) in [
            (1100, 1, None),
            (1000, 1, Some(600)),
            (375, 90, Some(630)),
            (1100, 50, None),
            (0, 10, Some(600)),
        ] {
            let start = Instant::now();
            let mut meter = RateMeter::new(Duration::from_secs(600), start, 0);
            let slow = (1..=7200_u64)
                .step_by(1)
                .filter(|second| second % pause == 0)
                .find(|&second| meter.is_too_slow(start + Duration::from_secs(second), rate * second));
            assert_eq!(slow, end, "{rate} bytes/s, every {pause} s");
            assert!(meter.marks.len() < 64);
        }
    }

    /// A fast start does not compensate a slow end for longer than the window.
    #[test]
    fn rate_covers_the_last_10_minutes() {
        let start = Instant::now();
        let mut meter = RateMeter::new(Duration::from_secs(600), start, 0);
        let slow = (1..=7200_u64).find(|&second| {
            meter.is_too_slow(start + Duration::from_secs(second), 100_000 * second.min(100))
        });
        assert!(slow.is_some_and(|second| (690..=720).contains(&second)), "{slow:?}");
    }
}
