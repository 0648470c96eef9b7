//! Starts threads. `std::thread::Scope::spawn` panics where the system refuses another thread.

use std::thread::{Builder, Scope, ScopedJoinHandle};

use coreos_types::{ErrorExt, Result, ResultExt};

/// Starts a thread in a scope.
///
/// # Errors
/// The system refuses another thread, as below a limit of processes (`ulimit -u`).
pub fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    let started = Builder::new().spawn_scoped(scope, run);
    started.with_context(|| "cannot start a thread").with_hint("raise the limit: ulimit -u")
}
