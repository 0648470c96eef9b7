//! Parses the command line, runs the command, and exits with its code.
#![allow(clippy::disallowed_methods, reason = "the command line comes from the process")]

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before any thread starts: privileges are dropped per thread.
    if let Some(code) = xtask::namespace_entry::run_if_selected(std::env::args_os()) {
        return code;
    }
    // Without a handler a signal ends the process at once, and the next run recovers the tree.
    let _ignored = xtask::signals::install_handler();
    ExitCode::from(match xtask::cli::parse(std::env::args_os()) {
        Ok(cli) => xtask::run::run(&cli),
        Err(error) => xtask::run::print_usage_or_help(&error, std::env::args_os()),
    })
}
