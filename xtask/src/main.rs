//! Parses, runs, and exits with the contract's code.
#![allow(clippy::disallowed_methods, reason = "the command line comes from the process")]

use std::process::ExitCode;

fn main() -> ExitCode {
    // Where no handler can be set, a signal ends us at once, and the next run finishes what it finds.
    let _unwatched = xtask::signals::watch();
    let invocation = match xtask::cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(instead) => {
            let asked = xtask::cli::asked(std::env::args_os());
            return ExitCode::from(xtask::run::nothing(&instead, asked));
        }
    };
    ExitCode::from(xtask::run::run(&invocation))
}
