//! Progress, colour, and the only print.
//!
//! Standard output carries the result of a command, standard error everything said on the way. Colour and bars
//! are for terminals; `NO_COLOR`, `CI` and `TERM=dumb` turn them off (<https://no-color.org>).

mod ansi;
mod progress;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressDrawTarget};

pub use self::progress::{Progress, Silent};
use crate::report::styled_text::{Style, StyledText};
use crate::report::text::Layout;
use crate::report::{Format, Report, github, json, sarif, text};
use crate::signals;
use coreos_types::error::{Error, Result, ResultExt};

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// `-q`: warnings and errors.
    Quiet,
    /// Each stage and its progress.
    #[default]
    Normal,
    /// `-v`: what was read, asked and decided on the way, too, and when.
    Verbose,
    /// `-vv`: that of each file.
    Everything,
}

impl Verbosity {
    /// The level that counts `-v` up and `-q` down from 0.
    pub fn of(level: i8) -> Verbosity {
        match level {
            ..0 => Verbosity::Quiet,
            0 => Verbosity::Normal,
            1 => Verbosity::Verbose,
            2.. => Verbosity::Everything,
        }
    }
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR or CI is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What the outside says about who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct ReplacementContext {
    stdout_terminal: bool,
    stderr_terminal: bool,
    /// `NO_COLOR` is set and not empty.
    no_color: bool,
    /// `CI` is set to something that is not "no", or the terminal is a dumb one.
    plain: bool,
}

impl ReplacementContext {
    fn read() -> ReplacementContext {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        ReplacementContext {
            stdout_terminal: io::stdout().is_terminal(),
            stderr_terminal: io::stderr().is_terminal(),
            no_color: set("NO_COLOR").is_some(),
            plain: set("CI").is_some_and(|value| value != "0" && value != "false")
                || set("TERM").is_some_and(|value| value == "dumb"),
        }
    }

    fn colors(self, choice: ColorChoice, terminal: bool) -> bool {
        match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !self.no_color && !self.plain,
        }
    }
}

/// Where everything is said. One a process, handed down by reference; a clone says it in the same place.
#[derive(Debug, Clone)]
pub struct Term {
    format: Format,
    verbosity: Verbosity,
    /// Columns of standard output, where it is a terminal.
    width: Option<usize>,
    color_stdout: bool,
    color_stderr: bool,
    /// What `-v` tells the time from.
    started: Instant,
    /// Bars are drawn: standard error is a terminal that can.
    bars: Option<MultiProgress>,
}

impl Term {
    /// A terminal as the flags and the environment want it.
    pub fn new(format: Format, color: ColorChoice, verbosity: Verbosity) -> Term {
        Term::within(ReplacementContext::read(), format, color, verbosity)
    }

