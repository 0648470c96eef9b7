//! Progress, colours, and everything that is printed.
//!
//! Standard output carries the result of a command, standard error progress and diagnostics. Colours and bars
//! are for terminals; `NO_COLOR`, `CI` and `TERM=dumb` turn them off (<https://no-color.org>).

mod ansi;
mod progress;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

pub use self::progress::Progress;
use self::progress::ProgressLines;
use crate::report::styled_text::{Style, StyledText};
use crate::report::text::Layout;
use crate::report::{OutputFormat, Report, github, json, sarif, text};
use crate::signals;
use coreos_types::{Error, Result, ResultExt};

/// The amount of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// `-q`: problems.
    Quiet,
    /// Results, steps and their progress.
    #[default]
    Normal,
    /// `-v`: also what is read, requested and decided, with the time.
    Verbose,
    /// `-vv`: also details of each file.
    Everything,
}

impl Verbosity {
    /// The level of `-q`, or of this many `-v`.
    pub fn new(quiet: bool, verbose: u8) -> Verbosity {
        match verbose {
            _ if quiet => Verbosity::Quiet,
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

/// Settings from the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Environment {
    stdout_terminal: bool,
    stderr_terminal: bool,
    /// `NO_COLOR` is set and not empty.
    no_color: bool,
    /// `CI` is set to something that is not "no", or the terminal is a dumb one.
    plain: bool,
    /// `GITHUB_ACTIONS` is set.
    actions: bool,
}

impl Environment {
    fn read() -> Environment {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Environment {
            stdout_terminal: io::stdout().is_terminal(),
            stderr_terminal: io::stderr().is_terminal(),
            no_color: set("NO_COLOR").is_some(),
            plain: set("CI").is_some_and(|value| value != "0" && value != "false")
                || set("TERM").is_some_and(|value| value == "dumb"),
            actions: set("GITHUB_ACTIONS").is_some(),
        }
    }

    fn use_colors(self, choice: ColorChoice, terminal: bool) -> bool {
        match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !self.no_color && !self.plain,
        }
    }
}

/// Standard output and standard error. One per process, passed by reference; a clone prints to the same place.
#[derive(Debug, Clone)]
pub struct Term {
    format: OutputFormat,
    verbosity: Verbosity,
    /// Columns of standard output, where it is a terminal.
    width: Option<usize>,
    color_stdout: bool,
    color_stderr: bool,
    /// Whether a runner of GitHub Actions reads standard error.
    is_read_by_actions: bool,
    /// The start, from which `-v` counts seconds.
    started: Instant,
    progress: ProgressLines,
}

impl Term {
    /// Creates a terminal from options and environment.
    pub fn new(format: OutputFormat, color: ColorChoice, verbosity: Verbosity) -> Term {
        Term::with_environment(Environment::read(), format, color, verbosity)
    }

    fn with_environment(
        around: Environment,
        format: OutputFormat,
        color: ColorChoice,
        verbosity: Verbosity,
    ) -> Term {
        let draws_bars = around.stderr_terminal && !around.plain && verbosity != Verbosity::Quiet;
        Term {
            format,
            verbosity,
            started: Instant::now(),
            width: around.stdout_terminal.then(columns),
            color_stdout: around.use_colors(color, around.stdout_terminal) && format == OutputFormat::Text,
            color_stderr: around.use_colors(color, around.stderr_terminal),
            is_read_by_actions: around.actions || format == OutputFormat::Github,
            progress: ProgressLines::new(draws_bars),
        }
    }

