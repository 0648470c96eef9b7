//! `docs/cargo-xtask.1` is the help of every command as a manual page (man(7)), made anew with `UPDATE_EXPECT=1`.

use clap::{Arg, Command};
use expect_test::expect_file;
use xtask::cli::command;

#[test]
fn the_manual_page_says_what_the_help_says() {
    expect_file!["../../../docs/cargo-xtask.1"].assert_eq(&page());
}

/// The commands by name.
pub(crate) fn commands() -> Vec<String> {
    command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

fn page() -> String {
    let mut command = command();
    command.build();
    let mut out = String::from(
        ".\\\" Made by xtask/tests/it/docs_man.rs from the command line itself; do not edit.\n.TH CARGO\\-XTASK 1\n",
    );
    out.push_str(&format!(
        ".SH NAME\ncargo\\-xtask \\- {}\n",
        roff(&lower(&command.get_about().unwrap().to_string()))
    ));
    out.push_str(".SH SYNOPSIS\n.B cargo xtask\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]\n");
    out.push_str(".SH OPTIONS\n");
    command.get_arguments().filter(|arg| is_shown(arg)).for_each(|arg| out.push_str(&argument(arg)));
    out.push_str(".SH COMMANDS\n");
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        out.push_str(&one(command));
    }
    out.push_str(&format!(".SH EXIT STATUS\n{}\n", roff(&command.get_after_help().unwrap().to_string())));
    out.push_str(ENVIRONMENT);
    out
}

const ENVIRONMENT: &str = "\
.SH ENVIRONMENT
.TP
.B XTASK_MIRROR
As \\-\\-mirror, for every command.
.TP
.B XTASK_SIGNING_KEY
As \\-\\-signing\\-key, for every command.
.TP
.B XTASK_CACHE_DIR
Where images, signatures and the last run are kept; else $XDG_CACHE_HOME/coreos\\-xtask, else ~/.cache/coreos\\-xtask.
.TP
.B NO_COLOR\\fR, \\fBCI
No colour and no progress bars.
";

fn one(command: &Command) -> String {
    let mut out = format!(".SS \"{}", roff(command.get_name()));
    for arg in command.get_positionals() {
        let name =
            arg.get_value_names().map_or_else(|| arg.get_id().to_string(), |names| names[0].to_string());
        out.push_str(&if arg.is_required_set() { format!(" {name}") } else { format!(" [{name}]") });
    }
    out.push_str(&format!("\"\n{}.\n", roff(&command.get_about().unwrap().to_string())));
    for arg in command.get_arguments().filter(|arg| is_shown(arg) && !arg.is_global_set()) {
        out.push_str(&argument(arg));
    }
    if let Some(after) = command.get_after_help() {
        let after = after.to_string();
        let lines: Vec<String> = after.lines().map(|line| roff(line.trim())).collect();
        out.push_str(&format!(".PP\n{}\n.EX\n{}\n.EE\n", lines[0], lines[1..].join("\n")));
    }
    out
}

fn is_shown(arg: &Arg) -> bool {
    !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version")
}

fn argument(arg: &Arg) -> String {
    let value = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .map(|names| format!(" \\fI{}\\fR", roff(&names[0])))
        .unwrap_or_default();
    let names: Vec<String> = arg
        .get_short()
        .map(|short| format!("\\fB\\-{short}\\fR"))
        .into_iter()
        .chain(arg.get_long().map(|long| format!("\\fB\\-\\-{}\\fR", roff(long))))
        .collect();
    let head =
        if names.is_empty() { value.trim().to_owned() } else { format!("{}{value}", names.join(", ")) };
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let possible: Vec<String> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if arg.get_action().takes_values() && !possible.is_empty() {
        help.push_str(&format!(": {}", possible.join(", ")));
    }
    if let Some(default) = arg.get_default_values().first().filter(|_| arg.get_action().takes_values()) {
        help.push_str(&format!(" [default: {}]", default.to_string_lossy()));
    }
    format!(".TP\n{head}\n{}.\n", roff(&help))
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Text that is no request and keeps its hyphens.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() })
        .collect::<Vec<_>>()
        .join("\n")
}
