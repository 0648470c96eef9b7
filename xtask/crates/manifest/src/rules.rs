//! The rules: checks of a board's manifests, with messages and fixes.
//!
//! One rule is one file: its check, its message, its fix or suggestion, and its tests. [`RULES`] lists them in the
//! order of fixing; [`lint_and_fix`] checks, or fixes and checks again until nothing changes. Shared analyses are computed
//! once per pass ([`lint_state::Lint`]). A rule without a fix suggests an edit, which needs a manual decision.
//!
//! [`pins`] checks coreos-common.mk, which exists once per tree; the plan of a bump calls it.

mod dangling;
mod dependents;
mod different_provider;
mod fix_state;
mod journald_with_unit;
pub mod lint_and_fix;
mod lint_state;
mod listed_directory;
mod malformed_line;
mod missing;
mod needs_nowhere;
mod needs_unlisted;
mod no_systemd_or_nspawn;
mod optional_dlopen;
mod optional_known_exec;
pub mod pins;
mod replacement_by_addition;
mod script_interpreter;
mod undefined_version;
mod unit_executable;
mod unloadable_elf;

use fix_state::Fixer;
use lint_state::Lint;
pub use missing::add_library_candidates;

/// The check of one flavor by a rule, and the fix of a board's manifests if the image determines one.
type Rule = (fn(&mut Lint<'_, '_>), Option<fn(&mut Fixer<'_>)>);

/// Every rule, in the order of fixing: malformed lines hide missing paths, missing paths hide dependencies, and an added
/// path can replace a missing one.
const RULES: [Rule; 15] = [
    (malformed_line::check, Some(malformed_line::fix)),
    (missing::check, Some(missing::fix)),
    (no_systemd_or_nspawn::check, None),
    (listed_directory::check, None),
    (needs_unlisted::check, Some(needs_unlisted::fix)),
    (dangling::check, Some(dangling::fix)),
    (needs_nowhere::check, Some(replacement_by_addition::fix_by_additions)),
    (undefined_version::check, None),
    (unloadable_elf::check, None),
    (unit_executable::check, None),
    (script_interpreter::check, None),
    (journald_with_unit::check, None),
    (optional_known_exec::check, None),
    (different_provider::check, None),
    (optional_dlopen::check, None),
];

#[cfg(test)]
pub(crate) mod tests;
