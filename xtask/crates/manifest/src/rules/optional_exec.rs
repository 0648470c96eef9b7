//! Rule: programs that a listed program starts on request should be listed. Advice; required programs are dependencies.

use super::lint_state::{Lint, join};
use crate::unlisted_execs;
use usr::path::UsrPath;

/// Reports the programs of the table.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for exec in unlisted_execs::unlisted(lint.selection).into_iter().filter(|exec| !exec.row.is_certain) {
        let location = lint.selection.location(&exec.by);
        let (Some(location), Some(program)) = (location, exec.chain.last()) else { continue };
        let chain: Vec<&UsrPath> = exec.chain.iter().collect();
        let message = format!("{} may start {} ({})", exec.by, join(&chain, ", "), exec.row.source);
        lint.advise_adding(location, program, &exec.by, &chain, message);
    }
}
