//! Processes ended at random times.

use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command};
use std::time::{Duration, Instant};

use super::{Fixture, child};
use crate::chance::Chance;
use crate::e2e::is_long_run;

/// A random time within the usual duration of a run.
fn moment(chance: &mut Chance, usual: Duration) -> Duration {
    usual.mul_f64(f64::from(chance.next()) / f64::from(u32::MAX))
}

/// The duration of a run from the close of its standard input.
fn measure_run() -> Duration {
    let fixture = Fixture::new();
    let (mut child, stdin) = child::start(fixture.root());
    let _stdout = wait_for_start(&mut child);
    let start = Instant::now();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(fixture.state(), Ok("after"));
    start.elapsed()
}

/// Waits for the line that libtest prints when it starts the test. The returned reader keeps the pipe open.
fn wait_for_start(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let _first = stdout.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("running")));
    // Time from that line to the read of the pipe; an earlier kill is one more random time.
    std::thread::sleep(Duration::from_millis(2));
    stdout
}

#[test]
fn tree_after_a_random_kill_recovers_on_next_run() {
    let times = if is_long_run() { 200 } else { 30 };
    let (usual, mut chance) = (measure_run(), Chance::new(1));
    let (mut before, mut after, mut unfinished) = (0, 0, 0);
    for time in 0..times {
        let fixture = Fixture::new();
        let (mut child, stdin) = child::start(fixture.root());
        let _stdout = wait_for_start(&mut child);
        drop(stdin);
        std::thread::sleep(moment(&mut chance, usual));
        child.kill().unwrap();
        child.wait().unwrap();
        unfinished += usize::from(fixture.has_staging());
        match fixture.recover(&format!("kill {time}")) {
            "before" => before += 1,
            _ => after += 1,
        }
        // The next run succeeds.
        assert!(child::command(&[], fixture.root()).output().unwrap().status.success());
    }
    eprintln!("killed {times} times: {before} before, {after} after, {unfinished} with a staging directory");
}

#[test]
fn signal_leaves_a_whole_tree_and_ends_the_run() {
    let times = if is_long_run() { 100 } else { 15 };
    let (usual, mut chance) = (measure_run(), Chance::new(2));
    for time in 0..times {
        let fixture = Fixture::new();
        let (mut child, stdin) = child::start(fixture.root());
        let _stdout = wait_for_start(&mut child);
        drop(stdin);
        std::thread::sleep(moment(&mut chance, usual));
        let (signal, number) = if time % 2 == 0 { ("-TERM", 15) } else { ("-INT", 2) };
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() || (sent.success() && status.signal() == Some(number)), "{status}");
        assert!(!fixture.has_staging(), "signal {time}");
        fixture.state().unwrap();
    }
}

#[test]
fn concurrent_runs_write_once_and_report_the_conflict() {
    for _ in 0..10 {
        let fixture = Fixture::new();
        let (first, first_stdin) = child::start(fixture.root());
        let (second, second_stdin) = child::start(fixture.root());
        drop((first_stdin, second_stdin));
        let outputs = [first.wait_with_output().unwrap(), second.wait_with_output().unwrap()];
        // The second may read the tree after the first has finished: then it appends once more.
        let refused = outputs.iter().filter(|output| !output.status.success());
        for refused in refused {
            let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(stderr.contains("changed by another program"), "{stderr}");
            assert_eq!(fixture.state(), Ok("after"));
        }
        assert!(outputs.iter().any(|output| output.status.success()) && !fixture.has_staging());
    }
}