    fn within(around: ReplacementContext, format: Format, color: ColorChoice, verbosity: Verbosity) -> Term {
        let bars = around.stderr_terminal && !around.plain && verbosity != Verbosity::Quiet;
        Term {
            format,
            verbosity,
            started: Instant::now(),
            width: around.stdout_terminal.then(columns),
            color_stdout: around.colors(color, around.stdout_terminal) && format == Format::Text,
            color_stderr: around.colors(color, around.stderr_terminal),
            bars: bars.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr())),
        }
    }

    /// The face that the result gets.
    pub fn format(&self) -> Format {
        self.format
    }

    fn layout(&self) -> Layout {
        Layout {
            width: self.width,
            problems_only: self.verbosity == Verbosity::Quiet,
            complete: self.is_verbose(),
        }
    }

    /// Whether `-v` was given.
    pub fn is_verbose(&self) -> bool {
        self.verbosity >= Verbosity::Verbose
    }

    /// A line that stays: `verified  CoreOS Buildbot …`. `word` is one verb, the result of the stage.
    pub fn stage(&self, word: &str, what: impl fmt::Display) {
        if self.verbosity > Verbosity::Quiet {
            self.say(Style::Good, word, &what);
        }
    }

    /// Like [`Term::stage`], under `-v` only.
    pub fn detail(&self, word: &str, what: impl fmt::Display) {
        if self.is_verbose() {
            self.say(Style::Faint, word, &what);
        }
    }

    /// Like [`Term::detail`], under `-vv` only.
    pub fn trace(&self, word: &str, what: impl fmt::Display) {
        if self.verbosity == Verbosity::Everything {
            self.say(Style::Faint, word, &what);
        }
    }

    /// Something that does not stop the work and that a person should know, whatever the verbosity.
    pub fn warn(&self, what: impl fmt::Display) {
        self.say(Style::Warning, "warning", &what);
    }

    /// Starts to show how far a long step is. `label` is one verb, `fetching`; `total` is in bytes, where known.
    pub fn progress(&self, label: &str, total: Option<u64>) -> Box<dyn Progress> {
        match (&self.bars, self.verbosity) {
            (_, Verbosity::Quiet) => Box::new(Silent),
            (Some(bars), _) => Box::new(progress::Bar::start(bars, label, total)),
            (None, _) => Box::new(progress::Lines::start(label, total)),
        }
    }

    /// Tells a run in the chosen format: the result on standard output, what stopped it on standard error.
    ///
    /// # Errors
    /// When standard output takes no more, for another reason than that its reader has gone.
    pub fn tell(&self, report: &Report) -> Result<()> {
        match self.format {
            Format::Text => self.result(&text::render(report, self.layout()))?,
            format => print(document(format, report).as_bytes())?,
        }
        if let Some(fault) = &report.error {
            self.fault(fault);
        }
        Ok(())
    }

    /// Registers what is printed in place of the result if a signal ends the run: for scripts a document of `report`,
    /// for people what remains and the command that continues, `command_line`.
    pub fn prepare_last_word(&self, report: Report, command_line: String) {
        let format = self.format;
        if format == Format::Text {
            let term = self.clone();
            signals::prepare_last_word(Box::new(move |signal| term.print_interruption(signal, command_line)));
            return;
        }
        signals::prepare_last_word(Box::new(move |signal| {
            let fault = Error::failed(format!("ended by {signal} before it could tell what it did"))
                .with_cause("the tree is whole: as it was, or as the finished change left it")
                .with_hint("run the command again");
            // Nobody is left to be told that it cannot be written.
            let _ = write(document(format, &Report { error: Some(fault), ..report }).as_bytes());
        }));
    }

    /// Prints a help text to standard output, or what is wrong with a command line to standard error.
    ///
    /// # Errors
    /// As [`Term::tell`].
    pub fn print_usage(&self, is_help: bool, text: &StyledText) -> Result<()> {
        if is_help {
            return self.result(text);
        }
        self.diagnose(text);
        Ok(())
    }

    /// Clears the bars, and says what an interrupted run leaves behind.
    fn print_interruption(&self, signal: &str, command_line: String) {
        if let Some(bars) = &self.bars {
            // A bar that is drawn once more would stay.
            bars.set_draw_target(ProgressDrawTarget::hidden());
            progress::to_stderr(b"\r\x1b[J");
        }
        let interruption = Error::failed(format!("interrupted by {signal}"))
            .with_cause("the tree is complete: unchanged, or with the whole change; downloaded bytes stay in the cache")
            .with_hint(format!("to continue: {command_line}"));
        progress::to_stderr(&ansi::paint(&text::error(&interruption), self.color_stderr));
    }

    /// Writes a result to standard output.
    ///
    /// # Errors
    /// As [`Term::tell`].
    pub fn result(&self, text: &StyledText) -> Result<()> {
        print(&ansi::paint(text, self.color_stdout))
    }

    /// What stopped the work, why, and what mends it.
    pub fn fault(&self, fault: &Error) {
        self.diagnose(&text::error(fault));
    }

    fn say(&self, tone: Style, word: &str, what: &dyn fmt::Display) {
        let mut line = StyledText::of(tone, format!("{word:<9}"));
        // A further line must not look like a message of its own.
        line.push(Style::Plain, format!(" {what}").replace('\n', "\n          "));
        if self.is_verbose() {
            line.push(Style::Faint, format!("  [{:.3} s]", self.started.elapsed().as_secs_f64()));
        }
        line.line(Style::Plain, "");
        self.diagnose(&line);
    }

    fn diagnose(&self, text: &StyledText) {
        let painted = ansi::paint(text, self.color_stderr);
        match &self.bars {
            Some(bars) => bars.suspend(|| progress::to_stderr(&painted)),
            None => progress::to_stderr(&painted),
        }
    }
}

/// The width of the terminal; a terminal that does not know it has the usual one.
fn columns() -> usize {
    console::Term::stdout().size_checked().map_or(80, |(_, columns)| usize::from(columns))
}

/// The result as a script reads it; for people there is [`text::render`].
fn document(format: Format, report: &Report) -> String {
    match format {
        Format::Json => format!("{:#}\n", json::document(report)),
        Format::Github => github::render(report),
        Format::Sarif => format!("{:#}\n", sarif::document(report)),
        Format::Text => text::render(report, Layout::default()).to_string(),
    }
}

fn print(text: &[u8]) -> Result<()> {
    match signals::instead_of_last_word(|| write(text)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.with_context(|| "standard output takes no more"),
    }
}

fn write(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_choice_then_environment_then_terminal() {
        let terminal = ReplacementContext {
            stdout_terminal: true,
            stderr_terminal: true,
            ..ReplacementContext::default()
        };
        let pipe = ReplacementContext::default();
        let no_color = ReplacementContext { no_color: true, ..terminal };
        let plain = ReplacementContext { plain: true, ..terminal };
        for (around, choice, colored) in [
            (terminal, ColorChoice::Auto, true),
            (pipe, ColorChoice::Auto, false),
            (no_color, ColorChoice::Auto, false),
            (plain, ColorChoice::Auto, false),
            (no_color, ColorChoice::Always, true),
            (pipe, ColorChoice::Always, true),
            (terminal, ColorChoice::Never, false),
        ] {
            let term = Term::within(around, Format::Text, choice, Verbosity::Normal);
            assert_eq!((term.color_stdout, term.color_stderr), (colored, colored), "{around:?} {choice:?}");
        }
    }

    #[test]
    fn a_document_has_no_colour_even_on_a_terminal() {
        let terminal = ReplacementContext {
            stdout_terminal: true,
            stderr_terminal: true,
            ..ReplacementContext::default()
        };
        let term = Term::within(terminal, Format::Json, ColorChoice::Always, Verbosity::Normal);
        assert!(!term.color_stdout && term.color_stderr);
    }

    #[test]
    fn bars_are_for_terminals() {
        let terminal = ReplacementContext { stderr_terminal: true, ..ReplacementContext::default() };
        let bars = |around, verbosity| {
            Term::within(around, Format::Text, ColorChoice::Auto, verbosity).bars.is_some()
        };
        assert!(bars(terminal, Verbosity::Normal));
        assert!(!bars(terminal, Verbosity::Quiet));
        assert!(!bars(ReplacementContext { plain: true, ..terminal }, Verbosity::Normal));
        assert!(!bars(ReplacementContext::default(), Verbosity::Verbose));
    }
}
