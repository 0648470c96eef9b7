//! `completions SHELL`: what a shell needs to complete `cargo xtask`.

use clap_complete::Shell;

use crate::flags;
use crate::report::Report;

/// Writes the completions of `shell` to the report's output.
pub fn completions(shell: Shell, report: &mut Report) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut flags::syntax(), "xtask", &mut script);
    report.output.push(String::from_utf8_lossy(&script).into_owned());
}
