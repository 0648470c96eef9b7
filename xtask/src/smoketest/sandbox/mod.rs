//! Runs one program of an untrusted root filesystem without any right on this machine.
//!
//! The program gets user, mount, pid, network, ipc, uts and cgroup namespaces of its own, a root directory that holds
//! the read-only `/usr` alone (pivot_root(2)), no capabilities, `no_new_privs`, and an unprivileged user ID where the
//! caller is root. Its time, output, memory and number of processes are bounded. It is killed when this process ends.
//!
//! util-linux makes the namespaces; then this program, called again as [`namespace_entry`], does what only a process
//! inside of them can do. Both sides synchronize over pipes: the host writes the user map when the namespaces exist, and the
//! program starts when the host has seen that all is set up. A host that was killed before that never answers.

pub mod namespace_entry;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::host::{STANDARD_PATH, is_root, missing_programs_reason};
use coreos_types::{Error, Result, ResultExt};

pub(crate) const MAX_RUN_TIME: Duration = Duration::from_secs(10);
/// Most bytes on standard output and standard error together.
pub(crate) const MAX_OUTPUT_LEN: usize = 1 << 20;
/// Longest wait for the namespaces.
const SETUP_TIMEOUT: Duration = Duration::from_secs(20);
/// The user ID of confined programs where the caller is root: no account has it.
const SANDBOX_UID: u32 = 65_533;
/// Longest time until a stop of the whole check is noticed.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The confinement of programs of a root filesystem on this machine.
pub(crate) struct Sandbox {
    own_program: PathBuf,
    rootfs: PathBuf,
    /// The user ID of the program, in a namespace that maps all IDs of the caller to themselves; `None` for the caller's,
    /// with rights inside the namespace only.
    uid: Option<u32>,
    /// The static qemu that runs programs of a foreign machine.
    emulator: Option<PathBuf>,
    /// Files below `usr` that only root can read: the program sees copies.
    owner_only_files: Vec<OsString>,
}

/// The end of a run, and what the program printed.
pub(crate) struct FinishedRun {
    pub end: ProgramEnd,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProgramEnd {
    Exited(i32),
    Killed(i32),
    NotExecutable,
    TimedOut,
    TooMuchOutput,
}

impl fmt::Display for ProgramEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramEnd::Exited(code) => write!(f, "exited with {code}"),
            ProgramEnd::Killed(signal) => {
                let name = signal_hook::low_level::signal_name(*signal);
                write!(f, "was killed by {}", name.map_or_else(|| signal.to_string(), str::to_owned))
            }
            ProgramEnd::NotExecutable => f.write_str("cannot be executed"),
            ProgramEnd::TimedOut => write!(f, "did not end within {} s", MAX_RUN_TIME.as_secs()),
            ProgramEnd::TooMuchOutput => write!(f, "printed more than {} KiB", MAX_OUTPUT_LEN >> 10),
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(emulator) = &self.emulator {
            write!(f, "emulated by {}, ", emulator.display())?;
        }
        match self.uid {
            Some(uid) => write!(f, "confined, user ID {uid}"),
            None => f.write_str("confined, a user namespace"),
        }
    }
}

impl Sandbox {
    /// The sandbox for a root filesystem, tried once with no program in it, or the reason why this machine or user cannot
    /// confine a program.
    pub(crate) fn probe(
        rootfs: &Path,
        emulator: Option<PathBuf>,
        owner_only_files: Vec<OsString>,
    ) -> std::result::Result<Sandbox, String> {
        if let Some(missing) = missing_programs_reason(&["unshare", "setpriv"]) {
            return Err(format!("{missing} (util-linux)"));
        }
        let own_program =
            std::env::current_exe().map_err(|error| format!("cannot locate this program: {error}"))?;
        let with_uid = |uid, owner_only_files| {
            let (own_program, rootfs, emulator) = (own_program.clone(), rootfs.to_owned(), emulator.clone());
            let sandbox = Sandbox { own_program, rootfs, uid, emulator, owner_only_files };
            sandbox.run(&[], &|| false).map(|_| sandbox)
        };
        let tried = match is_root() {
            false => with_uid(None, Vec::new()),
            // In a container with few user IDs, root may still create user namespaces like an unprivileged user.
            true => with_uid(Some(SANDBOX_UID), owner_only_files)
                .or_else(|error| with_uid(None, Vec::new()).map_err(|_| error)),
        };
        tried.map_err(|error| error.causes.last().cloned().unwrap_or(error.message))
    }

