//! Progress of a long step: a line that is drawn again and again on a terminal, a line every ten seconds elsewhere.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::report::sizes::format_bytes;

/// The progress of a long step. All amounts are bytes; a clone counts for the same step. Its line is removed with the
/// last clone; a [`super::Term::stage`] line replaces it.
#[derive(Debug, Clone)]
pub struct Progress {
    /// `None` shows nothing.
    step: Option<Arc<StepHandle>>,
}

/// The lines of the running steps, below everything else that is printed.
#[derive(Debug, Clone)]
pub(super) struct ProgressLines {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    on_terminal: bool,
    is_stopped: bool,
    steps: Vec<Step>,
    next_id: usize,
    /// The lines that are on the terminal now.
    drawn: usize,
    last_drawn: Instant,
}

#[derive(Debug)]
struct Step {
    id: usize,
    label: String,
    done: u64,
    /// The amount of an earlier run.
    resumed: u64,
    total: Option<u64>,
    started: Instant,
}

#[derive(Debug)]
struct StepHandle {
    id: usize,
    lines: ProgressLines,
}

impl Progress {
    /// Shows nothing.
    pub fn silent() -> Progress {
        Progress { step: None }
    }

    /// Sets the total, once it is known.
    pub fn set_total(&self, total: u64) {
        self.update(|step| step.total = Some(total));
    }

    /// Sets the amount of an earlier run, which is excluded from the rate.
    pub fn set_resumed_bytes(&self, bytes: u64) {
        self.update(|step| (step.done, step.resumed, step.started) = (bytes, bytes, Instant::now()));
    }

    /// Adds an amount.
    pub fn advance(&self, bytes: u64) {
        self.update(|step| step.done = step.done.saturating_add(bytes));
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.step.iter().for_each(|step| step.remove());
    }

    fn update(&self, change: impl FnOnce(&mut Step)) {
        let Some(handle) = &self.step else { return };
        let mut state = handle.lines.lock();
        if let Some(step) = state.steps.iter_mut().find(|step| step.id == handle.id) {
            change(step);
            let text = state.text_if_due(Instant::now());
            write_stderr(text.unwrap_or_default().as_bytes());
        }
    }
}

impl StepHandle {
    fn remove(&self) {
        let mut state = self.lines.lock();
        state.steps.retain(|step| step.id != self.id);
        let text = state.erase() + &state.draw();
        write_stderr(text.as_bytes());
    }
}

impl Drop for StepHandle {
    fn drop(&mut self) {
        self.remove();
    }
}

impl ProgressLines {
    pub(super) fn new(on_terminal: bool) -> ProgressLines {
        let last_drawn = Instant::now();
        let state =
            State { on_terminal, is_stopped: false, steps: Vec::new(), next_id: 0, drawn: 0, last_drawn };
        ProgressLines { state: Arc::new(Mutex::new(state)) }
    }

    #[cfg(test)]
    pub(super) fn is_on_terminal(&self) -> bool {
        self.lock().on_terminal
    }

    /// Starts a step.
    pub(super) fn start(&self, label: &str, total: Option<u64>) -> Progress {
        let mut state = self.lock();
        if state.is_stopped {
            return Progress::silent();
        }
        let (id, label, started) = (state.next_id, label.to_owned(), Instant::now());
        state.next_id += 1;
        if state.steps.is_empty() {
            state.last_drawn = started;
        }
        state.steps.push(Step { id, label, done: 0, resumed: 0, total, started });
        Progress { step: Some(Arc::new(StepHandle { id, lines: self.clone() })) }
    }

    /// Prints a text above the lines.
    pub(super) fn print_above(&self, text: &[u8]) {
        let mut state = self.lock();
        let before = state.erase();
        write_stderr(&[before.as_bytes(), text, state.draw().as_bytes()].concat());
    }

    /// Prints a text in place of the lines, and draws none from now on.
    pub(super) fn stop(&self, text: &[u8]) {
        let mut state = self.lock();
        state.is_stopped = true;
        state.steps.clear();
        write_stderr(&[state.erase().as_bytes(), text].concat());
    }

    /// The amounts stay valid after a panic in another thread.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The text to print for the running steps; `None` before the pause between two of them has passed.
    fn text_if_due(&mut self, now: Instant) -> Option<String> {
        let pause = if self.on_terminal { REDRAW_PAUSE } else { LINE_PAUSE };
        if now.duration_since(self.last_drawn) < pause {
            return None;
        }
        self.last_drawn = now;
        Some(match self.on_terminal {
            true => self.erase() + &self.draw(),
            false => self.steps.iter().map(|step| step.line() + "\n").collect(),
        })
    }

