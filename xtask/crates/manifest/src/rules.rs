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

#[cfg(test)]
pub(crate) mod test_case;

use fix_state::Fixer;
use lint_state::Lint;
pub use missing::add_library_candidates;

/// A rule about manifests.
struct Rule {
    /// Reports the problems of one flavor.
    check: fn(&mut Lint<'_, '_>),
    /// Fixes the manifests of a board, if the image determines the fix.
    fix: Option<fn(&mut Fixer<'_>)>,
}

impl Rule {
    const fn new(check: fn(&mut Lint<'_, '_>)) -> Rule {
        Rule { check, fix: None }
    }

    const fn fixed_by(check: fn(&mut Lint<'_, '_>), fix: fn(&mut Fixer<'_>)) -> Rule {
        Rule { check, fix: Some(fix) }
    }
}

/// Every rule, in the order of fixing: malformed lines hide missing paths, missing paths hide dependencies, and an added
/// path can replace a missing one.
const RULES: [Rule; 15] = [
    Rule::fixed_by(malformed_line::check, malformed_line::fix),
    Rule::fixed_by(missing::check, missing::fix),
    Rule::new(no_systemd_or_nspawn::check),
    Rule::new(listed_directory::check),
    Rule::fixed_by(needs_unlisted::check, needs_unlisted::fix),
    Rule::fixed_by(dangling::check, dangling::fix),
    Rule::fixed_by(needs_nowhere::check, replacement_by_addition::fix_by_additions),
    Rule::new(undefined_version::check),
    Rule::new(unloadable_elf::check),
    Rule::new(unit_executable::check),
    Rule::new(script_interpreter::check),
    Rule::new(journald_with_unit::check),
    Rule::new(optional_known_exec::check),
    Rule::new(different_provider::check),
    Rule::new(optional_dlopen::check),
];
