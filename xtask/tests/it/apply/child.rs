//! The process that writes.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::{plan_of, tree};

/// The tree to write to; without it the test below is none.
const TREE: &str = "XTASK_TEST_TREE";

/// Waits for a byte, so that its parent can choose the moment, then writes.
#[test]
fn writes() {
    let Some(root) = std::env::var_os(TREE) else { return };
    xtask::signals::watch().unwrap();
    // strace counts the calls of each thread: none of libtest's shall have the number of one of ours.
    for _ in 0..64 {
        File::create("/dev/null").unwrap().write_all(b".").unwrap();
    }
    let plan = plan_of(Path::new(&root));
    let mut byte = [0];
    let _until_told = std::io::stdin().read(&mut byte);
    if let Err(fault) = xtask::repo::transaction::apply(&tree(Path::new(&root)), &plan) {
        panic!("FAULT {fault}");
    }
}

/// The command that runs [`writes`], under `wrapper` if there is one.
pub(super) fn command(wrapper: &[&str], root: &Path) -> Command {
    let me = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(&me),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&me);
            command
        }
    };
    command.args(["--exact", "apply::child::writes", "--nocapture", "--test-threads=1"]);
    command.env(TREE, root).env("RUST_BACKTRACE", "0").env_remove("XTASK_E2E");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts it; it writes when the pipe is closed.
pub(super) fn start(root: &Path) -> (Child, ChildStdin) {
    let mut child = command(&[], root).spawn().unwrap();
    let go = child.stdin.take().unwrap();
    (child, go)
}
