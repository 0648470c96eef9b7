//! Job summary and outputs of a GitHub Actions step (docs.github.com, "Workflow commands").

use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;

use crate::report::{Report, markdown};
use coreos_types::{Result, ResultExt};

/// Appends the report as Markdown to `$GITHUB_STEP_SUMMARY`, and the outputs to `$GITHUB_OUTPUT`, if set.
pub(crate) fn append_summary_and_outputs(report: &Report) -> Result<()> {
    append(env::var_os("GITHUB_STEP_SUMMARY"), &format!("{}\n", markdown::render(report)))?;
    append(env::var_os("GITHUB_OUTPUT"), &outputs(report))
}

fn append(path: Option<OsString>, text: &str) -> Result<()> {
    let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(()) };
    let file = OpenOptions::new().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The outputs, one `name=value` per line. No value has text of an image, so none can have a line break.
fn outputs(report: &Report) -> String {
    let mut out = format!(
        "status={}\nexit-code={}\nchanged-files={}\nfindings={}\n",
        report.status(),
        report.exit_code(),
        report.plan.edits.len(),
        report.findings.len()
    );
    if let Some((from, to)) = &report.release {
        for (name, release) in [("release-from", from), ("release-to", to)] {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-+_".contains(c);
            if release.as_str().chars().all(is_plain) {
                out.push_str(&format!("{name}={}\n", release.as_str()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    #[test]
    fn outputs_are_one_line_each() {
        let text = outputs(&fixtures::bump());
        assert_eq!(
            text,
            "status=findings\nexit-code=1\nchanged-files=2\nfindings=1\nrelease-from=991.0.0\nrelease-to=1032.0.0\n"
        );
    }
}
