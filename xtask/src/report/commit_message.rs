//! The message of the commit that `--commit` makes, in the form of rkt's own history.
//!
//! Names from an image are escaped: they can add neither a line (a trailer) nor a reference to an issue or account.

use std::fmt::Write;

use super::{FIX_VERBS, Report, short_manifest_name};
use coreos_types::Signer;
use manifest::finding::Fix;
use usr::lossless_text;

/// Subject with the vendor's name, blank line, and the fixes by kind.
pub(crate) fn commit_message(report: &Report, vendor: &str) -> String {
    let mut out = subject(report, vendor);
    out.push('\n');
    for (kind, verb) in FIX_VERBS {
        let fixes: Vec<&Fix> = report.fixes.iter().filter(|fix| fix.kind == kind).collect();
        if !fixes.is_empty() {
            let (initial, rest) = verb.split_at(1);
            let _ = write!(out, "\n{}{rest}:\n", initial.to_uppercase());
            fixes.into_iter().for_each(|fix| push_line(&mut out, fix));
        }
    }
    for image in &report.images {
        let source = escape_mentions(&image.source);
        let _ = write!(out, "\nImage of {}: {source}\n{}\n", image.board, escape_mentions(&image.digest));
        if let Some(signer) = &image.signer {
            let Signer { primary, signing_key, signed_at, .. } = signer;
            let signed_at = escape_mentions(signed_at);
            let _ = writeln!(out, "signed {signed_at} by {primary} ({} {signing_key})", signer.key_kind());
        }
    }
    lossless_text::escape_for_terminal(&out).into_owned()
}

/// `stage1: update to CoreOS 1032.0.0 and systemd v229`.
fn subject(report: &Report, vendor: &str) -> String {
    let mut out = String::from("stage1: ");
    match &report.release {
        Some((from, to)) if from != to => {
            let _ = write!(out, "update to {vendor} {to}");
        }
        Some((_, to)) => {
            let _ = write!(out, "fix the manifests for {vendor} {to}");
        }
        None => out.push_str("fix the manifests"),
    }
    if let Some((_, to)) = report.systemd.filter(|(from, to)| from != to) {
        let _ = write!(out, " and systemd {to}");
    }
    out
}

fn push_line(out: &mut String, fix: &Fix) {
    let paths: Vec<&str> = [&fix.from, &fix.to].into_iter().flatten().map(String::as_str).collect();
    let [file, paths, reason] =
        [&short_manifest_name(&fix.file), &paths.join(" -> "), &fix.reason].map(|text| escape_mentions(text));
    let _ = writeln!(out, "- {file}: {paths} ({reason})");
}

/// Text in one line, with `@`, `#` and `GH-` escaped where GitHub would read a mention or the number of an issue. Names
/// of units (`getty@tty1.service`) stay.
fn escape_mentions(text: &str) -> String {
    let text = lossless_text::escape_to_one_line(text);
    let mut out = String::new();
    let mut last = ' ';
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().next();
        let is_issue = next.is_some_and(|next| next.is_ascii_digit());
        let is_name = !last.is_alphanumeric() && next.is_some_and(char::is_alphanumeric);
        match c {
            '#' if is_issue => out.push_str("\\x23"),
            '@' if is_name => out.push_str("\\x40"),
            '-' if is_issue && out.to_ascii_lowercase().ends_with("gh") => out.push_str("\\x2d"),
            c => out.push(c),
        }
        last = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::report::fixtures;

    #[test]
    fn subject_and_fixes_by_kind() {
        expect![[r#"
            stage1: update to CoreOS 1032.0.0 and systemd v229

            Added:
            - coreos/systemd (amd64-usr): lib64/libpam.so.0 (lib64/systemd/systemd needs libpam.so.0)

            Renamed:
            - coreos/systemd (amd64-usr): lib64/libz.so.1.2.8 -> lib64/libz.so.1.2.11 (libz.so.1 points to it now)

            Image of amd64-usr: https://alpha.release.core-os.net/amd64-usr/1032.0.0/x.cpio.gz
            sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
            signed 2016-04-28T10:00:00Z by 04127D0BFABEC8871FFB2CCE50E0885593D2DCB4 (subkey DBFC52DBB963767AD20BA90807FA9ED31CB5FA26)
        "#]].assert_eq(&commit_message(&fixtures::bump(), "CoreOS"));
    }

    #[test]
    fn names_are_not_references_or_lines() {
        assert_eq!(
            escape_mentions("a\nSigned-off-by: x @octocat closes #1, o/r#2, GH-3 getty@tty1.service a#b"),
            "a\\nSigned-off-by: x \\x40octocat closes \\x231, o/r\\x232, GH\\x2d3 getty@tty1.service a#b"
        );
        let mut report = fixtures::bump();
        report.fixes[0].reason = "x\n\nCloses #1\n".into();
        assert!(!commit_message(&report, "CoreOS").contains("\nCloses"));
    }

    #[test]
    fn unchanged_systemd_is_not_in_the_subject() {
        let mut report = fixtures::bump();
        report.systemd = report.systemd.map(|(from, _)| (from, from));
        assert_eq!(subject(&report, "Flatcar"), "stage1: update to Flatcar 1032.0.0");
    }
}
