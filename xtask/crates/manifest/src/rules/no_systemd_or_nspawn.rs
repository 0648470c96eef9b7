//! Rule: each flavor lists systemd, process 1 of a stage1, and systemd-nspawn, which runs the pod. Without a fix: the
//! manifest for them needs a manual decision.

use super::lint_state::Lint;
use crate::finding::{Finding, FindingKind};
use crate::selection::Location;
use crate::suggestion::Suggestion;
use usr::file_info::is_systemd_program;

/// Reports a flavor whose manifests have no line for systemd, as an error, or for systemd-nspawn, as advice. The pod
/// of the kvm flavor runs in a virtual machine, without systemd-nspawn.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let (kind, systemd) = (FindingKind::Missing, "systemd, process 1 of a stage1");
    if !report_if_unlisted(lint, is_systemd_program, kind, systemd)
        && lint.selection.manifest_set.flavor.as_str() != "kvm"
    {
        let is_nspawn = |path: &str| path.ends_with("/systemd-nspawn");
        report_if_unlisted(lint, is_nspawn, FindingKind::Advice, "systemd-nspawn, which runs the pod");
    }
}

/// Reports a program of the image without a line; returns whether it did. A line for a program that the image does not
/// have is a missing path.
fn report_if_unlisted(
    lint: &mut Lint<'_, '_>,
    is_one: fn(&str) -> bool,
    kind: FindingKind,
    subject: &str,
) -> bool {
    let selection = lint.selection;
    let is_listed = selection.paths.iter().any(|path| is_one(path.as_str()))
        || selection.entries().any(|(_, line)| is_one(line));
    let program = lint.index.tree.paths().find(|path| is_one(path.as_str()));
    let first = selection.manifest_files.keys().next();
    let (Some(program), Some(file), false) = (program, first, is_listed) else { return false };
    let file = selection.neighbor_for_addition(program, Location { file, line: 1 }).file;
    let message = format!("no manifest of this flavor lists {subject}; the image has {program}");
    let suggestion = Suggestion::add(file, [program]);
    let finding = Finding::new(kind, lint.site(file, None), program.as_str(), message, suggestion);
    lint.emit(finding.candidates([program]));
    true
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_rows;

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
