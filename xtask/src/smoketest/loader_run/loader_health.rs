//! Detects a loader that does not work, from its results so far.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::smoketest::sandbox::ProgramEnd;
use usr::UsrPath;

/// Longest check of one root filesystem.
const MAX_CHECK_TIME: Duration = Duration::from_secs(180);
/// Most files for which a loader may hang or print without end; then no other file is checked.
const MAX_HANGS: usize = 2;
/// Most files for which a loader that never worked may crash; then no other file is checked.
const MAX_CRASHES: usize = 3;

/// A loader that crashes, hangs, or cannot be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoaderFailure {
    pub loader: String,
    /// The failure, with the linked file.
    pub reason: String,
}

/// Counts of the loader's results.
pub(super) struct LoaderHealth {
    /// The loader of most files.
    usual_loader: &'static str,
    deadline: Instant,
    is_stopped: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    good: usize,
    crashes: usize,
    hangs: usize,
    first_failure: Option<LoaderFailure>,
}

impl LoaderHealth {
    pub(super) fn new(usual_loader: &'static str) -> LoaderHealth {
        let deadline = Instant::now() + MAX_CHECK_TIME;
        LoaderHealth { usual_loader, deadline, is_stopped: AtomicBool::new(false), counts: Mutex::default() }
    }

    /// Makes all other runs stop: one of them failed with an error.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Counts one run; `end` is set for a run that did not exit normally.
    pub(super) fn count_run(&self, loader: &UsrPath, file: &UsrPath, end: Option<ProgramEnd>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(end) = end else {
            counts.good += 1;
            return;
        };
        match end {
            ProgramEnd::Killed(_) | ProgramEnd::NotExecutable => counts.crashes += 1,
            _ => counts.hangs += 1,
        }
        let reason = format!("{end} (linking {file})");
        counts.first_failure.get_or_insert(LoaderFailure { loader: loader.to_string(), reason });
    }

    /// The failure of the loader, as soon as it is certain.
    pub(super) fn failure(&self) -> Option<LoaderFailure> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.hangs >= MAX_HANGS || counts.good == 0 && counts.crashes + counts.hangs >= MAX_CRASHES {
            return counts.first_failure.clone();
        }
        // The model of the loader is not counted, and has no limit.
        let has_run = counts.good + counts.crashes + counts.hangs > 0;
        let is_late = has_run && Instant::now() > self.deadline;
        is_late.then(|| LoaderFailure {
            loader: self.usual_loader.to_owned(),
            reason: format!("did not link all files within {} s", MAX_CHECK_TIME.as_secs()),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn failure(ends: &[Option<ProgramEnd>]) -> Option<String> {
        let path = |text: &str| UsrPath::new(text).unwrap();
        let health = LoaderHealth::new("lib64/ld.so");
        for (number, end) in ends.iter().enumerate() {
            health.count_run(&path("lib64/ld.so"), &path(&format!("bin/{number}")), *end);
        }
        health.failure().map(|failure| failure.reason)
    }

    #[test]
    fn loader_that_never_works_is_one_failure() {
        let segv = Some(ProgramEnd::Killed(11));
        assert_eq!(failure(&[segv; 2]), None);
        assert_eq!(failure(&[segv; 3]).unwrap(), "was killed by SIGSEGV (linking bin/0)");
        assert_eq!(
            failure(&[segv, segv, Some(ProgramEnd::NotExecutable)]).unwrap(),
            "was killed by SIGSEGV (linking bin/0)"
        );
        assert_eq!(failure(&[None, segv, segv, segv, segv]), None);
    }

    #[test]
    fn limit_of_time_is_that_of_a_loader_that_ran() {
        let health = LoaderHealth { deadline: Instant::now(), ..LoaderHealth::new("lib64/ld.so") };
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(health.failure(), None);
        let path = |text: &str| UsrPath::new(text).unwrap();
        health.count_run(&path("lib64/ld.so"), &path("bin/a"), None);
        assert_eq!(health.failure().unwrap().reason, "did not link all files within 180 s");
    }

    #[test]
    fn loader_that_hangs_is_stopped() {
        let hang = Some(ProgramEnd::TimedOut);
        assert_eq!(failure(&[None, hang, None, None, None]), None);
        assert_eq!(failure(&[None, hang, None, hang]).unwrap(), "did not end within 10 s (linking bin/1)");
        assert!(
            failure(&[None, Some(ProgramEnd::TooMuchOutput), hang]).unwrap().starts_with("printed more than")
        );
    }
}
