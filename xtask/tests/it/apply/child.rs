//! The writing process.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::{Fixture, plan_for, tree};

/// Environment variable with the tree to write to. A process that has it is a child of another test.
const TREE: &str = "XTASK_TEST_TREE";

/// In a child process: waits for the end of standard input, then writes. Otherwise starts such a child.
#[test]
fn child_writes_the_plan() {
    if let Some(root) = std::env::var_os(TREE) {
        return write(Path::new(&root));
    }
    let fixture = Fixture::new();
    let output = command(&[], fixture.root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fixture.state(), Ok("after"));
}

fn write(root: &Path) {
    xtask::signals::install_handler().unwrap();
    // strace counts calls per thread: calls of libtest must not have the number of a call of this test.
    for _ in 0..64 {
        File::create("/dev/null").unwrap().write_all(b".").unwrap();
    }
    let plan = plan_for(root);
    let mut byte = [0];
    let _start_signal = std::io::stdin().read(&mut byte);
    if let Err(error) = xtask::repo::transaction::apply(&tree(root), &plan) {
        panic!("WRITE FAILED {error}");
    }
}

/// The command that runs [`child_writes_the_plan`] on `root`, under `wrapper` if there is one.
pub(super) fn command(wrapper: &[&str], root: &Path) -> Command {
    let executable = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(&executable),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&executable);
            command
        }
    };
    command.args(["--exact", "apply::child::child_writes_the_plan", "--nocapture", "--test-threads=1"]);
    command.env(TREE, root).env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts the child, which writes when the pipe is closed.
pub(super) fn start(root: &Path) -> (Child, ChildStdin) {
    let mut child = command(&[], root).spawn().unwrap();
    let go = child.stdin.take().unwrap();
    (child, go)
}
