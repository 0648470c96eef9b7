//! Runs a program until it ends, or kills it at a limit of time.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Most bytes that are read of each stream. A program that prints more is ended by SIGPIPE.
const MAX_OUTPUT_LEN: u64 = 16 << 20;

/// The output of a program that reads `stdin`; `None` if it was killed at the limit.
pub(super) fn output_within(
    mut command: Command,
    stdin: &[u8],
    limit: Duration,
) -> io::Result<Option<Output>> {
    let deadline = Instant::now() + limit;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let done = exchange(&mut child, stdin, deadline);
    if !matches!(done, Ok(Some(_))) {
        child.kill()?;
        child.wait()?;
    }
    done
}

/// Passes the input, and collects the output; `None` if the program did not end until `deadline`.
fn exchange(child: &mut Child, stdin: &[u8], deadline: Instant) -> io::Result<Option<Output>> {
    let streams = [read_to_end(child.stdout.take())?, read_to_end(child.stderr.take())?];
    if let Some(mut input) = child.stdin.take() {
        let stdin = stdin.to_vec();
        // A program that does not read its input has its reason.
        Builder::new().spawn(move || input.write_all(&stdin))?;
    }
    let mut received = Vec::new();
    for stream in streams {
        match stream.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(bytes) => received.push(bytes),
            Err(_) => break,
        }
    }
    let status = wait_until(child, deadline)?;
    Ok(match (status, <[Vec<u8>; 2]>::try_from(received)) {
        (Some(status), Ok([stdout, stderr])) => Some(Output { status, stdout, stderr }),
        _ => None,
    })
}

/// Reads a stream in a thread of its own: a process below the program may keep it open for longer.
fn read_to_end(stream: Option<impl Read + Send + 'static>) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = channel();
    Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        let read = stream.map(|stream| stream.take(MAX_OUTPUT_LEN).read_to_end(&mut bytes));
        // Without a receiver the program was killed.
        read.transpose().map(|_| sender.send(bytes))
    })?;
    Ok(receiver)
}

fn wait_until(child: &mut Child, deadline: Instant) -> io::Result<Option<std::process::ExitStatus>> {
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sh(script: &str, stdin: &[u8], limit: Duration) -> Option<Output> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        output_within(command, stdin, limit).unwrap()
    }

    #[test]
    fn output_and_status_are_returned() {
        let long = vec![b'x'; 1 << 20];
        let output = sh("cat; echo two >&2; exit 3", &long, Duration::from_secs(20)).unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(3), &b"two\n"[..]));
        assert!(output.stdout == long);
    }

    #[test]
    fn program_that_hangs_is_killed() {
        let start = Instant::now();
        for script in ["exec sleep 1000", "exec sleep 1000 > /dev/null 2>&1", "sleep 20 & exit 0"] {
            assert!(sh(script, b"", Duration::from_millis(200)).is_none(), "{script}");
        }
        assert!(
            sh("exec cat /dev/zero", b"", Duration::from_secs(20)).is_some_and(|end| !end.status.success())
        );
        assert!(start.elapsed() < Duration::from_secs(15));
    }
}
