//! Rule: programs that a listed program starts on request should be listed. Advice; required programs are dependencies.

use super::lint_state::{Lint, join};
use crate::unlisted_execs;
use usr::UsrPath;

pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for (by, row, chain) in unlisted_execs::find_unlisted(lint.selection) {
        let location = lint.selection.location(by).filter(|_| !row.is_required);
        let (Some(location), Some(program)) = (location, chain.last()) else { continue };
        let chain: Vec<&UsrPath> = chain.iter().collect();
        let message = format!("{by} may start {} ({})", join(&chain, ", "), row.source);
        lint.advise_adding(location, program, by, &chain, message);
    }
}