    /// The control sequences that remove the drawn lines (ECMA-48): cursor up, erase to the end of the screen.
    fn erase(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            drawn => format!("\x1b[{drawn}A\r\x1b[J"),
        }
    }

    /// The lines, without line wrap (DECAWM): a wrapped one would be two to erase.
    fn draw(&mut self) -> String {
        let mut text = String::new();
        if self.on_terminal && !self.steps.is_empty() {
            self.drawn = self.steps.len();
            text.push_str("\x1b[?7l");
            self.steps.iter().for_each(|step| text += &(step.bar() + "\n"));
            text.push_str("\x1b[?7h");
        }
        text
    }
}

impl Step {
    fn bar(&self) -> String {
        let Some(total) = self.total else { return self.line() };
        let filled = self.done.min(total).saturating_mul(BAR_LEN).checked_div(total).unwrap_or(BAR_LEN);
        let bar = "=".repeat(filled as usize) + ">";
        format!("{:<9} [{bar:<24.24}] {}", self.label, self.amounts())
    }

    fn line(&self) -> String {
        format!("{:<9} {}", self.label, self.amounts())
    }

    fn amounts(&self) -> String {
        let elapsed = self.started.elapsed();
        let bytes = self.done.saturating_sub(self.resumed);
        // The rate of the first second is not one.
        let rate = if elapsed < Duration::from_secs(1) { 0.0 } else { bytes as f64 / elapsed.as_secs_f64() };
        amounts(self.done, self.total, rate as u64)
    }
}

/// Time between two drawings on a terminal.
const REDRAW_PAUSE: Duration = Duration::from_millis(100);

/// Time between two lines elsewhere.
const LINE_PAUSE: Duration = Duration::from_secs(10);

/// The characters of a full bar.
const BAR_LEN: u64 = 24;

fn amounts(done: u64, total: Option<u64>, rate: u64) -> String {
    let of = total.map(|total| format!(" of {}", format_bytes(total))).unwrap_or_default();
    let left = total.and_then(|total| total.saturating_sub(done).checked_div(rate));
    let left = left.map(|seconds| format!(", {seconds} s left")).unwrap_or_default();
    format!("{}{of}, {}/s{left}", format_bytes(done), format_bytes(rate))
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
    fn amounts_have_rate_and_time_left() {
        let (done, total) = (120_000_000, Some(374_000_000));
        assert_eq!(amounts(done, total, 12_000_000), "120.0 MB of 374.0 MB, 12.0 MB/s, 21 s left");
        assert_eq!(amounts(done, None, 12_000_000), "120.0 MB, 12.0 MB/s");
        assert_eq!(amounts(0, total, 0), "0 B of 374.0 MB, 0 B/s");
    }

    #[test]
    fn lines_are_erased_before_a_text_and_drawn_below() {
        let lines = ProgressLines::new(true);
        let progress = lines.start("download", None);
        progress.set_total(100);
        progress.set_resumed_bytes(40);
        progress.clone().advance(10);
        let mut state = lines.lock();
        assert_eq!(state.erase(), "");
        let bar = "download  [============>           ] 50 B of 100 B, 0 B/s";
        assert_eq!(state.draw(), format!("\x1b[?7l{bar}\n\x1b[?7h"));
        assert_eq!(state.erase(), "\x1b[1A\r\x1b[J");
        drop(state);
        drop(progress);
        assert_eq!(lines.lock().draw(), "");
    }

    #[test]
    fn off_a_terminal_each_step_has_a_line_after_a_pause() {
        let lines = ProgressLines::new(false);
        let (fetching, reading) = (lines.start("fetching", Some(400)), lines.start("read", None));
        fetching.advance(100);
        reading.advance(5);
        let start = Instant::now();
        let mut state = lines.lock();
        assert_eq!(state.text_if_due(start + LINE_PAUSE / 2), None);
        let expected = "fetching  100 B of 400 B, 0 B/s\nread      5 B, 0 B/s\n";
        assert_eq!(state.text_if_due(start + LINE_PAUSE).as_deref(), Some(expected));
        assert_eq!(state.text_if_due(start + LINE_PAUSE), None);
    }

    #[test]
    fn finished_step_does_not_remove_a_later_one() {
        let lines = ProgressLines::new(true);
        let first = lines.start("fetching", None);
        first.finish();
        let second = lines.start("fetching", None);
        drop(first);
        assert_eq!(lines.lock().steps.len(), 1);
        lines.stop(b"");
        second.advance(1);
        let after = lines.start("fetching", None);
        after.advance(1);
        assert_eq!(lines.lock().draw(), "");
    }
}
