//! The report as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"): findings and failed checks are
//! results.

use serde_json::{Value, json};

use super::source_links::percent_encode_path;
use super::{Check, CheckOutcome, Report, error_with_hint};
use manifest::finding::{Finding, FindingKind, Fix, Severity};
use manifest::plan::edit_plan::FileEdit;
use manifest::suggestion::Suggestion;
use pxe_image::Digest;
use usr::lossless_text;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The whole document: one run.
pub(crate) fn document(report: &Report) -> Value {
    let results: Vec<Value> = finding_results(report)
        .chain(failed_check_results(report))
        .chain(unwritten_edit_results(report))
        .collect();
    let rule = |(id, level, description): &(&str, &str, &str)| json!({ "id": id, "shortDescription": { "text": description }, "defaultConfiguration": { "level": level } });
    let rules: Vec<Value> = RULES.iter().map(rule).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cargo-xtask",
                "fullName": format!("cargo xtask {}", report.command).trim_end(),
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "invocations": [invocation(report)],
            "originalUriBaseIds": { ROOT: { "description": { "text": "The root of the source tree." } } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// The base of all paths.
const ROOT: &str = "SRCROOT";

/// Identifier, level and description of each rule. Findings come first, by kind.
const RULES: [(&str, &str, &str); 14] = [
    ("missing", "error", "A listed path is not in the image."),
    ("dangling", "error", "A listed symlink points to a file that is not listed, or not in the image."),
    (
        "needs-unlisted",
        "error",
        "A listed file needs a file of the image that no manifest of the flavor lists.",
    ),
    ("needs-nowhere", "error", "A listed file needs a file that is not in the image."),
    (
        "version-unsatisfied",
        "error",
        "A needed symbol version is not defined by the library that the loader finds.",
    ),
    ("wrong-machine", "error", "A listed ELF file is for another machine than the board."),
    (
        "tidy",
        "warning",
        "A malformed or redundant line, or a unit and its program listed without each other.",
    ),
    ("advice", "note", "A file that may be needed."),
    ("check-build", "error", "The build failed."),
    ("check-link", "error", "A program or library does not load with the loader of the image."),
    ("check-rootfs", "error", "The built root filesystem differs from manifests and image."),
    ("check-run", "error", "A stage1 does not boot."),
    ("check-other", "error", "A check of the smoke test failed."),
    ("would-change", "note", "A file that the command would change."),
];

fn result(rule: &str, level: &str, message: &str, file: &str, line: Option<usize>) -> Value {
    let index = RULES.iter().position(|(id, ..)| *id == rule);
    json!({
        "ruleId": rule,
        "ruleIndex": index,
        "level": level,
        "message": { "text": readable(message) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": artifact_location(file),
            "region": { "startLine": line.unwrap_or(1) },
        } }],
    })
}

fn artifact_location(file: &str) -> Value {
    json!({ "uri": percent_encode_path(file), "uriBaseId": ROOT })
}

fn readable(text: &str) -> String {
    lossless_text::escape_for_terminal(text).into_owned()
}

fn finding_results(report: &Report) -> impl Iterator<Item = Value> {
    report.all_findings().map(|(finding, accepted)| {
        let level = match finding.severity {
            Severity::Advice => "note",
            severity => severity.id(),
        };
        let hint = report.hint(finding);
        let message = format!("{}: {}\nhint: {hint}", finding.path, finding.message);
        let mut value = result(finding.kind.id(), level, &message, &finding.file, finding.line);
        value["partialFingerprints"] = json!({ "finding/v1": fingerprint(finding) });
        value["properties"] = json!({
            "board": finding.board.id(),
            "flavor": finding.flavor.as_str(),
            "path": readable(&finding.path),
            "neededBy": finding.needed_by.iter().map(|by| readable(by)).collect::<Vec<_>>(),
            "candidates": finding.candidates.iter().map(|path| readable(path)).collect::<Vec<_>>(),
            "hint": readable(&hint),
        });
        if let Some(reason) = accepted {
            value["suppressions"] =
                json!([{ "kind": "external", "status": "accepted", "justification": readable(reason) }]);
        }
        if let Some(replacement) = replacement(finding) {
            value["fixes"] = json!([{
                "description": { "text": readable(&hint) },
                "artifactChanges": [{ "artifactLocation": artifact_location(&finding.file), "replacements": [replacement] }],
            }]);
        }
        value
    })
}

/// A fingerprint that does not depend on the line, so that it is equal in different runs.
fn fingerprint(finding: &Finding) -> String {
    let parts =
        [finding.kind.id(), finding.board.id(), finding.flavor.as_str(), &finding.file, &finding.path];
    Digest::sha256(parts.join("\0").as_bytes()).hex()[..32].to_owned()
}

/// The fix of a finding, if exactly one line is to be removed or replaced.
fn replacement(finding: &Finding) -> Option<Value> {
    let line = finding.line?;
    let region = json!({ "startLine": line, "startColumn": 1, "endLine": line + 1, "endColumn": 1 });
    match (&finding.suggestion, finding.candidates.as_slice()) {
        (Suggestion::RunFixDropMissing, []) => Some(json!({ "deletedRegion": region })),
        (Suggestion::RunFix, [new]) if matches!(finding.kind, FindingKind::Missing | FindingKind::Tidy) => {
            Some(json!({
                "deletedRegion": region,
                "insertedContent": { "text": format!("{}\n", lossless_text::escape_non_utf8(new)) },
            }))
        }
        _ => None,
    }
}

