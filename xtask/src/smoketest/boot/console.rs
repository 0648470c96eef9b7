//! What a boot says, as it says it: kept in a log, watched for the token, ended when time is up.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use coreos_types::error::{Error, Result, ResultExt};

/// What was heard.
#[derive(Debug, Clone)]
pub(super) struct ConsoleLog {
    /// Every line, without control sequences.
    pub lines: Vec<String>,
    /// Whether one of them held the token.
    pub marker_seen: bool,
    /// How it ended by itself; `None` where time was up.
    pub status: Option<ExitStatus>,
    /// From the start to the end.
    pub took: Duration,
}

impl ConsoleLog {
    /// The last lines that say something.
    pub(super) fn last_lines(&self, count: usize) -> Vec<&str> {
        let said: Vec<&str> =
            self.lines.iter().map(String::as_str).filter(|line| !line.trim().is_empty()).collect();
        said[said.len().saturating_sub(count)..].to_vec()
    }
}

/// How much longer a supervisor may take to clear up once its life line is cut.
const GRACE: Duration = Duration::from_secs(15);

/// Runs a command to its end, or to the limit. Its standard input is a life line: it is closed when time is up, and
/// closes by itself when this process is killed.
///
/// # Errors
/// A command that cannot be started, a log that cannot be written, a child that outlives its life line.
pub(super) fn run_until_exit(
    command: &mut Command,
    token: &str,
    limit: Duration,
    log: &Path,
) -> Result<ConsoleLog> {
    let started = Instant::now();
    let mut log_file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let lines = reader(&mut child);
    let mut heard = ConsoleLog { lines: Vec::new(), marker_seen: false, status: None, took: Duration::ZERO };
    let mut take = |line: String| -> Result<()> {
        writeln!(log_file, "{line}").with_context(|| format!("cannot write {}", log.display()))?;
        heard.marker_seen |= line.contains(token);
        heard.lines.push(line);
        Ok(())
    };
    let mut in_time = true;
    loop {
        match lines.recv_timeout(limit.saturating_sub(started.elapsed())) {
            Ok(line) => take(line)?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                in_time = false;
                break;
            }
        }
    }
    drop(child.stdin.take());
    let status = wait(&mut child, &name)?;
    while let Ok(line) = lines.try_recv() {
        take(line)?;
    }
    heard.status = in_time.then_some(status);
    heard.took = started.elapsed();
    Ok(heard)
}

fn wait(child: &mut Child, name: &str) -> Result<ExitStatus> {
    let deadline = Instant::now() + GRACE;
    loop {
        if let Some(status) = child.try_wait().with_context(|| format!("cannot wait for {name}"))? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            let killed = child.kill().and_then(|()| child.wait());
            killed.with_context(|| format!("cannot end {name}"))?;
            return Err(Error::failed(format!("{name} did not end within {} s", GRACE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The child's lines, as they come.
fn reader(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut bytes = Vec::new();
            while stdout.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
                // The terminal shows the NUL that it was sent first.
                let line = strip_ansi(&String::from_utf8_lossy(&bytes)).trim_start_matches("^@").to_owned();
                bytes.clear();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// A console line without control sequences (ECMA-48: CSI and OSC) and control characters.
fn strip_ansi(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                Some('[') => drop(chars.by_ref().find(|c| ('@'..='~').contains(c))),
                Some(']' | 'P') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_no_text() {
        assert_eq!(strip_ansi("\u{1b}[0;1;31mred\u{1b}[0m\r\n"), "red");
        assert_eq!(strip_ansi("\u{1b}]8;;file://x\u{1b}\\link\u{1b}]8;;\u{7}."), "link.");
        assert_eq!(strip_ansi("a\tb\u{0}\u{1b}"), "a b");
    }

    #[test]
    fn a_token_is_heard_and_the_end_is_known() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let heard = run_until_exit(
            Command::new("sh").args(["-c", "echo a; echo token; exit 3"]),
            "token",
            Duration::from_secs(10),
            &log,
        )
        .unwrap();
        assert!(heard.marker_seen);
        assert_eq!(heard.status.and_then(|status| status.code()), Some(3));
        assert_eq!(std::fs::read_to_string(log).unwrap(), "a\ntoken\n");
    }

    #[test]
    fn a_hang_ends_when_the_life_line_is_cut() {
        let home = tempfile::tempdir().unwrap();
        let heard = run_until_exit(
            Command::new("sh").args(["-c", "echo a; read x; echo cut"]),
            "token",
            Duration::from_millis(300),
            &home.path().join("log"),
        )
        .unwrap();
        assert_eq!((heard.status.is_none(), heard.marker_seen), (true, false));
        assert_eq!(heard.lines[0], "a");
    }
}
