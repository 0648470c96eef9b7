//! The report for a person at a terminal: the diff with its reasons, what is left, one line that sums it up.

use super::diff::annotated;
use super::styled_text::{Style, StyledText};
use super::summary::summary;
use super::{Check, Outcome, Report};
use coreos_types::error::Error;
use manifest::finding::{Finding, FindingKind, Severity};

/// The whole report. What stopped the work is not in it: that goes to standard error, see [`fault`].
pub fn render(report: &Report) -> StyledText {
    let mut out = StyledText::new();
    for line in &report.output {
        out.line(Style::Plain, line);
    }
    out.append(report.drawing.clone());
    for edit in &report.plan.edits {
        out.append(annotated(report, edit));
    }
    if !report.plan.is_empty() && !report.findings.is_empty() {
        out.line(Style::Plain, "");
    }
    for finding in &report.findings {
        out.append(one_finding(finding, &report.hint(finding)));
    }
    out.append(checks(&report.checks));
    if let Some((tone, line)) = summary(report) {
        if !report.plan.is_empty() || !report.findings.is_empty() || !report.checks.is_empty() {
            out.line(Style::Plain, "");
        }
        out.line(tone, line);
    }
    out
}

/// An error as it stands on standard error: message, causes, hint.
pub fn fault(fault: &Error) -> StyledText {
    let mut out = StyledText::of(Style::Error, "error: ");
    out.line(Style::Strong, &fault.message);
    for cause in &fault.causes {
        out.push(Style::Faint, "  caused by: ");
        out.line(Style::Plain, cause);
    }
    if let Some(hint) = &fault.hint {
        out.append(hint_line("  ", hint));
    }
    out
}

/// `FILE:LINE: severity[kind] PATH`, and below it why and the command that mends it.
fn one_finding(finding: &Finding, hint: &str) -> StyledText {
    let mut out = StyledText::of(Style::Strong, place(finding));
    let kind =
        if finding.kind == FindingKind::Advice { String::new() } else { format!("[{}]", finding.kind.id()) };
    out.push(tone_of(finding.severity), format!(" {}{kind}", finding.severity.id()));
    out.line(Style::Plain, format!(" {}", finding.path));
    out.line(Style::Plain, format!("    {}", finding.message));
    list(&mut out, "needed by", &finding.needed_by);
    list(&mut out, "the image has", &finding.candidates);
    out.append(hint_line("    ", hint));
    out
}

fn place(finding: &Finding) -> String {
    match finding.line {
        Some(line) => format!("{}:{line}:", finding.file),
        None => format!("{}:", finding.file),
    }
}

/// Names beyond this many say no more to a reader than their number.
const NAMES_SHOWN: usize = 4;

fn list(out: &mut StyledText, label: &str, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(NAMES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    out.line(Style::Faint, format!("    {label}: {shown}{more}"));
}

fn hint_line(indent: &str, hint: &str) -> StyledText {
    let mut out = StyledText::of(Style::Advice, format!("{indent}hint:"));
    out.line(Style::Plain, format!(" {hint}"));
    out
}

pub(super) fn tone_of(severity: Severity) -> Style {
    match severity {
        Severity::Error => Style::Error,
        Severity::Warning => Style::Warning,
        Severity::Advice => Style::Advice,
    }
}

/// Each check that did not pass, and a count of those that did, in the order they were made.
fn checks(checks: &[Check]) -> StyledText {
    let mut out = StyledText::new();
    let mut names: Vec<&str> = Vec::new();
    for check in checks {
        if !names.contains(&check.name) {
            names.push(check.name);
        }
    }
    for name in names {
        let of_name = || checks.iter().filter(|check| check.name == name);
        for check in of_name().filter(|check| check.outcome != Outcome::Pass) {
            let (tone, word) = match check.outcome {
                Outcome::Fail => (Style::Error, "FAIL"),
                _ => (Style::Warning, "skip"),
            };
            out.push(tone, word);
            out.line(Style::Plain, format!(" {name:<7} {}", check.subject));
            check.message.lines().for_each(|line| out.line(Style::Plain, format!("    {line}")));
        }
        let passed: Vec<&Check> = of_name().filter(|check| check.outcome == Outcome::Pass).collect();
        match passed.as_slice() {
            [] => {}
            [one] => passed_line(&mut out, name, &format!("{}  {}", one.subject, one.message)),
            many => passed_line(&mut out, name, &format!("{} passed", many.len())),
        }
    }
    out
}

fn passed_line(out: &mut StyledText, name: &str, what: &str) {
    out.push(Style::Good, "pass");
    out.line(Style::Plain, format!(" {name:<7} {}", what.trim_end()));
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::report::fixtures;

    #[test]
    fn a_bump_is_a_diff_with_reasons_and_one_line() {
        expect![[r#"
            --- a/stage1/usr_from_coreos/coreos-common.mk
            +++ b/stage1/usr_from_coreos/coreos-common.mk
            @@ -1,2 +1,2 @@
            -CCN_SYSTEMD_VERSION := v225
            -CCN_IMG_RELEASE := 991.0.0
            +CCN_SYSTEMD_VERSION := v229    # the systemd of the image of 1032.0.0
            +CCN_IMG_RELEASE := 1032.0.0    # the release that was asked for, on the alpha channel
            --- a/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest
            +++ b/stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest
            @@ -1,3 +1,4 @@
             bin/systemctl
             lib64/libmount.so.1
            -lib64/libz.so.1.2.8
            +lib64/libpam.so.0       # add: lib64/systemd/systemd needs libpam.so.0
            +lib64/libz.so.1.2.11    # rename: libz.so.1 points to it now

            stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest:1: error[missing] bin/systemctl
                bin/systemctl is not in the image of 1032.0.0
                needed by: a, b, c, d and 1 more
                hint: cargo xtask verify-manifests --fix --drop-missing

            2 files changed for 1032.0.0 (1 added, 1 renamed); 1 error is left for a person
        "#]]
        .assert_eq(&render(&fixtures::bump()).to_string());
    }

    #[test]
    fn a_fault_tells_message_causes_and_hint() {
        let fault_ = Error::refused("pxe.img is not trusted")
            .with_cause("signed by an unknown key")
            .with_hint("cargo xtask fetch --signing-key FILE");
        expect![[r#"
            error: pxe.img is not trusted
              caused by: signed by an unknown key
              hint: cargo xtask fetch --signing-key FILE
        "#]]
        .assert_eq(&fault(&fault_).to_string());
    }

    #[test]
    fn failed_checks_stand_alone_and_passed_ones_are_counted() {
        expect![[r#"
            pass build   3 flavors
            FAIL link    bin/bash
                libtinfo.so.6 is not found
                hint: cargo xtask verify-manifests --fix
            pass link    2 passed
            skip run     coreos
                --no-run

            1 check failed of 5 (1 skipped)
        "#]]
        .assert_eq(&render(&fixtures::smoketest()).to_string());
    }
}
