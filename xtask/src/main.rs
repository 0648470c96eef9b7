//! Parses, runs, and exits with the contract's code.
#![allow(clippy::disallowed_methods, reason = "the command line comes from the process")]

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the first thread: rights are dropped thread by thread.
    if let Some(code) = xtask::smoketest::sandbox::inner::call(std::env::args_os()) {
        return code;
    }
    // Where no handler can be set, a signal ends us at once, and the next run finishes what it finds.
    let _unwatched = xtask::signals::watch();
    ExitCode::from(match xtask::cli::parse(std::env::args_os()) {
        Ok(cli) => xtask::run::run(&cli),
        Err(error) => xtask::run::report_usage(&error, std::env::args_os()),
    })
}
