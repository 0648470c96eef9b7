//! Error injection with strace(1): each writing system call fails, or is the last one.

use super::{Fixture, child, parse_calls};

/// System calls of the program that change a filesystem.
const WRITING: &str = "openat,write,fchmod,fchown,fsync,rename,mkdir,link,linkat,unlink,rmdir";

/// The calls of a whole run that change the tree: name, and number in its thread as counted by strace.
fn calls() -> Vec<(String, usize)> {
    let fixture = Fixture::new();
    let log = tempfile::NamedTempFile::new().unwrap();
    let (trace, path) = (format!("trace={WRITING}"), log.path().to_str().unwrap().to_owned());
    let output =
        child::command(&["strace", "-f", "-y", "-o", &path, "-e", &trace], fixture.root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let root = fixture.root().to_str().unwrap();
    let found = parse_calls(log.path(), |name, arguments| {
        let reads = name == "openat" && !arguments.contains("O_CREAT") && !arguments.contains("O_WRONLY");
        arguments.contains(root) && !reads
    });
    assert!(found.len() > 60, "{found:?}");
    found
}

fn run(fixture: &Fixture, inject: &str) -> (bool, String) {
    let (trace, inject) = (format!("trace={WRITING}"), format!("inject={inject}"));
    let arguments = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let output = child::command(&arguments, fixture.root()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
#[ignore = "needs strace"]
fn failed_system_call_leaves_a_whole_tree() {
    let (mut failed, mut succeeded) = (0, 0);
    for (name, number) in calls() {
        for error in ["ENOSPC", "EACCES", "EIO"] {
            let fixture = Fixture::new();
            let when = format!("{name} number {number} gives {error}");
            let (success, stderr) = run(&fixture, &format!("{name}:error={error}:when={number}"));
            let state = fixture.state().unwrap_or_else(|wrong| panic!("{when}: {wrong}\n{stderr}"));
            assert_eq!(state, if success { "after" } else { "before" }, "{when}\n{stderr}");
            assert!(success || stderr.contains("WRITE FAILED"), "{when}\n{stderr}");
            fixture.recover(&when);
            if success { succeeded += 1 } else { failed += 1 }
        }
    }
    eprintln!("{failed} runs failed and changed nothing, {succeeded} succeeded");
}

#[test]
#[ignore = "needs strace"]
fn kill_at_each_system_call_leaves_a_whole_tree() {
    let (mut before, mut after) = (0, 0);
    for (name, number) in calls() {
        let fixture = Fixture::new();
        let when = format!("killed at {name} number {number}");
        let (success, _) = run(&fixture, &format!("{name}:signal=KILL:when={number}"));
        assert!(!success, "{when}");
        match fixture.recover(&when) {
            "before" => before += 1,
            _ => after += 1,
        }
    }
    eprintln!("killed at each writing call: {before} before, {after} after");
}
