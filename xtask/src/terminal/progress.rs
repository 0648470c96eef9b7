//! Progress of a long step: a bar on a terminal, a line every ten seconds elsewhere.

use std::fmt;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

/// Receives the progress of a long step. All amounts are bytes.
pub trait Progress: Send + Sync {
    /// Sets the total, once it is known.
    fn expect(&self, total: u64);
    /// Sets the amount of an earlier run, which is excluded from the rate.
    fn resume(&self, bytes: u64);
    /// Adds an amount.
    fn advance(&self, bytes: u64);
    /// Removes the bar; a [`super::Term::stage`] line replaces it.
    fn finish(&self);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn expect(&self, _total: u64) {}
    fn resume(&self, _bytes: u64) {}
    fn advance(&self, _bytes: u64) {}
    fn finish(&self) {}
}

/// A bar on a terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn start(bars: &MultiProgress, label: &str, total: Option<u64>) -> Bar {
        let bar = bars.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
        bar.set_style(style(total.is_some()));
        bar.set_prefix(format!("{label:<9}"));
        Bar(bar)
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

impl Progress for Bar {
    fn expect(&self, total: u64) {
        self.0.set_length(total);
        self.0.set_style(style(true));
    }

    fn resume(&self, bytes: u64) {
        self.0.set_position(bytes);
        self.0.reset_eta();
    }

    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// The bar is removed if the step fails.
impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Time between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Lines off a terminal.
pub(super) struct Lines {
    label: String,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    done: u64,
    /// The part of `done` from an earlier run.
    resumed: u64,
    total: Option<u64>,
    last_line: Instant,
}

impl Lines {
    pub(super) fn start(label: &str, total: Option<u64>) -> Lines {
        let now = Instant::now();
        Lines {
            label: label.to_owned(),
            started: now,
            state: Mutex::new(State { done: 0, resumed: 0, total, last_line: now }),
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        // A byte count stays valid after a panic in another thread.
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state);
        let now = Instant::now();
        if now.duration_since(state.last_line) >= PAUSE {
            state.last_line = now;
            to_stderr(line(&self.label, &state, now.duration_since(self.started)).as_bytes());
        }
    }
}

fn line(label: &str, state: &State, elapsed: Duration) -> String {
    let rate = (state.done.saturating_sub(state.resumed) as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    let of = match state.total {
        Some(total) => format!(" of {}", DecimalBytes(total)),
        None => String::new(),
    };
    let left = match state.total {
        Some(total) if rate > 0 => format!(", {} s left", total.saturating_sub(state.done) / rate),
        _ => String::new(),
    };
    format!("{label:<9} {}{of}, {}/s{left}\n", DecimalBytes(state.done), DecimalBytes(rate))
}

impl Progress for Lines {
    fn expect(&self, total: u64) {
        self.change(|state| state.total = Some(total));
    }

    fn resume(&self, bytes: u64) {
        self.change(|state| (state.done, state.resumed) = (bytes, bytes));
    }

    fn advance(&self, bytes: u64) {
        self.change(|state| state.done += bytes);
    }

    fn finish(&self) {}
}

/// Writes to standard error. A failure is ignored, because it cannot be reported.
pub(super) fn to_stderr(text: &[u8]) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_amount_rate_and_time_left() {
        let now = Instant::now();
        let state = State { done: 120_000_000, resumed: 0, total: Some(374_000_000), last_line: now };
        let after = |state: &State| line("fetching", state, Duration::from_secs(10));
        assert_eq!(after(&state), "fetching  120.00 MB of 374.00 MB, 12.00 MB/s, 21 s left\n");
        let resumed = State { resumed: 100_000_000, ..state };
        assert_eq!(after(&resumed), "fetching  120.00 MB of 374.00 MB, 2.00 MB/s, 127 s left\n");
        assert_eq!(after(&State { total: None, ..state }), "fetching  120.00 MB, 12.00 MB/s\n");
        assert_eq!(after(&State { done: 0, ..state }), "fetching  0 B of 374.00 MB, 0 B/s\n");
    }
}
