//! Each system call that writes, made to fail and made the last one, by strace(1).

use std::collections::BTreeMap;

use super::{Fixture, child};

/// What changes a file system, as the program calls it.
const WRITING: &str = "openat,write,fchmod,fchown,fsync,rename,mkdir,link,linkat,unlink,rmdir";

/// The calls of a whole run that touch the tree: name and number, as strace counts them for each thread.
fn calls() -> Vec<(String, usize)> {
    let fixture = Fixture::new();
    let log = tempfile::NamedTempFile::new().unwrap();
    let (trace, path) = (format!("trace={WRITING}"), log.path().to_str().unwrap().to_owned());
    let done =
        child::command(&["strace", "-f", "-y", "-o", &path, "-e", &trace], fixture.root()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let root = fixture.root().to_str().unwrap();
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut found = Vec::new();
    for line in std::fs::read_to_string(log.path()).unwrap().lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        let count = counts.entry((thread.to_owned(), name.to_owned())).or_default();
        *count += 1;
        let reads = name == "openat" && !arguments.contains("O_CREAT") && !arguments.contains("O_WRONLY");
        if arguments.contains(root) && !reads {
            found.push((name.to_owned(), *count));
        }
    }
    assert!(found.len() > 60, "{found:?}");
    found
}

fn run(fixture: &Fixture, inject: &str) -> (bool, String) {
    let (trace, inject) = (format!("trace={WRITING}"), format!("inject={inject}"));
    let arguments = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let done = child::command(&arguments, fixture.root()).output().unwrap();
    (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
}

#[test]
#[ignore = "needs strace"]
fn each_call_that_writes_may_fail() {
    let (mut failed, mut done) = (0, 0);
    for (name, number) in calls() {
        for error in ["ENOSPC", "EACCES", "EIO"] {
            let fixture = Fixture::new();
            let when = format!("{name} number {number} gives {error}");
            let (success, said) = run(&fixture, &format!("{name}:error={error}:when={number}"));
            let state = fixture.state().unwrap_or_else(|wrong| panic!("{when}: {wrong}\n{said}"));
            assert_eq!(state, if success { "after" } else { "before" }, "{when}\n{said}");
            assert!(success || said.contains("FAULT"), "{when}\n{said}");
            fixture.next_command(&when);
            if success { done += 1 } else { failed += 1 }
        }
    }
    eprintln!("{failed} runs failed and changed nothing, {done} went through");
}

#[test]
#[ignore = "needs strace"]
fn each_call_that_writes_may_be_the_last() {
    let (mut before, mut after) = (0, 0);
    for (name, number) in calls() {
        let fixture = Fixture::new();
        let when = format!("killed at {name} number {number}");
        let (success, _) = run(&fixture, &format!("{name}:signal=KILL:when={number}"));
        assert!(!success, "{when}");
        match fixture.next_command(&when) {
            "before" => before += 1,
            _ => after += 1,
        }
    }
    eprintln!("killed at each writing call: {before} before, {after} after");
}
