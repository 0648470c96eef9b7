//! `completions SHELL`: what a shell needs to complete `cargo xtask`.

use clap_complete::Shell;

use crate::cli;
use crate::report::Report;

/// Tells the completions of `shell` as the report's output.
pub fn completions(shell: Shell, report: &mut Report) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "xtask", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned() + behind_cargo(shell);
    report.extra.insert("script", script.as_str().into());
    report.output.push(script);
}

/// What takes the words of `cargo xtask …` to the completions of `xtask`, beside those that cargo has of its own.
fn behind_cargo(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("completions/cargo.bash"),
        Shell::Zsh => include_str!("completions/cargo.zsh"),
        Shell::Fish => include_str!("completions/cargo.fish"),
        _ => "",
    }
}
