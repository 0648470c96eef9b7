//! The console of a boot: written to a log, searched for the marker, ended after a time or an amount of output.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use regex::Regex;

use crate::smoketest::no_follow;
use coreos_types::{Error, Result, ResultExt};

/// Longest line in bytes; the rest of a longer one is another line.
const MAX_LINE_LEN: u64 = 4096;
/// Most bytes of console output. A boot that prints more is ended.
const MAX_LOG_LEN: usize = 8 << 20;
/// Most lines of console output; a boot prints some hundreds.
const MAX_LINES: usize = 50_000;
/// Longest wait for a supervisor to clean up after its lifeline was cut.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Default)]
pub(super) struct ConsoleLog {
    /// Every line, without control sequences.
    pub lines: Vec<String>,
    /// Whether a line contained the marker.
    pub marker_seen: bool,
    /// The exit status; `None` if the run was ended by a limit.
    pub status: Option<ExitStatus>,
    /// Whether the run was ended because it printed more than [`MAX_LOG_LEN`] or [`MAX_LINES`].
    pub overflow: bool,
    pub took: Duration,
}

/// Runs a command until it exits, or to a limit of time or output. Its standard input is a lifeline: it is closed at
/// the limit, and by the kernel when this process is killed.
pub(super) fn run_with_limits(
    command: &mut Command,
    marker: &str,
    limit: Duration,
    log: &Path,
) -> Result<ConsoleLog> {
    let started = Instant::now();
    let mut log_file = no_follow::replace_file(log)?;
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let lines = spawn_reader(&mut child);
    let (mut console, mut len) = (ConsoleLog::default(), 0);
    let ended = loop {
        match lines.recv_timeout(limit.saturating_sub(started.elapsed())) {
            Ok((raw_len, line)) => {
                len += raw_len;
                writeln!(log_file, "{line}").with_path("cannot write", log)?;
                console.marker_seen |= line.contains(marker);
                console.lines.push(line);
            }
            Err(error) => break error == RecvTimeoutError::Disconnected,
        }
        console.overflow = len > MAX_LOG_LEN || console.lines.len() > MAX_LINES;
        if console.overflow || started.elapsed() > limit {
            break false;
        }
    };
    drop(child.stdin.take());
    let status = wait_or_kill(&mut child, &lines, &name)?;
    console.status = ended.then_some(status);
    console.took = started.elapsed();
    Ok(console)
}

/// Waits for the child. Further output is discarded, so that the child never blocks.
fn wait_or_kill(child: &mut Child, lines: &Receiver<(usize, String)>, name: &str) -> Result<ExitStatus> {
    let deadline = Instant::now() + CLEAN_UP_TIMEOUT;
    loop {
        while lines.try_recv().is_ok() && Instant::now() < deadline {}
        if let Some(status) = child.try_wait().with_context(|| format!("cannot wait for {name}"))? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            let killed = child.kill().and_then(|()| child.wait());
            killed.with_context(|| format!("cannot end {name}"))?;
            return Err(Error::failed(format!("{name} did not end within {} s", CLEAN_UP_TIMEOUT.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The child's lines as they come, each with its length before control sequences were removed. The channel is
/// bounded, so that output is not buffered without limit.
fn spawn_reader(child: &mut Child) -> Receiver<(usize, String)> {
    let (sender, receiver) = sync_channel(64);
    let Some(mut stdout) = child.stdout.take().map(BufReader::new) else { return receiver };
    // Without a thread the receiver sees the end of the output.
    let _ = std::thread::Builder::new().spawn(move || {
        let mut line = Vec::new();
        while let Ok(len) = stdout.by_ref().take(MAX_LINE_LEN).read_until(b'\n', &mut line)
            && len > 0
        {
            // The terminal shows the NUL that it was sent first.
            let text = strip_control(&String::from_utf8_lossy(&line)).trim_start_matches("^@").to_owned();
            if sender.send((len, text)).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}

/// A control sequence, a control string, or another escape sequence (ECMA-48, ECMA-35).
static ESCAPE_SEQUENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])").ok()
});

/// A console line without control sequences and control characters.
fn strip_control(line: &str) -> String {
    let text = ESCAPE_SEQUENCE.as_ref().map_or(line.into(), |sequence| sequence.replace_all(line, ""));
    let text = text.replace('\t', " ");
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_removed() {
        assert_eq!(strip_control("\u{1b}[0;1;31mred\u{1b}[0m\r\n"), "red");
        assert_eq!(strip_control("\u{1b}]8;;file://x\u{1b}\\link\u{1b}]8;;\u{7}."), "link.");
        // A string without its end may be any text.
        assert_eq!(strip_control("\u{1b}]marker"), "marker");
        assert_eq!(strip_control("a\tb\u{0}\u{1b}"), "a b");
    }

    #[test]
    fn marker_and_exit_status_are_recorded() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let console = run_with_limits(
            Command::new("sh").args(["-c", "echo a; echo token; exit 3"]),
            "token",
            Duration::from_secs(10),
            &log,
        )
        .unwrap();
        assert!(console.marker_seen);
        assert_eq!(console.status.and_then(|status| status.code()), Some(3));
        assert_eq!(std::fs::read_to_string(log).unwrap(), "a\ntoken\n");
    }

    #[test]
    fn hang_ends_at_the_limit() {
        let home = tempfile::tempdir().unwrap();
        let console = run_with_limits(
            Command::new("sh").args(["-c", "echo a; read x; echo cut"]),
            "token",
            Duration::from_millis(300),
            &home.path().join("log"),
        )
        .unwrap();
        assert_eq!((console.status.is_none(), console.marker_seen), (true, false));
        assert_eq!(console.lines[0], "a");
    }

    #[test]
    fn output_without_end_is_cut() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        for flood in ["cat /dev/zero", "yes", "yes ''"] {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("{flood} & read -r _; kill $!; wait")]);
            let console = run_with_limits(&mut command, "marker", Duration::from_secs(60), &log).unwrap();
            assert!(console.overflow && console.status.is_none(), "{flood}");
            assert!(console.lines.iter().all(|line| line.len() <= MAX_LINE_LEN as usize), "{flood}");
            assert!(std::fs::metadata(&log).unwrap().len() < 2 * MAX_LOG_LEN as u64, "{flood}");
        }
    }
}