    /// Runs a program, an absolute path in the root filesystem, with its arguments, until `is_stopped`. No arguments at
    /// all sets the sandbox up and ends. The program's own failure is not an error.
    pub(crate) fn run(&self, arguments: &[OsString], is_stopped: &dyn Fn() -> bool) -> Result<FinishedRun> {
        let mut child = self.command(arguments).spawn().with_context(|| "cannot run setpriv")?;
        let (sender, chunks) = sync_channel(4);
        spawn_reader(child.stdout.take(), false, sender.clone());
        spawn_reader(child.stderr.take(), true, sender);
        let mut run = RunState {
            maps_ids: self.uid.is_some(),
            setup_lines_left: 2,
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        let stopped = run.collect_output(&mut child, &chunks, is_stopped);
        if !matches!(stopped, Ok(None)) {
            let _ = child.kill();
        }
        drop((chunks, child.stdin.take()));
        let status = child.wait().with_context(|| "cannot wait for the sandbox")?;
        let end = match (stopped?, status.signal()) {
            (Some(end), _) => end,
            // The supervisor passes on the status of its child.
            (None, Some(_)) => return Err(stopped_error().with_cause(status)),
            (None, None) if run.setup_lines_left > 0 => return Err(setup_error(status, &run.stderr)),
            (None, None) => end_of_exit_code(status.code().unwrap_or_default()),
        };
        Ok(FinishedRun { end, stdout: run.stdout, stderr: run.stderr })
    }

    fn command(&self, arguments: &[OsString]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--user"]);
        if self.uid.is_none() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "--propagation", "private", "--pid", "--net", "--ipc", "--uts", "--cgroup"]);
        let (supervisor, init) = (include_str!("supervisor.sh"), include_str!("init.sh"));
        command.args(["--", "sh", "-c", supervisor, "supervisor", init]).arg(&self.own_program);
        command.args(namespace_entry::arguments(self, arguments));
        // Nothing of the caller's environment (LD_PRELOAD, LD_DEBUG) reaches the program.
        command.env_clear().env("PATH", STANDARD_PATH).env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// A run as seen from outside.
struct RunState {
    maps_ids: bool,
    /// The lines of the set-up that are still to come: one when the namespaces are made, one when the root directory is
    /// made and rights are dropped. All output after them is the program's.
    setup_lines_left: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl RunState {
    /// Collects output until both streams end (`None`), or until a limit is reached.
    fn collect_output(
        &mut self,
        child: &mut Child,
        chunks: &Receiver<(bool, Vec<u8>)>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<ProgramEnd>> {
        let mut deadline = Instant::now() + SETUP_TIMEOUT;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match chunks.recv_timeout(rest.min(POLL_INTERVAL)) {
                _ if is_stopped() => return Err(stopped_error()),
                Ok((true, bytes)) => self.stderr.extend(bytes),
                Ok((false, bytes)) => self.stdout.extend(bytes),
                Err(Disconnected) => return Ok(None),
                Err(Timeout) if rest > POLL_INTERVAL => {}
                Err(Timeout) if self.setup_lines_left == 0 => return Ok(Some(ProgramEnd::TimedOut)),
                Err(Timeout) => return Err(Error::failed("the sandbox was not set up in time")),
            }
            if self.stdout.len() + self.stderr.len() > MAX_OUTPUT_LEN {
                return Ok(Some(ProgramEnd::TooMuchOutput));
            }
            while self.setup_lines_left > 0
                && let Some(end) = self.stdout.iter().position(|byte| *byte == b'\n')
            {
                self.stdout.drain(..=end);
                self.answer_setup_line(child)?;
                let limit = if self.setup_lines_left == 0 { MAX_RUN_TIME } else { SETUP_TIMEOUT };
                deadline = Instant::now() + limit;
            }
        }
    }

    /// Answers a line of the set-up, unless its supervisor has ended: the program would outlive this process.
    fn answer_setup_line(&mut self, child: &mut Child) -> Result<()> {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(stopped_error().with_cause(status));
        }
        let is_first = self.setup_lines_left == 2;
        // unshare(1) has mapped the caller's ID alone.
        if is_first && self.maps_ids {
            write_identity_maps(child.id()).with_context(|| "cannot map user IDs")?;
        }
        self.setup_lines_left -= 1;
        // If the set-up has failed, its error is on standard error: an error of this write is ignored.
        let _ = child.stdin.as_mut().map(|stdin| stdin.write_all(b"\n"));
        if !is_first {
            child.stdin = None;
        }
        Ok(())
    }
}

/// Writes the maps of a process that has just made its user namespace (user_namespaces(7)).
fn write_identity_maps(pid: u32) -> io::Result<()> {
    for file in ["uid_map", "gid_map"] {
        let own = fs::read_to_string(format!("/proc/self/{file}"))?;
        fs::write(format!("/proc/{pid}/{file}"), identity_map(&own))?;
    }
    Ok(())
}

/// The map that gives each ID of `map` the same number in a child namespace. The columns of a map are the first ID inside,
/// the first ID outside, and their number.
fn identity_map(map: &str) -> String {
    let to_identity = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [inside, _, count] => format!("{inside} {inside} {count}\n"),
        _ => String::new(),
    };
    map.lines().map(to_identity).collect()
}

/// Forwards the bytes of a stream until its end or until the receiver is gone.
fn spawn_reader(
    stream: Option<impl Read + Send + 'static>,
    is_stderr: bool,
    sender: SyncSender<(bool, Vec<u8>)>,
) {
    let Some(mut stream) = stream else { return };
    // Without a thread the receiver sees the end of the output.
    let _ = std::thread::Builder::new().spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(len) = stream.read(&mut buffer)
            && len > 0
            && sender.send((is_stderr, buffer[..len].to_vec())).is_ok()
        {}
    });
}

fn stopped_error() -> Error {
    Error::failed("the sandbox of the image's loader was stopped")
}

fn setup_error(status: ExitStatus, stderr: &[u8]) -> Error {
    let text = String::from_utf8_lossy(stderr);
    let cause = text.lines().rfind(|line| !line.trim().is_empty()).map(str::to_owned);
    Error::failed("the sandbox cannot be set up").with_cause(cause.unwrap_or_else(|| status.to_string()))
}

/// The shell in the sandbox passes a signal on as 128 and its number (sh(1)).
fn end_of_exit_code(code: i32) -> ProgramEnd {
    match code {
        namespace_entry::EXIT_NOT_EXECUTABLE => ProgramEnd::NotExecutable,
        code if code > 128 => ProgramEnd::Killed(code - 128),
        code => ProgramEnd::Exited(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_containers_keep_their_ids() {
        for (map, identity) in [
            ("         0          0 4294967295\n", "0 0 4294967295\n"),
            ("0 1000 1\n1 100000 65536\n", "0 0 1\n1 1 65536\n"),
            ("0 1000 1\n", "0 0 1\n"),
            ("", ""),
        ] {
            assert_eq!(identity_map(map), identity);
        }
    }
}
