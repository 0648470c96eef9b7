//! The report as annotations of GitHub Actions (docs.github.com, "Workflow commands": `::error file=…,line=…::…`).

use super::summary::summary;
use super::{CheckOutcome, Report, error_with_hint};
use manifest::finding::Severity;
use usr::lossless_text;

/// One annotation per finding, failed check and error, then the output and the summary.
pub(crate) fn render(report: &Report) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let level = match finding.severity {
            Severity::Advice => "notice",
            severity => severity.id(),
        };
        let message = format!("{}: {}\nhint: {}", finding.path, finding.message, report.hint(finding));
        out.push_str(&annotation(level, &location_properties(&finding.file, finding.line), &message));
    }
    for check in report.checks.iter().filter(|check| check.outcome == CheckOutcome::Fail) {
        let title = format!("{} {}", check.name, check.subject);
        let place = check.file.as_deref().map(|file| location_properties(file, check.line));
        let properties = place.into_iter().flatten().chain([("title", title)]).collect::<Vec<_>>();
        out.push_str(&annotation("error", &properties, &check.message));
    }
    if let Some(error) = &report.error {
        let title = format!("cargo xtask {}", report.command);
        out.push_str(&annotation("error", &[("title", title)], &error_with_hint(error)));
    }
    let mut plain = report.styled_output.to_string();
    for line in report.output.iter().chain(summary(report).as_ref().map(|(_, summary)| summary)) {
        plain.push_str(line);
        plain.push('\n');
    }
    // The runner looks for this anywhere in a line, also in an annotation.
    let out = lossless_text::escape_for_terminal(&out).replace("##[", "#\\#[");
    out + &escape_commands(&lossless_text::escape_for_terminal(&plain))
}

/// Escapes workflow commands: a line that begins with `::` after blanks is a command, and so is `##[` anywhere in a
/// line (actions/runner, `ActionCommand.cs`).
pub(crate) fn escape_commands(text: &str) -> String {
    let mut out = String::new();
    for line in text.replace("##[", "#\\#[").split_inclusive('\n') {
        let blanks = line.len() - line.trim_start().len();
        if line[blanks..].starts_with("::") {
            out.push_str(&format!("{}\\{}", &line[..blanks], &line[blanks..]));
        } else {
            out.push_str(line);
        }
    }
    out
}

/// The properties of a location. The default line is 1, because GitHub requires file and line.
fn location_properties(file: &str, line: Option<usize>) -> [(&'static str, String); 2] {
    [("file", file.to_owned()), ("line", line.unwrap_or(1).to_string())]
}

fn annotation(level: &str, properties: &[(&str, String)], message: &str) -> String {
    let properties: Vec<String> =
        properties.iter().map(|(name, value)| format!("{name}={}", escape_property(value))).collect();
    format!("::{level} {}::{}\n", properties.join(","), escape_data(message))
}

/// Escapes a message: line ends and the escape character (actions/toolkit, `command.ts`).
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property: also the characters that end a value.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::report::fixtures;
    use coreos_types::Error;

    #[test]
    fn findings_then_the_summary() {
        expect![[r#"
            ::error file=stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest,line=1::bin/systemctl: bin/systemctl is not in the image of 1032.0.0%0Ahint: cargo xtask verify-manifests --fix --drop-missing
            2 files changed for release 1032.0.0 (1 added, 1 renamed); 1 problem (1 error), 1 fixable with --drop-missing
        "#]]
        .assert_eq(&render(&fixtures::bump()));
    }

    /// GitHub shows an annotation in a diff by its file and line.
    #[test]
    fn finding_without_line_is_at_line_1() {
        let mut report = fixtures::bump();
        report.findings[0].line = None;
        report.checks = fixtures::smoketest().checks;
        expect![[r#"
            ::error file=stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest,line=1::bin/systemctl: bin/systemctl is not in the image of 1032.0.0%0Ahint: cargo xtask verify-manifests --fix --drop-missing
            ::error file=stage1/usr_from_coreos/manifest-amd64-usr.d/bash.manifest,line=1,title=link bin/bash::libtinfo.so.6 is not found%0Ahint: cargo xtask verify-manifests --fix
            1 of 5 checks failed (1 skipped); 1 problem (1 error), 1 fixable with --drop-missing
        "#]].assert_eq(&render(&report));
    }

    #[test]
    fn syntax_in_names_is_escaped() {
        let mut report = fixtures::bump();
        report.findings[0].file = "a,b:c%d".into();
        report.findings[0].message = "100 %\r\n::warning::x".into();
        let text = render(&report);
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(
            first,
            "::error file=a%2Cb%3Ac%25d,line=1::bin/systemctl: 100 %25%0D%0A::warning::x%0Ahint: cargo xtask verify-manifests --fix --drop-missing"
        );
    }

    #[test]
    fn output_is_never_a_command() {
        let report = Report {
            output: vec!["::set-env name=A::b".into(), " \t::x".into(), "a ##[error]b".into(), "a::b".into()],
            ..Report::default()
        };
        assert_eq!(render(&report), "\\::set-env name=A::b\n \t\\::x\na #\\#[error]b\na::b\n");
    }

    #[test]
    fn error_is_an_annotation() {
        let report = Report {
            command: "fetch".into(),
            error: Some(Error::failed("no such host").with_cause("dns").with_hint("--mirror URL")),
            ..Report::default()
        };
        assert_eq!(
            render(&report),
            "::error title=cargo xtask fetch::no such host: dns%0Ahint: --mirror URL\n"
        );
    }
}