    /// The format of the result.
    pub fn format(&self) -> OutputFormat {
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

    /// Prints the result of a step: `verified  CoreOS Buildbot …`. `word` is one verb.
    pub fn stage(&self, word: &str, what: impl fmt::Display) {
        if self.verbosity > Verbosity::Quiet {
            self.log(Style::Good, word, &what);
        }
    }

    /// Like [`Term::stage`], under `-v` only.
    pub fn detail(&self, word: &str, what: impl fmt::Display) {
        if self.is_verbose() {
            self.log(Style::Faint, word, &what);
        }
    }

    /// Like [`Term::detail`], under `-vv` only.
    pub fn trace(&self, word: &str, what: impl fmt::Display) {
        if self.verbosity == Verbosity::Everything {
            self.log(Style::Faint, word, &what);
        }
    }

    /// Prints a warning, at any verbosity.
    pub fn warn(&self, what: impl fmt::Display) {
        self.log(Style::Warning, "warning", &what);
    }

    /// Starts to show the progress of a long step. `label` is one verb, `fetching`; `total` is in bytes, where known.
    pub fn progress(&self, label: &str, total: Option<u64>) -> Progress {
        match self.verbosity {
            Verbosity::Quiet => Progress::silent(),
            _ => self.progress.start(label, total),
        }
    }

    /// Prints a report in the chosen format: the result to standard output, the error to standard error.
    ///
    /// # Errors
    /// Standard output cannot be written, except if its reader is gone (`EPIPE`).
    pub fn print_report(&self, report: &Report) -> Result<()> {
        print_stdout(&self.render(report))?;
        if let Some(error) = &report.error {
            self.print_error(error);
        }
        Ok(())
    }

    /// Registers what is printed instead of the result if a signal ends the run: for scripts a document of `report`,
    /// for people what remains and the command that continues, `command_line`.
    pub fn print_on_termination(&self, report: Report, command_line: String) {
        let term = self.clone();
        signals::print_on_termination(Box::new(move |signal| {
            let message = format!("interrupted by {signal}; the tree has either all of the changes or none");
            let error = Error::failed(message).with_hint(format!("to run it again: {command_line}"));
            match term.format {
                OutputFormat::Text => term.progress.stop(&term.paint_stderr(&text::render_error(&error))),
                // A failure to write cannot be reported.
                _ => _ = write_stdout(&term.render(&Report { error: Some(error), ..report })),
            }
        }));
    }

    /// Prints a help text to standard output, or a usage error to standard error.
    pub fn print_usage(&self, is_help: bool, text: &StyledText) -> Result<()> {
        if is_help {
            return print_stdout(&ansi::paint(text, self.color_stdout));
        }
        self.print_stderr(text);
        Ok(())
    }

    /// A report in the chosen format, without the error if that is text.
    fn render(&self, report: &Report) -> Vec<u8> {
        match self.format {
            OutputFormat::Text => ansi::paint(&text::render(report, self.layout()), self.color_stdout),
            OutputFormat::Json => json::to_text(&json::document(report)).into_bytes(),
            OutputFormat::Github => github::render(report).into_bytes(),
            OutputFormat::Sarif => json::to_text(&sarif::document(report)).into_bytes(),
        }
    }

    /// Prints an error with its causes and hint to standard error.
    pub fn print_error(&self, error: &Error) {
        self.print_stderr(&text::render_error(error));
    }

    fn log(&self, style: Style, word: &str, what: &dyn fmt::Display) {
        let mut line = StyledText::styled(style, format!("{word:<9}"));
        // A further line must not look like a message of its own.
        line.push(Style::Plain, format!(" {what}").replace('\n', "\n          "));
        if self.is_verbose() {
            line.push(Style::Faint, format!("  [{:.3} s]", self.started.elapsed().as_secs_f64()));
        }
        line.push_line(Style::Plain, "");
        self.print_stderr(&line);
    }

    fn print_stderr(&self, text: &StyledText) {
        self.progress.print_above(&self.paint_stderr(text));
    }

    /// The bytes of a text on standard error, in which GitHub Actions looks for workflow commands, too.
    fn paint_stderr(&self, text: &StyledText) -> Vec<u8> {
        let painted = ansi::paint(text, self.color_stderr);
        if !self.is_read_by_actions {
            return painted;
        }
        github::escape_commands(&String::from_utf8_lossy(&painted)).into_bytes()
    }
}

/// The width of the terminal; a terminal that does not know it has the usual one.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.ok().filter(|size| size.ws_col > 0).map_or(80, |size| size.ws_col.into())
}

fn print_stdout(text: &[u8]) -> Result<()> {
    match signals::print_final_result(|| write_stdout(text)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.with_context(|| "cannot write to standard output"),
    }
}

fn write_stdout(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn color_follows_choice_environment_and_terminal() {
        let terminal = Environment { stdout_terminal: true, stderr_terminal: true, ..Environment::default() };
        let pipe = Environment::default();
        let no_color = Environment { no_color: true, ..terminal };
        let plain = Environment { plain: true, ..terminal };
        for (around, choice, colored) in [
            (terminal, ColorChoice::Auto, true),
            (pipe, ColorChoice::Auto, false),
            (no_color, ColorChoice::Auto, false),
            (plain, ColorChoice::Auto, false),
            (no_color, ColorChoice::Always, true),
            (pipe, ColorChoice::Always, true),
            (terminal, ColorChoice::Never, false),
        ] {
            let term = Term::with_environment(around, OutputFormat::Text, choice, Verbosity::Normal);
            assert_eq!((term.color_stdout, term.color_stderr), (colored, colored), "{around:?} {choice:?}");
        }
    }

    #[test]
    fn document_has_no_color_on_a_terminal() {
        let terminal = Environment { stdout_terminal: true, stderr_terminal: true, ..Environment::default() };
        let term =
            Term::with_environment(terminal, OutputFormat::Json, ColorChoice::Always, Verbosity::Normal);
        assert!(!term.color_stdout && term.color_stderr);
    }

    #[test]
    fn message_is_no_workflow_command() {
        let painted = |format, actions| {
            let around = Environment { actions, ..Environment::default() };
            let term = Term::with_environment(around, format, ColorChoice::Never, Verbosity::Normal);
            let text = StyledText::styled(Style::Plain, "a ##[error]b\n  ::error::c\n");
            String::from_utf8(term.paint_stderr(&text)).unwrap_or_default()
        };
        assert_eq!(painted(OutputFormat::Github, false), "a #\\#[error]b\n  \\::error::c\n");
        assert_eq!(painted(OutputFormat::Json, true), painted(OutputFormat::Github, false));
        assert_eq!(painted(OutputFormat::Text, false), "a ##[error]b\n  ::error::c\n");
    }

    #[test]
    fn bars_are_drawn_on_terminals_only() {
        let terminal = Environment { stderr_terminal: true, ..Environment::default() };
        let bars = |around, verbosity| {
            Term::with_environment(around, OutputFormat::Text, ColorChoice::Auto, verbosity)
                .progress
                .is_on_terminal()
        };
        assert!(bars(terminal, Verbosity::Normal));
        assert!(!bars(terminal, Verbosity::Quiet));
        assert!(!bars(Environment { plain: true, ..terminal }, Verbosity::Normal));
        assert!(!bars(Environment::default(), Verbosity::Verbose));
    }
}
