//! The report as one JSON object; its shape is a contract (`docs/report.schema.json`).

use serde_json::{Value, json};

use super::added_dependents::DependencyEdge;
use super::package_changes;
use super::sizes::ManifestSizes;
use super::{ImageOrigin, Report};
use manifest::finding::{Finding, Fix};
use usr::lossless_text;

/// The whole document. JSON strings cannot hold bytes that are not UTF-8: these are written as `\xNN`.
pub fn document(report: &Report) -> Value {
    escape_strings(unescaped_document(report))
}

/// A document as text. Characters that forge other text on a terminal occur in strings only, and are escaped there.
pub fn to_text(document: &Value) -> String {
    let text = format!("{document:#}\n");
    if !lossless_text::has_unsafe_chars(&text) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match lossless_text::has_unsafe_chars(c.encode_utf8(&mut [0; 4])) {
            true => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")))
            }
            false => out.push(c),
        }
    }
    out
}

fn escape_strings(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(lossless_text::escape_non_utf8(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(escape_strings).collect(),
        Value::Object(entries) => {
            entries.into_iter().map(|(key, value)| (key, escape_strings(value))).collect()
        }
        other => other,
    }
}

fn unescaped_document(report: &Report) -> Value {
    let mut document = json!({
        "command": report.command,
        "status": report.status(),
        "exit_code": report.exit_code(),
        "dry_run": report.dry_run,
        "release": report.release.as_ref().map(|(from, to)| json!({
            "from": from.as_str(), "to": to.as_str(), "channel": report.channel.map(|channel| channel.id()),
        })),
        "systemd": report.systemd.as_ref().map(|(from, to)| json!({ "from": from.to_string(), "to": to.to_string() })),
        "images": report.images.iter().map(image).collect::<Vec<_>>(),
        "fixes": report.fixes.iter().map(fix).collect::<Vec<_>>(),
        "findings": report.all_findings().map(|one| finding(report, one)).collect::<Vec<_>>(),
        "edits": report.plan.edits.iter().map(|edit| json!({ "file": edit.path, "diff": edit.diff() })).collect::<Vec<_>>(),
        "error": report.error.as_ref().map(|error| json!({
            "kind": error.kind.id(), "message": error.message, "causes": error.causes, "hint": error.hint,
        })),
    });
    if report.command == "smoketest" {
        document["checks"] = report.checks.iter().map(|check| json!({
            "name": check.name, "subject": check.subject, "outcome": check.outcome.id(), "message": check.message,
            "file": check.file, "line": check.line,
        })).collect();
    }
    if !report.sizes.is_empty() {
        document["sizes"] = report.sizes.iter().map(manifest_sizes).collect();
        document["needs"] = report.added_dependents.iter().map(dependency).collect();
    }
    if let Some(changes) = &report.package_changes {
        document["packages"] = package_changes::to_json(changes);
    }
    if let Some(advisories) = &report.advisories {
        document["advisories"] = advisories.to_json();
    }
    for (key, value) in &report.extra {
        document[*key] = value.clone();
    }
    document
}

fn image(image: &ImageOrigin) -> Value {
    let signer = image.signer.as_ref();
    json!({
        "board": image.board.id(),
        "source": image.source,
        "digest": image.digest,
        "signed_by": signer.map(|signer| &signer.primary),
        "signing_subkey": signer.map(|signer| &signer.signing_key),
        "signed_at": signer.map(|signer| &signer.signed_at),
        "os_release": image.os_release,
    })
}

fn fix(fix: &Fix) -> Value {
    let mut value = json!({ "kind": fix.kind.id(), "file": fix.file, "because": fix.reason });
    for (key, path) in [("from", &fix.from), ("to", &fix.to)] {
        path.iter().for_each(|path| value[key] = json!(path));
    }
    value
}

fn finding(report: &Report, (finding, accepted): (&Finding, Option<&String>)) -> Value {
    json!({
        "kind": finding.kind.id(),
        "severity": finding.severity.id(),
        "board": finding.board.id(),
        "flavor": finding.flavor.as_str(),
        "file": finding.file,
        "line": finding.line,
        "path": finding.path,
        "needed_by": finding.needed_by,
        "candidates": finding.candidates,
        "message": finding.message,
        "hint": report.hint(finding),
        "fixable": finding.fixable && accepted.is_none(),
        "accepted": accepted.is_some(),
        "reason": accepted,
    })
}

fn dependency(DependencyEdge { board, from, to, name }: &DependencyEdge) -> Value {
    json!({ "board": board.id(), "from": from, "to": to, "name": name })
}

fn manifest_sizes(manifest: &ManifestSizes) -> Value {
    json!({
        "board": manifest.board.id(),
        "file": manifest.file,
        "flavors": manifest.flavors.iter().map(|flavor| flavor.as_str()).collect::<Vec<_>>(),
        "paths": manifest.paths.iter().map(|size| json!({
            "path": size.path, "before": size.before, "after": size.after,
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_no_controls_and_the_same_value() {
        let document = json!({ "a\u{9b}31m": ["\u{202e}b\u{7f}", "\u{1b}[2J\n\u{e0041}é\u{1f600}"] });
        let text = to_text(&document);
        assert!(
            !lossless_text::has_unsafe_chars(&text) && text.contains("\\u202eb\\u007f") && text.contains("é"),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(document));
    }
}
