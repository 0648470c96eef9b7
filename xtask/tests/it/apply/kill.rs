//! Ended at a moment that nobody chose.

use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command};
use std::time::{Duration, Instant};

use super::{Fixture, child};
use crate::chance::Chance;
use crate::e2e::is_long_run;

/// A moment within the usual time of a run.
fn moment(chance: &mut Chance, usual: Duration) -> Duration {
    usual.mul_f64(f64::from(chance.next()) / f64::from(u32::MAX))
}

/// How long a run takes from the moment it is let go.
fn usual_time() -> Duration {
    let fixture = Fixture::new();
    let (mut child, go) = child::start(fixture.root());
    let _said = wait_until_it_runs(&mut child);
    let start = Instant::now();
    drop(go);
    assert!(child.wait().unwrap().success());
    assert_eq!(fixture.state(), Ok("after"));
    start.elapsed()
}

/// libtest says so when it starts the one test; what it says later is to be kept open.
fn wait_until_it_runs(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let _first = said.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("running")));
    // From there to the read of the pipe; what comes earlier is one more random moment.
    std::thread::sleep(Duration::from_millis(2));
    said
}

#[test]
fn killed_at_random_moments_the_tree_is_whole_after_the_next_command() {
    let times = if is_long_run() { 200 } else { 30 };
    let (usual, mut chance) = (usual_time(), Chance::new(1));
    let (mut before, mut after, mut mended) = (0, 0, 0);
    for time in 0..times {
        let fixture = Fixture::new();
        let (mut child, go) = child::start(fixture.root());
        let _said = wait_until_it_runs(&mut child);
        drop(go);
        std::thread::sleep(moment(&mut chance, usual));
        child.kill().unwrap();
        child.wait().unwrap();
        mended += usize::from(fixture.staging_is_there());
        match fixture.next_command(&format!("kill {time}")) {
            "before" => before += 1,
            _ => after += 1,
        }
        // And the next run just works.
        assert!(child::command(&[], fixture.root()).output().unwrap().status.success());
    }
    eprintln!(
        "killed {times} times: {before} before, {after} after, {mended} with a folder to clear or carry through"
    );
}

#[test]
fn a_signal_leaves_the_tree_whole_at_once_and_ends_the_run() {
    let times = if is_long_run() { 100 } else { 15 };
    let (usual, mut chance) = (usual_time(), Chance::new(2));
    for time in 0..times {
        let fixture = Fixture::new();
        let (mut child, go) = child::start(fixture.root());
        let _said = wait_until_it_runs(&mut child);
        drop(go);
        std::thread::sleep(moment(&mut chance, usual));
        let (signal, number) = if time % 2 == 0 { ("-TERM", 15) } else { ("-INT", 2) };
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() || (sent.success() && status.signal() == Some(number)), "{status}");
        assert!(!fixture.staging_is_there(), "signal {time}");
        fixture.state().unwrap();
    }
}

#[test]
fn of_two_processes_at_once_one_writes_and_the_other_says_why_not() {
    for _ in 0..10 {
        let fixture = Fixture::new();
        let (first, go_first) = child::start(fixture.root());
        let (second, go_second) = child::start(fixture.root());
        drop((go_first, go_second));
        let done = [first.wait_with_output().unwrap(), second.wait_with_output().unwrap()];
        // The second may have read the tree when the first was through: then it appends once more.
        let refused = done.iter().filter(|done| !done.status.success());
        for refused in refused {
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(said.contains("changed by someone else"), "{said}");
            assert_eq!(fixture.state(), Ok("after"));
        }
        assert!(done.iter().any(|done| done.status.success()) && !fixture.staging_is_there());
    }
}
