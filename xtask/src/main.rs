//! Parses, runs, and exits with the contract's code.
#![allow(clippy::disallowed_methods, reason = "the command line is taken here, and handed on")]

use std::process::ExitCode;

fn main() -> ExitCode {
    // Where no handler can be set, a signal ends us at once, and the next run finishes what it finds.
    let _unwatched = xtask::edge::signals::watch();
    let invocation = match xtask::flags::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(usage) if usage.exit_code() != 0 && xtask::flags::wants_json(std::env::args_os()) => {
            return ExitCode::from(xtask::run::usage(&usage));
        }
        Err(usage) => {
            // clap knows which of stdout and stderr a help text or a usage error belongs to; a closed pipe is no error.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    ExitCode::from(xtask::run::run(&invocation))
}
