//! Unified diffs of the files that change, with the reason of each change.
//!
//! If standard output is not a terminal, the diff is a valid patch for git and patch(1): reasons are comments before its
//! header. The diff of a file with control characters is printed as a comment. On a terminal each reason is next to its
//! line.

use std::collections::HashMap;

use super::Report;
use super::styled_text::{Style, StyledText, wrap};
use manifest::finding::Fix;
use manifest::plan::edit_plan::FileEdit;
use usr::lossless_text;

/// The diff of one file as it can be applied, after its reasons.
pub(super) fn render_patch(report: &Report, edit: &FileEdit) -> StyledText {
    let lines = lines_with_reasons(report, edit);
    let mut out = StyledText::new();
    for (line, reason) in &lines {
        if let Some(reason) = reason {
            out.push_line(Style::Faint, lossless_text::escape_to_one_line(&reason_comment(line, reason)));
        }
    }
    // Piped output may still reach a terminal, which would interpret control characters in a name. A byte-order mark at
    // the start of a line hides nothing.
    let is_unsafe = |line: &str| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let text = line.get(1..).unwrap_or(line);
        lossless_text::has_unsafe_chars(text.strip_prefix('\u{feff}').unwrap_or(text))
    };
    if lines.iter().any(|(line, _)| is_unsafe(line)) {
        let note = "# this diff has control characters and cannot be applied (--format json has it)";
        out.push_line(Style::Faint, note);
        for (line, _) in &lines {
            out.push_line(Style::Plain, format!("# {}", lossless_text::escape_to_one_line(line)));
        }
        return out;
    }
    for (number, (line, _)) in lines.iter().enumerate() {
        out.push_verbatim(line_style(number, line), format!("{line}\n"));
    }
    out
}

/// The diff of one file for a terminal of `width` columns. A reason that does not fit at the side of its line is
/// above it.
pub(super) fn render_annotated(report: &Report, edit: &FileEdit, width: usize) -> StyledText {
    let lines = lines_with_reasons(report, edit);
    let columns = |line: &str| lossless_text::escape_to_one_line(line).chars().count();
    let with_reason = lines.iter().filter(|(_, reason)| reason.is_some());
    let column = with_reason.map(|(line, _)| columns(line)).max().unwrap_or(0);
    let mut out = StyledText::new();
    for (number, (line, reason)) in lines.iter().enumerate() {
        let reason = reason.as_deref().unwrap_or_default();
        let fits = column + GAP + 2 + columns(reason) <= width;
        if !fits && !reason.is_empty() {
            out.push_line(Style::Faint, wrap(reason, Some(width), " # "));
        }
        out.push(line_style(number, line), lossless_text::escape_to_one_line(line));
        if fits && !reason.is_empty() {
            let gap = column - columns(line) + GAP;
            out.push(Style::Faint, format!("{:gap$}# {reason}", ""));
        }
        out.push_line(Style::Plain, "");
    }
    out
}

/// `# add lib64/libz.so.1: bin/ip needs libz.so.1`: no line of a comment looks like one of a diff.
fn reason_comment(line: &str, reason: &str) -> String {
    let line = line.get(1..).unwrap_or_default().trim_end_matches('\r');
    match reason.split_once(": ") {
        _ if line.is_empty() => format!("# {reason}"),
        Some((kind, reason)) if !kind.contains(' ') => format!("# {kind} {line}: {reason}"),
        _ => format!("# {line}: {reason}"),
    }
}

/// `---` and `+++`.
const HEADER: usize = 2;
/// Columns between a line and its reason.
const GAP: usize = 4;

/// The style of a line of a diff, by its number from 0.
pub(super) fn line_style(number: usize, line: &str) -> Style {
    match line.as_bytes().first() {
        _ if number < HEADER => Style::Strong,
        Some(b'+') => Style::Added,
        Some(b'-') => Style::Removed,
        Some(b'@') => Style::Hunk,
        _ => Style::Plain,
    }
}

/// The lines of the diff of one file, each with the reason of its change where that is known.
fn lines_with_reasons(report: &Report, edit: &FileEdit) -> Vec<(String, Option<String>)> {
    let diff = edit.diff();
    let lines: Vec<&str> = diff.split_terminator('\n').collect();
    // A line of the file may end in CR, which is not part of the path.
    let mut lines_by_text = HashMap::new();
    for line in &lines {
        lines_by_text.entry(line.strip_suffix('\r').unwrap_or(line)).or_insert(*line);
    }
    let mut reasons = HashMap::new();
    for fix in report.fixes.iter().filter(|fix| fix.file == edit.path) {
        if let Some(line) = changed_line(fix, &lines_by_text) {
            reasons.entry(line).or_insert_with(|| format!("{}: {}", fix.kind, fix.reason));
        }
    }
    let reason = |line: &str| match reasons.is_empty() {
        // Every changed line of a manifest has its fix: what changes without one is coreos-common.mk.
        true => assignment_reason(report, line),
        false => reasons.get(line).cloned(),
    };
    let with_reason = |(number, line): (usize, &&str)| {
        let reason = if number < HEADER { None } else { reason(line) };
        ((*line).to_owned(), reason)
    };
    lines.iter().enumerate().map(with_reason).collect()
}

