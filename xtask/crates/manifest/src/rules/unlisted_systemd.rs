//! Rule: each flavor lists systemd, process 1 of a stage1, and systemd-nspawn, which runs the pod. Without a fix: the
//! manifest for them needs a manual decision.

use super::lint_state::{Lint, Problem};
use crate::finding::{FindingKind, Severity};
use crate::selection::Location;
use crate::suggestion::Suggestion;

/// Reports a flavor whose manifests have no line for systemd, as an error, or for systemd-nspawn, as advice. The pod
/// of the kvm flavor runs in a virtual machine, without systemd-nspawn.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    if check_program(
        lint,
        "/systemd/systemd",
        "no manifest of this flavor lists systemd, process 1 of a stage1",
    ) {
        return;
    }
    if lint.selection.manifests.flavor.as_str() != "kvm" {
        check_program(
            lint,
            "/systemd-nspawn",
            "no manifest of this flavor lists systemd-nspawn, which runs the pod",
        );
    }
}

/// Returns whether a problem was reported. A line for a program that the image does not have is a missing path.
fn check_program(lint: &mut Lint<'_, '_>, suffix: &str, message: &str) -> bool {
    let is_one =
        |path: &str| path.ends_with(suffix) && (suffix != "/systemd/systemd" || path.starts_with("lib"));
    let files = lint.files();
    let is_listed = lint.selection.paths.iter().any(|path| is_one(path.as_str()))
        || files.iter().any(|(_, text)| text.entries().any(|(_, line)| is_one(line)));
    let program = lint.index.tree.iter().map(|(path, _)| path).find(|path| is_one(path.as_str()));
    let (Some(program), Some((first, _)), false) = (program, files.first(), is_listed) else { return false };
    let location = lint.preferred_location(program, Location { file: first, line: 1 });
    let is_process_one = suffix == "/systemd/systemd";
    let kind = if is_process_one { FindingKind::Missing } else { FindingKind::Advice };
    let severity = if is_process_one { Severity::Error } else { Severity::Advice };
    let message = format!("{message}; the image has {program}");
    let suggestion = Suggestion::add(location.file, [program]);
    let problem = Problem::new(kind, message, suggestion).severity(severity).candidates([program]);
    lint.emit_at(location.file, None, program.as_str(), problem);
    true
}

#[cfg(test)]
mod tests {
    use super::super::test_case::check_rows;

    #[test]
    fn flavor_without_process_one_is_an_error() {
        let image = &["lib64/systemd/systemd", "bin/systemd-nspawn", "bin/x"][..];
        let missing = "error missing 0 lib64/systemd/systemd";
        let nspawn = "advice advice 0 bin/systemd-nspawn";
        check_rows(&[
            (image, "bin/x\n", &[missing], "bin/x\n", &[missing]),
            (image, "lib64/systemd/systemd\n", &[nspawn], "lib64/systemd/systemd\n", &[nspawn]),
            (
                image,
                "bin/systemd-nspawn\nlib64/systemd/systemd\n",
                &[],
                "bin/systemd-nspawn\nlib64/systemd/systemd\n",
                &[],
            ),
            (&["bin/x"], "bin/x\n", &[], "bin/x\n", &[]),
        ]);
    }
}
