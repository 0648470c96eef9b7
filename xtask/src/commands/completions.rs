//! `completions SHELL`: prints the completion script of a shell for `cargo xtask`.

use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use crate::cli;
use crate::config::Config;
use crate::report::Report;
use coreos_types::{Board, Channel};

/// Adds the script for `shell` to the report's output.
pub(crate) fn completions(shell: Shell, report: &mut Report) {
    let mut script = Vec::new();
    // An invalid configuration does not keep a shell from starting.
    let vendors = Config::read().unwrap_or_default().vendors;
    let known: [(&str, Vec<&'static str>); 3] = [
        ("brand", vendors.iter().map(|vendor| vendor.id).collect()),
        ("channel", Channel::ALL.map(Channel::id).to_vec()),
        ("boards", Board::ALL.map(Board::id).to_vec()),
    ];
    // Other values than the known ones may be valid too.
    let with_known_values = |command: Command, (argument, values): &(&str, Vec<&'static str>)| {
        let has_argument = command.get_arguments().any(|known| known.get_id() == argument);
        let parser = PossibleValuesParser::new(values);
        if has_argument { command.mut_arg(argument, |arg| arg.value_parser(parser)) } else { command }
    };
    let mut command =
        cli::clap_command().mut_subcommands(|command| known.iter().fold(command, with_known_values));
    clap_complete::generate(shell, &mut command, "xtask", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let script = if shell == Shell::Bash { commands_first(&script) } else { script } + cargo_wrapper(shell);
    report.extra.insert("script", script.as_str().into());
    report.output.push(script);
}

/// Moves commands before options in clap's script, in its lines `opts="…"`.
fn commands_first(script: &str) -> String {
    let reorder = |line: &str| {
        let words = line.trim_end().split_once("opts=\"");
        let Some((head, words)) = words.and_then(|(head, words)| Some((head, words.strip_suffix('"')?)))
        else {
            return line.to_owned();
        };
        let (options, commands): (Vec<&str>, Vec<&str>) =
            words.split_whitespace().partition(|word| word.starts_with('-'));
        format!("{head}opts=\"{}\"\n", [commands, options].concat().join(" "))
    };
    script.split_inclusive('\n').map(reorder).collect()
}

/// The script that passes the words of `cargo xtask …` to the completions of `xtask`, and others to cargo's own.
fn cargo_wrapper(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("completions/cargo.bash"),
        Shell::Zsh => include_str!("completions/cargo.zsh"),
        Shell::Fish => include_str!("completions/cargo.fish"),
        _ => "",
    }
}
