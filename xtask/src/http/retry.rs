//! How long to wait, and when to give up.

use std::time::{Duration, SystemTime};

/// The limits of a download. Each restarts when enough bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// For name, connection and TLS.
    pub connect: Duration,
    /// For the next byte of an answer.
    pub stall: Duration,
    /// For everything, retries and waits between them, in which fewer than [`RetryPolicy::GAIN`] bytes come.
    pub fruitless: Duration,
    /// For one file as a whole.
    pub total: Duration,
    /// Before the first retry; each further wait is twice as long.
    pub first_wait: Duration,
    /// Retries in a row in which nothing comes.
    pub retries: u32,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(30),
            fruitless: Duration::from_secs(120),
            total: Duration::from_secs(4 * 3600),
            first_wait: Duration::from_millis(500),
            retries: 6,
        }
    }
}

impl RetryPolicy {
    /// Fewer bytes than this are no gain: a server that drips one byte a second would never end.
    pub const GAIN: u64 = 32 << 10;

    /// The limits of one request when so much of the fruitless time is left: it ends with it.
    pub(super) fn within(self, left: Duration) -> RetryPolicy {
        // Zero would be no limit, or none that a socket takes.
        let left = left.max(Duration::from_millis(1));
        RetryPolicy { connect: self.connect.min(left), stall: self.stall.min(left), ..self }
    }

    /// The wait before retry `number` (from 0), where the server asked for `asked`; `None` is to give up, since it
    /// is the last one or would outlast what is `left` of the fruitless time.
    pub(super) fn wait(&self, number: u32, asked: Option<Duration>, left: Duration) -> Option<Duration> {
        if number >= self.retries {
            return None;
        }
        let own = self.first_wait.saturating_mul(1 << number.min(16));
        let wait = asked.map_or(own, |asked| asked.max(self.first_wait));
        (wait < left).then_some(wait)
    }
}

/// What `Retry-After` asks for: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(http_date(value.trim())?).saturating_sub(now))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7; the obsolete forms are not read).
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part <= 60));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // Days in the civil calendar, counted in years that begin in March, so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    (days.checked_sub(719_468)? * 86_400).checked_add(hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 12:00:00 GMT", Some(951_825_600)),
            ("Mon, 23 Nov 2026 01:00:00 GMT", Some(1_795_395_600)),
            ("soon", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(http_date(text), seconds, "{text}");
        }
    }

    #[test]
    fn waits_double_until_time_is_up() {
        let patience = RetryPolicy::default();
        let all = Duration::from_secs(120);
        let waits: Vec<_> =
            (0..8).map(|number| patience.wait(number, None, all).map(|w| w.as_millis())).collect();
        let expected = [Some(500), Some(1000), Some(2000), Some(4000), Some(8000), Some(16_000), None, None];
        assert_eq!(waits, expected);
        let asked = |seconds| patience.wait(0, Some(Duration::from_secs(seconds)), all);
        assert_eq!(asked(7), Some(Duration::from_secs(7)));
        assert_eq!(asked(0), Some(Duration::from_millis(500)));
        assert_eq!(asked(600), None);
        assert_eq!(patience.wait(3, None, Duration::from_secs(3)), None);
    }
}
