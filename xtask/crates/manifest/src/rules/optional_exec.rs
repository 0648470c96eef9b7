//! Rule: programs that a listed program starts on request should be listed. Advice; required programs are dependencies.

use super::lint_state::{Lint, Problem};
use crate::finding::FindingKind;
use crate::suggestion::Suggestion;
use crate::unlisted_execs;
use usr::path::UsrPath;

/// Reports the programs of the table.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for exec in unlisted_execs::unlisted(lint.selection).into_iter().filter(|exec| !exec.row.is_certain) {
        let (Some(location), Some(program)) = (lint.location(&exec.by), exec.chain.last()) else { continue };
        let names = exec.chain.iter().map(UsrPath::as_str).collect::<Vec<_>>().join(", ");
        let message = format!("{} may start {names} ({})", exec.by, exec.row.source);
        let problem = Problem::new(FindingKind::Advice, message, Suggestion::add(location.file, &exec.chain));
        lint.emit(location, program.as_str(), problem.needed_by([&exec.by]).candidates(&exec.chain));
    }
}