/// The line that carries a fix's reason: the new one where the diff shows it, else the old one.
fn changed_line<'d>(fix: &Fix, lines_by_text: &HashMap<&'d str, &'d str>) -> Option<&'d str> {
    let new = fix.to.as_ref().map(|to| format!("+{to}"));
    let old = fix.from.as_ref().map(|from| format!("-{from}"));
    [new, old].into_iter().flatten().find_map(|text| lines_by_text.get(text.as_str()).copied())
}

/// Why a line of coreos-common.mk gets its new value.
fn assignment_reason(report: &Report, line: &str) -> Option<String> {
    let (name, _) =
        line.strip_prefix('+')?.split_once(|c: char| c == ':' || c == '=' || c.is_whitespace())?;
    let (_, to) = report.release.as_ref()?;
    match name {
        "CCN_SYSTEMD_VERSION" => Some(format!("systemd version in the image of {to}")),
        "CCN_IMG_RELEASE" => Some(match report.channel {
            Some(channel) => format!("requested release ({channel} channel)"),
            None => "requested release".to_owned(),
        }),
        "CCN_IMG_URL" => Some(format!("where release {to} was found")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::report::fixtures;

    fn terminal(width: usize) -> String {
        let report = fixtures::bump();
        report.plan.edits.iter().map(|edit| render_annotated(&report, edit, width).to_string()).collect()
    }

    #[test]
    fn short_reason_is_next_to_its_line() {
        expect![[r#"
            --- a/stage1/usr_from_coreos/coreos-common.mk
            +++ b/stage1/usr_from_coreos/coreos-common.mk
            @@ -1,2 +1,2 @@
            -CCN_SYSTEMD_VERSION := v225
            -CCN_IMG_RELEASE := 991.0.0
            +CCN_SYSTEMD_VERSION := v229    # systemd version in the image of 1032.0.0
            +CCN_IMG_RELEASE := 1032.0.0    # requested release (alpha channel)
            --- a/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest
            +++ b/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest
            @@ -1,3 +1,4 @@
             bin/systemctl
             lib64/libmount.so.1
            -lib64/libz.so.1.2.8
            +lib64/libpam.so.0       # add: lib64/systemd/systemd needs libpam.so.0
            +lib64/libz.so.1.2.11    # rename: libz.so.1 points to it now
        "#]]
        .assert_eq(&terminal(80));
    }

    #[test]
    fn reason_is_above_on_narrow_terminal() {
        let text = terminal(70);
        assert!(
            text.contains("\n # systemd version in the image of 1032.0.0\n+CCN_SYSTEMD_VERSION := v229\n"),
            "{text}"
        );
        assert!(text.contains("+lib64/libz.so.1.2.11    # rename: libz.so.1 points to it now\n"), "{text}");
    }

    #[test]
    fn diff_with_control_characters_is_a_comment() {
        let report = fixtures::bump();
        for line in ["bin/\u{1b}[2K", "bin/a\rb", "bin/\u{202e}", "bin/\u{feff}"] {
            let mut edit = report.plan.edits[1].clone();
            edit.after.extend(format!("{line}\n").bytes());
            let text = render_patch(&report, &edit).to_string();
            assert!(text.lines().all(|line| line.starts_with("# ")), "{text}");
            assert!(!lossless_text::has_unsafe_chars(&text), "{text}");
        }
    }

    #[test]
    fn crlf_and_non_utf8_bytes_are_verbatim() {
        let report = fixtures::bump();
        let mut edit = report.plan.edits[1].clone();
        edit.after.extend(b"bin/\xe9\r\n");
        let bytes: Vec<u8> =
            render_patch(&report, &edit).pieces().flat_map(|(_, piece)| piece.into_owned()).collect();
        assert!(bytes.windows(8).any(|part| part.starts_with(b"+bin/\xe9\r\n")));
    }

    #[test]
    fn applicable_diff_has_reasons_before_the_header() {
        let report = fixtures::bump();
        expect![[r#"
            # add lib64/libpam.so.0: lib64/systemd/systemd needs libpam.so.0
            # rename lib64/libz.so.1.2.11: libz.so.1 points to it now
            --- a/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest
            +++ b/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest
            @@ -1,3 +1,4 @@
             bin/systemctl
             lib64/libmount.so.1
            -lib64/libz.so.1.2.8
            +lib64/libpam.so.0
            +lib64/libz.so.1.2.11
        "#]]
        .assert_eq(&render_patch(&report, &report.plan.edits[1]).to_string());
    }
}
