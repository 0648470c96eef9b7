//! Rule: the interpreter of a listed script is listed. The severity is advice, because the file may only
//! be sourced (`.`) by another script.

use super::lint_state::Lint;
use crate::finding::FindingKind;
use crate::suggestion::Suggestion;
use crate::unit_and_script_execs::ExecReference;
use usr::UsrPath;

/// Reports interpreters of scripts, and programs that env(1) starts for them.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for reference in lint.exec_references.iter().filter(|reference| reference.is_script) {
        let Some((program, in_image)) = reference.find_unlisted(lint.selection) else { continue };
        let Some(location) = lint.selection.location(&reference.referrer) else { continue };
        let suggestion = match in_image {
            true => Suggestion::add(location.file, [&program]),
            false => Suggestion::ChangeRelease,
        };
        let message = message(reference, &program, in_image);
        let finding = lint.finding(FindingKind::Advice, location, &program, message, suggestion);
        lint.emit(finding.needed_by([&reference.referrer]));
    }
}

fn message(reference: &ExecReference, program: &UsrPath, in_image: bool) -> String {
    let script = &reference.referrer;
    let line = format!("{script} starts with {:?}", reference.directive);
    if in_image {
        format!("{line}, and {program} is not listed")
    } else if program == script {
        format!("{line}: a relative interpreter is searched in the working directory, and / does not have it")
    } else if program.as_str().ends_with('\r') {
        format!(
            "{line}: to the kernel the carriage return is a part of the name, and the image has no such file"
        )
    } else {
        format!("{line}, and {program} is not in the image")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_rows;

    #[test]
    fn interpreter_of_a_script_is_advice() {
        check_rows(&[
            (
                &["bin/s = #!/bin/sh -e\\n", "bin/sh"],
                "bin/s\n",
                &["advice advice 1 bin/sh"],
                "bin/s\n",
                &["advice advice 1 bin/sh"],
            ),
            (
                &["bin/s = #!/bin/sh\r\\n", "bin/sh"],
                "bin/s\nbin/sh\n",
                &["advice advice 1 bin/sh\r"],
                "bin/s\nbin/sh\n",
                &["advice advice 1 bin/sh\r"],
            ),
            (
                &["bin/s = #!sh\\n", "bin/sh"],
                "bin/s\nbin/sh\n",
                &["advice advice 1 bin/s"],
                "bin/s\nbin/sh\n",
                &["advice advice 1 bin/s"],
            ),
            (&["bin/s = #!/opt/sh\\n"], "bin/s\n", &[], "bin/s\n", &[]),
        ]);
    }
}
