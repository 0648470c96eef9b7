//! The rules: what can be wrong with the manifests of a board, what is said about it, and how it is fixed.
//!
//! One rule is one file: its check, its message, its fix or suggestion, and its tests. [`RULES`] lists them in the order of
//! fixing; [`driver`] checks, or fixes and checks again until nothing changes. What several rules need is computed once per
//! pass ([`lint::Lint`]). A rule without a fix suggests an edit: only a person can decide it.
//!
//! [`pins`] is about coreos-common.mk, which a run has once, and is called by the plan of a bump.

mod dangling;
mod dependents;
mod dlopen;
pub mod driver;
mod fixer;
mod interpreter;
mod journald;
mod lint;
mod listed_directory;
mod malformed_line;
mod missing;
mod needs_nowhere;
mod needs_unlisted;
mod other_copy;
pub mod pins;
mod process_one;
mod started_program;
mod undefined_version;
mod unit_executable;
mod wrong_machine;

#[cfg(test)]
mod test_case;

use fixer::Fixer;
use lint::Lint;
pub use missing::add_candidates;

/// One rule about manifests.
struct Rule {
    /// Reports what is wrong in one flavor.
    check: fn(&mut Lint<'_, '_>),
    /// Changes the manifests of a board, as far as the image decides how.
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

/// Every rule, in the order of fixing: lines that mean something else than they say hide what is missing, a missing line
/// hides what is needed, and what is added can replace what is missing.
const RULES: [Rule; 15] = [
    Rule::fixed_by(malformed_line::check, malformed_line::fix),
    Rule::fixed_by(missing::check, missing::fix),
    Rule::new(process_one::check),
    Rule::new(listed_directory::check),
    Rule::fixed_by(needs_unlisted::check, needs_unlisted::fix),
    Rule::fixed_by(dangling::check, dangling::fix),
    Rule::fixed_by(needs_nowhere::check, missing::fix_by_additions),
    Rule::new(undefined_version::check),
    Rule::new(wrong_machine::check),
    Rule::new(unit_executable::check),
    Rule::new(interpreter::check),
    Rule::new(journald::check),
    Rule::new(started_program::check),
    Rule::new(other_copy::check),
    Rule::new(dlopen::check),
];
