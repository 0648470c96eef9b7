//! `completions SHELL`: prints the completion script of a shell for `cargo xtask`.

use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use crate::cli;
use crate::config::Config;
use crate::report::Report;

/// Adds the script for `shell` to the report's output.
pub fn completions(shell: Shell, report: &mut Report) {
    let mut script = Vec::new();
    // An invalid configuration does not keep a shell from starting.
    let vendors = Config::read().unwrap_or_default().vendors;
    let vendors: Vec<&'static str> = vendors.iter().map(|vendor| vendor.id).collect();
    let mut command = cli::command().mut_subcommands(|command| with_vendors(command, &vendors));
    clap_complete::generate(shell, &mut command, "xtask", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let script = if shell == Shell::Bash { commands_first(&script) } else { script } + cargo_wrapper(shell);
    report.extra.insert("script", script.as_str().into());
    report.output.push(script);
}

/// Adds the known vendors to the values of `--brand`.
fn with_vendors(command: Command, vendors: &[&'static str]) -> Command {
    let has_brand = command.get_arguments().any(|arg| arg.get_id() == "brand");
    match has_brand {
        true => command.mut_arg("brand", |arg| arg.value_parser(PossibleValuesParser::new(vendors))),
        false => command,
    }
}

/// Moves commands before options in clap's script, in its lines `opts="…"`.
fn commands_first(script: &str) -> String {
    let mut out = String::with_capacity(script.len());
    for line in script.split_inclusive('\n') {
        match line
            .trim_end()
            .split_once("opts=\"")
            .and_then(|(head, words)| Some((head, words.strip_suffix('"')?)))
        {
            Some((head, words)) => {
                let (options, commands): (Vec<&str>, Vec<&str>) =
                    words.split_whitespace().partition(|word| word.starts_with('-'));
                out.push_str(&format!("{head}opts=\"{}\"\n", [commands, options].concat().join(" ")));
            }
            None => out.push_str(line),
        }
    }
    out
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
