//! One file a command: the only place where edge and core meet.
#![allow(
    clippy::disallowed_methods,
    reason = "commands ask for the directory and the variables they run under"
)]

mod bump_coreos;
mod context;
mod images;
mod verify_manifests;
pub mod verify_signature;

use crate::edge::term::{Term, Verbosity};
use crate::fault::Result;
use crate::flags::{Command, Globals, Invocation};
use crate::report::Report;

pub use bump_coreos::bump_coreos;
pub use context::Context;
pub use verify_manifests::verify_manifests;

/// Runs a command and tells what it did. Gives the exit code of the contract.
pub fn run(invocation: &Invocation) -> u8 {
    let Globals { format, color, verbosity, .. } = invocation.globals;
    let term = Term::new(format, color, Verbosity::of(verbosity));
    let report = report(&term, invocation);
    match term.tell(&report) {
        Ok(()) => report.exit_code(),
        Err(fault) => {
            term.fault(&fault);
            2
        }
    }
}

fn report(term: &Term, invocation: &Invocation) -> Report {
    let mut report = Report { command: invocation.command.name(), ..Report::default() };
    if let Err(fault) = carry_out(term, invocation, &mut report) {
        report.error = Some(fault);
    }
    report
}

fn carry_out(term: &Term, invocation: &Invocation, report: &mut Report) -> Result<()> {
    match &invocation.command {
        Command::BumpCoreos(flags) => bump_coreos(&Context::of(term, &invocation.globals)?, flags, report),
        Command::VerifyManifests(flags) => {
            verify_manifests(&Context::of(term, &invocation.globals)?, flags, report)
        }
        _ => Ok(()),
    }
}
