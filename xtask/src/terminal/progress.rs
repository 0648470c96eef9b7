//! Progress of a long step: a bar on a terminal, a line every ten seconds elsewhere.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

/// The progress of a long step. All amounts are bytes; a clone counts for the same step. The bar is removed with the
/// last clone; a [`super::Term::stage`] line replaces it.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
    /// What off a terminal begins each line, and the time of the last one.
    lines: Option<(Arc<str>, Arc<Mutex<Instant>>)>,
}

impl Progress {
    /// Shows nothing.
    pub fn silent() -> Progress {
        Progress { bar: ProgressBar::hidden(), lines: None }
    }

    pub(super) fn bar(bars: &MultiProgress, label: &str, total: Option<u64>) -> Progress {
        let bar = bars.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
        bar.set_style(style(total.is_some()));
        bar.set_prefix(format!("{label:<9}"));
        Progress { bar, lines: None }
    }

    pub(super) fn lines(label: &str, total: Option<u64>) -> Progress {
        let progress = Progress::silent();
        total.into_iter().for_each(|total| progress.bar.set_length(total));
        Progress { lines: Some((label.into(), Arc::new(Mutex::new(Instant::now())))), ..progress }
    }

    /// Sets the total, once it is known.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
        self.bar.set_style(style(true));
    }

    /// Sets the amount of an earlier run, which is excluded from the rate.
    pub fn set_resumed_bytes(&self, bytes: u64) {
        self.bar.set_position(bytes);
        self.bar.reset_eta();
    }

    /// Adds an amount.
    pub fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        let Some((label, last_line)) = &self.lines else { return };
        // A time stays valid after a panic in another thread.
        let mut last_line = last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last_line.elapsed() >= PAUSE {
            *last_line = Instant::now();
            let rate = self.bar.per_sec() as u64;
            write_stderr(line(label, self.bar.position(), self.bar.length(), rate).as_bytes());
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The templates are constants; a bar that cannot be styled is still a bar.
fn style(bounded: bool) -> ProgressStyle {
    let template = if bounded {
        "{prefix:.cyan} [{bar:24}] {decimal_bytes:>9} of {decimal_total_bytes}{rate}"
    } else {
        "{prefix:.cyan} {spinner} {decimal_bytes:>9}{rate}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", write_rate)
        .progress_chars("=> ")
        .tick_chars("-\\|/ ")
}

/// Writes the rate and the time left, once a second of this run was measured.
fn write_rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    if state.elapsed() < Duration::from_secs(1) {
        return;
    }
    // A failure to write to a string does not occur.
    let _ = write!(out, ", {}/s", DecimalBytes(state.per_sec() as u64));
    if state.len().is_some() {
        let _ = write!(out, ", {:#} left", HumanDuration(state.eta()));
    }
}

/// Time between two lines.
const PAUSE: Duration = Duration::from_secs(10);

fn line(label: &str, done: u64, total: Option<u64>, rate: u64) -> String {
    let of = total.map(|total| format!(" of {}", DecimalBytes(total))).unwrap_or_default();
    let left = match total {
        Some(total) if rate > 0 => format!(", {} s left", total.saturating_sub(done) / rate),
        _ => String::new(),
    };
    format!("{label:<9} {}{of}, {}/s{left}\n", DecimalBytes(done), DecimalBytes(rate))
}

/// Writes to standard error. A failure is ignored, because it cannot be reported.
pub(super) fn write_stderr(text: &[u8]) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_amount_rate_and_time_left() {
        let (done, total) = (120_000_000, Some(374_000_000));
        assert_eq!(
            line("fetching", done, total, 12_000_000),
            "fetching  120.00 MB of 374.00 MB, 12.00 MB/s, 21 s left\n"
        );
        assert_eq!(line("fetching", done, None, 12_000_000), "fetching  120.00 MB, 12.00 MB/s\n");
        assert_eq!(line("fetching", 0, total, 0), "fetching  0 B of 374.00 MB, 0 B/s\n");
    }

    #[test]
    fn amounts_are_counted_without_a_terminal() {
        let progress = Progress::lines("download", None);
        progress.set_total(100);
        progress.set_resumed_bytes(40);
        progress.clone().advance(10);
        assert_eq!((progress.bar.position(), progress.bar.length()), (50, Some(100)));
    }
}
