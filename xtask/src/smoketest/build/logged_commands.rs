//! Commands of a build, one after the other, with their output in one file.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::smoketest::no_follow;
use coreos_types::{Error, Result, ResultExt, shell::quote};

/// Supervised commands that have run, and the log of their output.
pub(crate) struct LoggedCommands {
    pub path: PathBuf,
    /// The commands that ran, as lines for a shell.
    pub commands: Vec<String>,
    file: File,
}

#[derive(Debug)]
pub(crate) struct FailedCommand {
    /// The command, as a line for a shell.
    pub command: String,
    pub status: ExitStatus,
    /// The end of what the command printed, at most [`MAX_OUTPUT_LEN`] bytes.
    pub output_tail: String,
}

/// Most bytes of a failed command's output that are read for the diagnosis.
const MAX_OUTPUT_LEN: u64 = 256 * 1024;

/// Most bytes of a log; rkt's build prints some KiB, and some MiB with `V=3`.
const MAX_LOG_LEN: u64 = if cfg!(test) { 1 << 20 } else { 256 << 20 };

const MAX_TIME: Duration = Duration::from_secs(4 * 3600);

/// Runs its arguments in the process group of this shell. At the end of standard input the group is killed: the
/// command or this program has ended.
const KILL_GROUP_ON_STDIN_EOF: &str = r#"exec 3<&0
"$@" < /dev/null 3<&- &
command=$!
{ while read -r _; do :; done; kill -KILL 0; } <&3 > /dev/null 2>&1 &
wait $command"#;

/// The modification time of a log, which a running build updates, plus 2 s; `None` if the log does not exist.
pub(super) fn last_heartbeat_end(path: &Path) -> Option<SystemTime> {
    Some(fs::symlink_metadata(path).ok()?.modified().ok()? + Duration::from_secs(2))
}

impl LoggedCommands {
    /// Creates the log; one of an earlier run is replaced, and a symlink in its place is not followed.
    pub(super) fn create(path: PathBuf) -> Result<LoggedCommands> {
        no_follow::remove_all_if_exists(&path)?;
        let file = File::options().read(true).append(true).create_new(true).open(&path);
        let file = file.with_path("cannot write", &path)?;
        Ok(LoggedCommands { path, commands: Vec::new(), file })
    }

    /// Runs commands in order, up to the first that fails.
    pub(super) fn run_all(
        &mut self,
        commands: impl IntoIterator<Item = Command>,
    ) -> Result<Option<FailedCommand>> {
        for command in commands {
            if let Some(failed) = self.run(command)? {
                return Ok(Some(failed));
            }
        }
        Ok(None)
    }

    /// Runs a [`supervised_command`] without standard input until it exits; returns the command if it fails.
    pub(super) fn run(&mut self, mut command: Command) -> Result<Option<FailedCommand>> {
        let line = shell_line(&command);
        let cannot_write = || format!("cannot write {}", self.path.display());
        writeln!(self.file, "$ {line}").with_context(cannot_write)?;
        let start = self.file.metadata().with_context(cannot_write)?.len();
        let output = || self.file.try_clone().with_context(cannot_write);
        command.stdin(Stdio::piped()).stdout(output()?).stderr(output()?);
        let mut child = command.spawn().with_context(|| format!("cannot run {line}"))?;
        // `Child::wait` would close it.
        let lifeline = child.stdin.take();
        let deadline = Instant::now() + MAX_TIME;
        let status = loop {
            if let Some(status) = child.try_wait().with_context(|| format!("cannot wait for {line}"))? {
                break status;
            }
            // Heartbeat for [`last_heartbeat_end`]. An error is ignored: writing the log updates the time too.
            let _ = self.file.set_modified(SystemTime::now());
            let len = self.file.metadata().map_or(0, |log| log.len());
            let is_late = Instant::now() > deadline;
            if is_late || len > MAX_LOG_LEN {
                drop(lifeline);
                let _ = child.wait();
                let too_much = format!("printed more than {} MiB", MAX_LOG_LEN >> 20);
                let too_late = format!("did not end within {} h", MAX_TIME.as_secs() / 3600);
                return Err(Error::failed(format!("{line} {}", if is_late { too_late } else { too_much })));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        drop(lifeline);
        self.commands.push(line.clone());
        if status.success() {
            return Ok(None);
        }
        let output_tail = self.read_tail(start).with_path("cannot read", &self.path)?;
        Ok(Some(FailedCommand { command: line, status, output_tail }))
    }

    /// The end of the log, from `start` on at most. The build may write to the log or shorten it meanwhile.
    fn read_tail(&self, start: u64) -> io::Result<String> {
        let (mut file, mut bytes) = (&self.file, Vec::new());
        let end = file.metadata()?.len();
        // The position is that of the build too, which appends.
        file.seek(SeekFrom::Start(start.max(end.saturating_sub(MAX_OUTPUT_LEN))))?;
        file.take(MAX_OUTPUT_LEN).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A program below a shell that ends it when this program ends; for [`LoggedCommands::run`].
pub(super) fn supervised_command(program: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", KILL_GROUP_ON_STDIN_EOF, "build", program]).process_group(0);
    shell
}

/// A supervised command as a line for a shell, without its environment.
fn shell_line(command: &Command) -> String {
    let words = command.get_args().skip(3).map(|word| quote(&word.to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = supervised_command("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn failed_command_returns_its_own_output() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("build.log");
        fs::write(&path, "of an earlier run\n").unwrap();
        let mut log = LoggedCommands::create(path.clone()).unwrap();
        assert!(log.run(sh("echo first")).unwrap().is_none());
        let failed = log.run(sh("cat; echo second; echo third >&2; exit 3")).unwrap().unwrap();
        assert_eq!((failed.status.code(), failed.output_tail.as_str()), (Some(3), "second\nthird\n"));
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(
            text,
            "$ sh -c 'echo first'\nfirst\n$ sh -c 'cat; echo second; echo third >&2; exit 3'\nsecond\nthird\n"
        );
    }

    #[test]
    fn log_may_become_shorter() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("build.log");
        let mut log = LoggedCommands::create(path.clone()).unwrap();
        let failed = log.run(sh(&format!(": > {}; exit 1", path.display()))).unwrap().unwrap();
        assert_eq!((failed.status.code(), failed.output_tail.as_str()), (Some(1), ""));
    }

    #[test]
    fn output_of_a_build_is_bounded() {
        let home = tempfile::tempdir().unwrap();
        let mut log = LoggedCommands::create(home.path().join("build.log")).unwrap();
        let started = Instant::now();
        let error = log.run(sh("cat /dev/zero")).unwrap_err();
        assert!(error.message.ends_with("printed more than 1 MiB"), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn background_processes_end_with_their_command() {
        let home = tempfile::tempdir().unwrap();
        let mut log = LoggedCommands::create(home.path().join("build.log")).unwrap();
        let pid = home.path().join("pid");
        assert!(log.run(sh(&format!("sleep 1000 & echo $! > {}", pid.display()))).unwrap().is_none());
        let process = PathBuf::from("/proc").join(fs::read_to_string(pid).unwrap().trim());
        let deadline = Instant::now() + Duration::from_secs(10);
        let is_running = || fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z "));
        while is_running() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!is_running());
    }

    #[test]
    fn symlink_in_place_of_the_log_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let (link, other) = (home.path().join("build.log"), home.path().join("other"));
        std::os::unix::fs::symlink(&other, &link).unwrap();
        LoggedCommands::create(link).unwrap();
        assert!(!other.exists());
    }
}
