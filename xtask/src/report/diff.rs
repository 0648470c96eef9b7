//! A unified diff with the reason of each change at the line's side.

use super::Report;
use super::styled_text::{Style, StyledText};
use manifest::finding::Fix;
use manifest::plan::file_edits::FileEdit;
use usr::lossless_text;

/// The diff of one file. Its `+` and `-` lines end in `    # reason`; without those it is what git shows.
pub(super) fn annotated(report: &Report, edit: &FileEdit) -> StyledText {
    let diff = edit.diff();
    // As `Styled` will have it, so that columns fit; a fix is compared in the same form.
    let diff = lossless_text::readable(&diff);
    let lines: Vec<&str> = diff.lines().collect();
    let reasons = Reasons::of(report, edit, &lines);
    let column = lines
        .iter()
        .skip(HEADER)
        .filter(|line| reasons.for_line(line).is_some())
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    let mut out = StyledText::new();
    for (number, line) in lines.iter().enumerate() {
        let tone = if number < HEADER { Style::Strong } else { tone(line) };
        match reasons.for_line(line).filter(|_| number >= HEADER) {
            Some(reason) => {
                out.push(tone, *line);
                let gap = " ".repeat(column - line.chars().count() + 4);
                out.line(Style::Faint, format!("{gap}# {reason}"));
            }
            None => out.line(tone, *line),
        }
    }
    out
}

/// `---` and `+++`.
const HEADER: usize = 2;

fn tone(line: &str) -> Style {
    match line.as_bytes().first() {
        Some(b'+') => Style::Added,
        Some(b'-') => Style::Removed,
        Some(b'@') => Style::Hunk,
        _ => Style::Plain,
    }
}

/// Why lines of one file change: the diff line with its sign, and the reason.
struct Reasons(Vec<(String, String)>);

impl Reasons {
    fn of(report: &Report, edit: &FileEdit, lines: &[&str]) -> Reasons {
        let mut found: Vec<(String, String)> = report
            .fixes
            .iter()
            .filter(|fix| fix.file == edit.path)
            .filter_map(|fix| Some((side(fix, lines)?, format!("{}: {}", fix.kind, fix.because))))
            .collect();
        // Every changed line of a manifest has its fix: what changes without one is coreos-common.mk.
        if found.is_empty() {
            found.extend(lines.iter().filter_map(|line| Some((line.to_string(), assignment(report, line)?))));
        }
        Reasons(found)
    }

    fn for_line(&self, line: &str) -> Option<&str> {
        self.0.iter().find(|(changed, _)| changed == line).map(|(_, reason)| reason.as_str())
    }
}

/// The line that carries a fix's reason: the new one where the diff shows it, else the old one.
fn side(fix: &Fix, lines: &[&str]) -> Option<String> {
    let new = fix.to.as_ref().map(|to| format!("+{}", lossless_text::readable(to)));
    let old = fix.from.as_ref().map(|from| format!("-{}", lossless_text::readable(from)));
    [new, old].into_iter().flatten().find(|line| lines.contains(&line.as_str()))
}

/// Why a line of coreos-common.mk gets its new value.
fn assignment(report: &Report, line: &str) -> Option<String> {
    let (name, _) =
        line.strip_prefix('+')?.split_once(|c: char| c == ':' || c == '=' || c.is_whitespace())?;
    let (_, to) = report.release.as_ref()?;
    match name {
        "CCN_SYSTEMD_VERSION" => Some(format!("the systemd of the image of {to}")),
        "CCN_IMG_RELEASE" => Some(match report.channel {
            Some(channel) => format!("the release that was asked for, on the {channel} channel"),
            None => "the release that was asked for".to_owned(),
        }),
        "CCN_IMG_URL" => Some(format!("where {to} was found")),
        _ => None,
    }
}