fn failed_check_results(report: &Report) -> impl Iterator<Item = Value> {
    let is_failed = |check: &&Check| check.outcome == CheckOutcome::Fail;
    report.checks.iter().filter(is_failed).map(|check| {
        let rule = format!("check-{}", check.name);
        let is_known = RULES.iter().any(|(id, ..)| *id == rule);
        let rule = if is_known { &rule } else { "check-other" };
        let file = check.file.as_deref().unwrap_or(manifest::stage1_sources::COMMON_MK);
        result(rule, "error", &format!("{}: {}", check.subject, check.message), file, check.line)
    })
}

/// Under `--dry-run` and `--check`, the edits that were not written.
fn unwritten_edit_results(report: &Report) -> impl Iterator<Item = Value> {
    report.plan.edits.iter().filter(|_| report.dry_run).map(|edit| {
        let reason = |fix: &Fix| {
            let sides = [&fix.from, &fix.to].into_iter().flatten().cloned().collect::<Vec<_>>();
            format!("{} {}: {}", fix.kind, sides.join(" -> "), fix.reason)
        };
        let fixes = report.fixes.iter().filter(|fix| fix.file == edit.path);
        let message = match fixes.map(reason).collect::<Vec<_>>().join("\n") {
            reasons if reasons.is_empty() => format!("{} would change", edit.path),
            reasons => reasons,
        };
        let mut value = result("would-change", "note", &message, &edit.path, None);
        value["fixes"] = whole_file_fixes(edit);
        value
    })
}

/// The file before, replaced by the file after. SARIF supports only text: a file that is not UTF-8 has no fix.
fn whole_file_fixes(edit: &FileEdit) -> Value {
    let (Ok(before), Ok(after)) = (std::str::from_utf8(&edit.before), std::str::from_utf8(&edit.after))
    else {
        return json!([]);
    };
    let (lines, last) = (before.matches('\n').count(), before.rsplit('\n').next().unwrap_or_default());
    let end = json!({ "startLine": 1, "startColumn": 1, "endLine": lines + 1, "endColumn": last.chars().count() + 1 });
    json!([{
        "description": { "text": "The file after the change." },
        "artifactChanges": [{
            "artifactLocation": artifact_location(&edit.path),
            "replacements": [{ "deletedRegion": end, "insertedContent": { "text": after } }],
        }],
    }])
}

fn invocation(report: &Report) -> Value {
    let notification =
        |error| json!({ "level": "error", "message": { "text": readable(&error_with_hint(error)) } });
    json!({
        "executionSuccessful": report.error.is_none(),
        "exitCode": report.exit_code(),
        "toolExecutionNotifications": report.error.iter().map(notification).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::fixtures;
    use coreos_types::Error;

    fn run(report: &Report) -> Value {
        document(report)["runs"][0].clone()
    }

    #[test]
    fn finding_is_result_of_its_rule() {
        let run = run(&fixtures::bump());
        let result = &run["results"][0];
        assert_eq!((&result["ruleId"], &result["level"]), (&"missing".into(), &"error".into()));
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "missing");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["region"]["startLine"], 1);
        assert_eq!(
            place["artifactLocation"]["uri"],
            "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest"
        );
        let replacement = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
        assert_eq!(replacement["deletedRegion"]["endLine"], 2);
        assert!(replacement["insertedContent"].is_null());
        assert_eq!(run["results"].as_array().unwrap().len(), 1, "written edits are not results");
    }

    #[test]
    fn malformed_line_is_replaced() {
        let mut report = fixtures::bump();
        let finding = &mut report.findings[0];
        (finding.kind, finding.suggestion) = (FindingKind::Tidy, Suggestion::RunFix);
        finding.candidates = vec!["bin/x".to_owned()];
        let replacement = &run(&report)["results"][0]["fixes"][0]["artifactChanges"][0]["replacements"][0];
        assert_eq!(replacement["insertedContent"]["text"], "bin/x\n");
    }

    #[test]
    fn each_kind_has_a_rule_of_its_level() {
        for kind in FindingKind::ALL {
            let (_, level, _) = RULES.iter().find(|(id, ..)| *id == kind.id()).unwrap();
            let severity = ["error", "warning", "note"].iter().position(|known| known == level).unwrap();
            assert_eq!(severity, kind.severity() as usize, "{}", kind.id());
        }
    }

    #[test]
    fn dry_run_has_its_edits_as_fixes() {
        let mut report = fixtures::bump();
        report.dry_run = true;
        let run = run(&report);
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 3);
        let replacement = &results[2]["fixes"][0]["artifactChanges"][0]["replacements"][0];
        assert_eq!(
            replacement["deletedRegion"],
            json!({ "startLine": 1, "startColumn": 1, "endLine": 4, "endColumn": 1 })
        );
        assert!(replacement["insertedContent"]["text"].as_str().unwrap().contains("lib64/libpam.so.0\n"));
    }

    #[test]
    fn failed_check_is_a_result() {
        let run = run(&fixtures::smoketest());
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 1);
        assert_eq!((&results[0]["ruleId"], &results[0]["level"]), (&"check-link".into(), &"error".into()));
    }

    #[test]
    fn error_is_a_notification() {
        let report = Report { error: Some(Error::refused("bad").with_hint("h")), ..Report::default() };
        let run = run(&report);
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        assert_eq!(run["invocations"][0]["exitCode"], 3);
        let message = &run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
        assert_eq!(message, "bad\nhint: h");
    }
}
