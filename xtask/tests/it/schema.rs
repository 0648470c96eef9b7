//! Validation with `docs/report.schema.json`: documents of the tool are valid, and altered documents are not.

use coreos_types::{Board, Error, Flavor, Signer};
use manifest::finding::{Finding, FindingKind, Fix, FixKind, Severity};
use manifest::plan::edit_plan::{EditPlan, FileEdit};
use manifest::suggestion::Suggestion;
use serde_json::{Value, json};
use xtask::report::{Check, CheckOutcome, ImageOrigin, Report, json::document};

/// The JSON Schema of a run's document.
pub(crate) fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/report.schema.json")).unwrap()
}

/// Violations of the schema in `value`. Only the keywords that this schema uses are supported.
pub(crate) fn violations(value: &Value) -> Vec<String> {
    let root = schema();
    let mut found = Vec::new();
    check(&root, &root, value, "$", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            "$ref" => check(root, root.pointer(&rule.as_str().unwrap()[1..]).unwrap(), value, at, found),
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !types.iter().any(|name| has_type(value, name.as_str().unwrap())) {
                    found.push(format!("{at}: {value} is not {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    found.push(format!("{at}: {value} is none of {rule}"));
                }
            }
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().unwrap()).unwrap();
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    found.push(format!("{at}: {value} does not match {rule}"));
                }
            }
            "required" => {
                for key in rule.as_array().unwrap().iter().filter_map(Value::as_str) {
                    if value.is_object() && value.get(key).is_none() {
                        found.push(format!("{at}: {key} is missing"));
                    }
                }
            }
            "properties" => {
                for (key, inner) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        check(root, inner, value, &format!("{at}.{key}"), found);
                    }
                }
            }
            "additionalProperties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    check(root, rule, value, &format!("{at}.{key}"), found);
                }
            }
            "items" => {
                for (number, value) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, value, &format!("{at}[{number}]"), found);
                }
            }
            "anyOf" => {
                let fits = |inner: &Value| {
                    let mut inside = Vec::new();
                    check(root, inner, value, at, &mut inside);
                    inside.is_empty()
                };
                if !rule.as_array().unwrap().iter().any(fits) {
                    found.push(format!("{at}: {value} fits none of {rule}"));
                }
            }
            other => panic!("the schema uses {other:?}, which this check does not know"),
        }
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schema uses the type {other:?}, which this check does not know"),
    }
}

/// A run with a value for each key.
fn build_full_report() -> Report {
    let file = "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest".to_owned();
    Report {
        command: "bump-coreos".into(),
        release: Some(("991.0.0".parse().unwrap(), "1032.0.0".parse().unwrap())),
        channel: Some("alpha".parse().unwrap()),
        systemd: Some(("v225".parse().unwrap(), "v229".parse().unwrap())),
        images: vec![ImageOrigin {
            board: Board::Amd64,
            source: "https://alpha.release.core-os.net/x".into(),
            digest: format!("sha256:{}", "0a".repeat(32)),
            signer: Some(Signer {
                primary: "AB".repeat(20),
                signing_key: "CD".repeat(20),
                signed_at: "2016-04-28T10:00:00Z".into(),
                user_id: None,
            }),
            os_release: [("ID".to_owned(), "coreos".to_owned())].into(),
        }],
        fixes: vec![Fix {
            file: file.clone(),
            kind: FixKind::Add,
            from: None,
            to: Some("lib64/libpam.so.0".into()),
            reason: "needed".into(),
        }],
        findings: vec![Finding {
            file: file.clone(),
            line: None,
            kind: FindingKind::NeedsNowhere,
            severity: Severity::Error,
            board: Board::Amd64,
            flavor: Flavor::from_dir_name("usr_from_kvm").unwrap(),
            path: "libx.so.1".into(),
            needed_by: vec!["bin/x".into()],
            candidates: vec![],
            message: "nowhere".into(),
            suggestion: Suggestion::ChangeRelease,
            fixable: false,
        }],
        plan: EditPlan {
            edits: vec![FileEdit { path: file, before: b"a\n".to_vec(), after: b"b\n".to_vec() }],
        },
        ..Report::default()
    }
}

fn build_reports() -> Vec<Report> {
    let refused = Report {
        command: "fetch".into(),
        error: Some(Error::refused("no").with_cause("why").with_hint("cargo xtask")),
        ..Report::default()
    };
    let tested = Report {
        command: "smoketest".into(),
        checks: vec![Check {
            name: "link",
            subject: "bin/x".into(),
            outcome: CheckOutcome::Skip,
            message: "".into(),
            file: Some("stage1/x.manifest".into()),
            line: Some(7),
        }],
        ..Report::default()
    };
    vec![Report::default(), build_full_report(), refused, tested]
}

#[test]
fn every_kind_of_document_is_valid() {
    for report in build_reports() {
        assert_eq!(violations(&document(&report)), Vec::<String>::new(), "{}", report.command);
    }
}

#[test]
fn missing_key_or_wrong_type_is_invalid() {
    let good = document(&build_full_report());
    for key in good.as_object().unwrap().keys() {
        let mut lost = good.clone();
        lost.as_object_mut().unwrap().remove(key);
        assert!(!violations(&lost).is_empty(), "without {key}");
        let mut other = good.clone();
        other[key] = json!(0.5);
        assert!(!violations(&other).is_empty(), "with a number as {key}");
    }
    for pointer in
        ["/images/0/digest", "/fixes/0/kind", "/findings/0/severity", "/edits/0/diff", "/release/to"]
    {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = json!("?");
        assert!(!violations(&bad).is_empty(), "{pointer}");
    }
}
