//! How help looks: lines of at most 80 columns, styles.

use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory};

use super::Cli;
use crate::report::styled_text::{Style, StyledText, wrap};

/// Columns of help.
const WIDTH: usize = 80;
/// Columns before the text of an option in long help.
const INDENT: usize = 10;

/// The commands and options; completions and the manual page are made from it too.
pub fn clap_command() -> Command {
    lay_out(Cli::command())
}

/// Fills the paragraphs of long help. clap can do it with a crate for the width of the terminal, which is not needed.
fn lay_out(command: Command) -> Command {
    let filled = |text: Option<&StyledStr>| text.map(|text| fill(&text.to_string(), WIDTH));
    let (about, after) = (filled(command.get_long_about()), filled(command.get_after_long_help()));
    let command = about.into_iter().fold(command, Command::long_about);
    let command = after.into_iter().fold(command, Command::after_long_help);
    command.mut_args(lay_out_arg).mut_subcommands(lay_out)
}

fn lay_out_arg(arg: Arg) -> Arg {
    match arg.get_long_help().map(|text| fill(&text.to_string(), WIDTH - INDENT)) {
        Some(help) => arg.long_help(help),
        None => arg,
    }
}

/// Breaks the lines of a text at blanks.
fn fill(text: &str, width: usize) -> String {
    let fill_line = |line: &str| {
        if line.chars().count() <= width { line.to_owned() } else { wrap(line, Some(width), "") }
    };
    text.lines().map(fill_line).collect::<Vec<_>>().join("\n")
}

/// A help text or usage error with styles: headings, names of options and commands, `error:`. clap's own colours cost
/// six crates.
pub fn style_help(text: &str) -> StyledText {
    let mut out = StyledText::new();
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let indent = content.len() - content.trim_start().len();
        let (style, end) =
            if let Some(end) = ["error:", "Usage:"].iter().find(|word| content.starts_with(**word)) {
                (if *end == "error:" { Style::Error } else { Style::Strong }, end.len())
            } else if indent == 0 && content.ends_with(':') {
                (Style::Strong, content.len())
            } else if content.trim_start().starts_with(['-', '<', '[']) || is_command_entry(content) {
                // The name ends where the column of the texts begins.
                (Style::Advice, content[indent..].find("  ").map_or(content.len(), |at| indent + at))
            } else {
                (Style::Plain, 0)
            };
        out.push(style, &line[..end]);
        out.push(Style::Plain, &line[end..]);
    }
    out
}

/// Whether a line lists a command: `  fetch             Download …`.
fn is_command_entry(line: &str) -> bool {
    line.strip_prefix("  ")
        .and_then(|line| line.split_once("  "))
        .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_has_styles() {
        let text = "Move it\n\nUsage: x [OPTIONS]\n\nOptions:\n  -h, --help  Print\n      --a <B>  C  d\n";
        assert_eq!(style_help(text).to_string(), text);
        let pieces: Vec<(Style, String)> = style_help(text)
            .pieces()
            .filter(|(style, _)| *style != Style::Plain)
            .map(|(style, text)| (style, String::from_utf8_lossy(&text).into_owned()))
            .collect();
        let strong = |text: &str| (Style::Strong, text.to_owned());
        let option = |text: &str| (Style::Advice, text.to_owned());
        assert_eq!(
            pieces,
            [strong("Usage:"), strong("Options:"), option("  -h, --help"), option("      --a <B>")]
        );
        assert!(
            is_command_entry("  fetch     Download")
                && !is_command_entry("  cargo xtask fetch")
                && !is_command_entry("fetch  x")
        );
    }

    #[test]
    fn fill_breaks_at_blanks() {
        assert_eq!(fill("aa bb cc\n\ndd", 5), "aa bb\ncc\n\ndd");
        assert_eq!(fill("aaaaaaa b", 5), "aaaaaaa\nb");
    }

    #[test]
    fn help_fits_80_columns() {
        let names: Vec<String> =
            clap_command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        let lines = names.iter().flat_map(|name| [vec![name.as_str(), "-h"], vec!["help", name.as_str()]]);
        let mut wide = Vec::new();
        for words in lines.chain([vec!["-h"], vec!["--help"]]) {
            let arguments = [&["xtask"], &words[..]].concat();
            let help = clap_command().try_get_matches_from(arguments).unwrap_err().to_string();
            let lines = help.lines().filter(|line| line.chars().count() > WIDTH);
            wide.extend(lines.map(|line| format!("{}: {line}", words.join(" "))));
        }
        assert!(wide.is_empty(), "{wide:#?}");
    }
}
