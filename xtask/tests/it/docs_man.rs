//! Comparison of the manual page `docs/cargo-xtask.1` (man(7)) with the help; `UPDATE_EXPECT=1` updates the page.

use clap::{Arg, Command};
use expect_test::expect_file;
use xtask::cli::clap_command;

#[test]
fn manual_page_matches_the_help() {
    expect_file!["../../../docs/cargo-xtask.1"].assert_eq(&page());
}

/// The commands by name.
pub(crate) fn commands() -> Vec<String> {
    clap_command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

fn page() -> String {
    let mut command = clap_command();
    command.build();
    let about = command.get_about().unwrap().to_string();
    let mut out = String::from(
        ".\\\" Made by xtask/tests/it/docs_man.rs from the command line itself; do not edit.\n.TH CARGO\\-XTASK 1\n",
    );
    out.push_str(&format!(".SH NAME\ncargo\\-xtask \\- {}\n", roff(&lowercase_first(&about))));
    out.push_str(".SH SYNOPSIS\n.B cargo xtask\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]\n");
    out.push_str(DESCRIPTION);
    out.push_str(".SH OPTIONS\n");
    command.get_arguments().filter(|arg| is_shown(arg)).for_each(|arg| out.push_str(&argument(arg)));
    out.push_str(".SH COMMANDS\n");
    let commands: Vec<&Command> =
        command.get_subcommands().filter(|command| command.get_name() != "help").collect();
    commands.iter().for_each(|command| out.push_str(&render_command(command, "")));
    out.push_str(EXIT_STATUS);
    out.push_str(ENVIRONMENT);
    out.push_str(FILES);
    out.push_str(".SH EXAMPLES\n.EX\n");
    for command in commands {
        let examples = command.get_after_long_help().or(command.get_after_help());
        let examples = examples.map(ToString::to_string).unwrap_or_default();
        let lines = examples.lines().filter_map(|line| line.strip_prefix("  "));
        lines.for_each(|line| out.push_str(&format!("{}\n", roff(line))));
    }
    out.push_str(
        ".EE\n.SH SEE ALSO\n.BR cargo (1),\n.BR git\\-apply (1),\n.BR ld.so (8),\n.BR systemd\\-nspawn (1)\n",
    );
    out
}

const DESCRIPTION: &str = "\
.SH DESCRIPTION
An rkt source tree pins an operating system image of CoreOS or Flatcar, and lists in manifests which of its files go
into stage1. This program moves the tree to another release, checks the manifests against the image, and tests what is
built from it. An image is used only after its signature is verified.
.PP
Standard output carries the result, standard error progress and errors. Diffs that are printed off a terminal can be
piped to git\\-apply(1) or patch(1) with \\-p1.
";

const EXIT_STATUS: &str = "\
.SH EXIT STATUS
.TP
.B 0
Success.
.TP
.B 1
Problems were found, or \\-\\-check found that something would change.
.TP
.B 2
Error: usage, network, I/O, a missing tool, a malformed file.
.TP
.B 3
The image or its signature is not trusted, or is not of the requested release or board.
.PP
Changes are atomic: all files or none.
";

const ENVIRONMENT: &str = "\
.SH ENVIRONMENT
.TP
.B XTASK_MIRROR
As \\-\\-mirror, for every command.
.TP
.B XTASK_SIGNING_KEY
As \\-\\-signing\\-key, for every command.
.TP
.B XTASK_ALLOW_HOSTS\\fR, \\fBXTASK_TRUST_TREE
As \\-\\-allow\\-host, separated by commas, and as \\-\\-trust\\-tree.
.TP
.B XTASK_CONFIGURE\\fR, \\fBXTASK_MAKE
As \\-\\-configure and \\-\\-make of smoketest, split as a shell splits words.
.TP
.B XTASK_CACHE_EXPIRY
If \\(lqoff\\(rq, images in the cache do not expire.
.TP
.B XTASK_CACHE_DIR
Cache of images, keys and the last run; else $XDG_CACHE_HOME/coreos\\-xtask, else ~/.cache/coreos\\-xtask.
.TP
.B HTTPS_PROXY\\fR, \\fBALL_PROXY\\fR, \\fBNO_PROXY
Proxies, as in curl(1).
.TP
.B NO_COLOR\\fR, \\fBCI
No colours; with CI no progress bars.
";

const FILES: &str = "\
.SH FILES
.TP
.I stage1/usr_from_coreos/coreos\\-common.mk
The pinned release, systemd version and URL.
.TP
.I stage1/usr_from_FLAVOR/manifest\\-BOARD.d/NAME.manifest
Paths of the image that go into a flavor, one per line, relative to /usr.
.TP
.I Cargo.toml
Settings of the tool's own workspace, in [workspace.metadata.stage1].
";

/// A command and its subcommands. `parent` is the name of the command around it, with a blank.
fn render_command(command: &Command, parent: &str) -> String {
    let name = format!("{parent}{}", command.get_name());
    let mut out = format!(".SS \"{}", roff(&name));
    for arg in command.get_positionals() {
        let name = value_name(arg);
        out.push_str(&if arg.is_required_set() { format!(" {name}") } else { format!(" [{name}]") });
    }
    let about = command.get_long_about().or(command.get_about()).unwrap().to_string();
    out.push_str(&format!("\"\n{}\n", render_paragraphs(&about).replace(".IP", ".PP")));
    for arg in command.get_arguments().filter(|arg| is_shown(arg) && !arg.is_global_set()) {
        out.push_str(&argument(arg));
    }
    let subcommands = command.get_subcommands().filter(|command| command.get_name() != "help");
    for subcommand in subcommands {
        out.push_str(&render_command(subcommand, &format!("{name} ")));
    }
    out
}

fn is_shown(arg: &Arg) -> bool {
    !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version")
}

fn value_name(arg: &Arg) -> String {
    let name = arg.get_value_names().map_or_else(|| arg.get_id().to_string(), |names| names[0].to_string());
    roff(&name)
}

fn argument(arg: &Arg) -> String {
    let takes_values = arg.get_action().takes_values();
    let value = if takes_values { format!(" \\fI{}\\fR", value_name(arg)) } else { String::new() };
    let names: Vec<String> = arg
        .get_short()
        .map(|short| format!("\\fB\\-{short}\\fR"))
        .into_iter()
        .chain(arg.get_long().map(|long| format!("\\fB\\-\\-{}\\fR", roff(long))))
        .collect();
    let head =
        if names.is_empty() { value.trim().to_owned() } else { format!("{}{value}", names.join(", ")) };
    let mut help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let possible = arg.get_possible_values();
    if takes_values && !possible.is_empty() && !arg.is_hide_possible_values_set() {
        let names: Vec<&str> = possible.iter().map(|value| value.get_name()).collect();
        help.push_str(&format!(": {}", names.join(", ")));
    }
    let default =
        arg.get_default_values().first().filter(|_| takes_values && !arg.is_hide_default_value_set());
    if let Some(default) = default {
        help = format!("{} [default: {}]", help.trim_end_matches('.'), default.to_string_lossy());
    }
    format!(".TP\n{head}\n{}\n", render_paragraphs(&help))
}

/// Paragraphs below one heading or option, with a full stop at the end.
fn render_paragraphs(text: &str) -> String {
    let text = if text.ends_with('.') { text.to_owned() } else { format!("{text}.") };
    roff(&text).replace("\n\n", "\n.IP\n")
}

fn lowercase_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Text escaped for roff(7): no line is a request, and hyphens are literal.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() })
        .collect::<Vec<_>>()
        .join("\n")
}
