//! `rkt run` with the rkt that the build made.
//!
//! rkt may exit with 0 without running the app, or hang: the result depends on the app's marker and the time limit.
//! `supervisor.sh` sets up what rkt needs (a session, a cgroup with a name in `.service`, one hierarchy) and removes
//! it afterwards.

mod shell_aci;

use std::fs;
use std::path::{Path, PathBuf};

use super::diagnosis::LOADER_ERROR;
use super::{Boot, BootOutcome, ConsoleLog, SupervisorScript, exit_code, overlay};
use crate::signals::TempPath;
use crate::smoketest::no_follow;
use coreos_types::{Result, ResultExt};

const SUPERVISOR: &str = concat!(include_str!("../supervise.sh"), include_str!("supervisor.sh"));

/// Runs rkt as root, with data, mounts and cgroups of its own. The stage1 is the one in the directory of the program: for
/// any other, rkt requires a signature. `app` is a reference or an `.aci` file; `None` for an image made of the root
/// filesystem's shell.
pub(crate) fn run(boot: &Boot<'_>, rkt: &Path, app: Option<&str>) -> Result<BootOutcome> {
    SupervisorScript::try_hierarchies(boot, SUPERVISOR, ".service", |supervisor| {
        run_once(supervisor, rkt, app)
    })
}

fn run_once(supervisor: &SupervisorScript<'_>, rkt: &Path, app: Option<&str>) -> Result<BootOutcome> {
    let boot = supervisor.boot;
    let image = match app {
        Some(app) => fs::canonicalize(app).unwrap_or_else(|_| PathBuf::from(app)),
        None => boot.work_directory.join("smoketest.aci"),
    };
    if app.is_none() {
        shell_aci::write(boot.rootfs, &image)?;
    }
    let data = TempPath::register(boot.work_directory.join("rkt-data"));
    // Left by a killed run.
    no_follow::remove_all_if_exists(data.path())?;
    fs::create_dir(data.path()).with_path("cannot create", data.path())?;
    let mut command = supervisor.command("outer");
    let image = image.display().to_string();
    command.arg(rkt).arg(format!("--dir={}", data.path().display())).arg(signature_option(&image));
    // The default network requires iptables on the host, and leaves leases on disk.
    command.args(["run", &image, "--net=host", "--exec=/bin/sh", "--", "-c"]);
    command.arg(overlay::app_command(&supervisor.nonce));
    let method = format!("rkt run {}, cgroup {}", app.unwrap_or("smoketest.aci"), supervisor.hierarchy);
    supervisor.run(command, |console| boot.outcome(method, failure_reason(boot, console), console))
}

/// Why a run failed; `None` if it passed.
fn failure_reason(boot: &Boot<'_>, console: &ConsoleLog) -> Option<String> {
    match console.status.filter(|_| console.marker_seen) {
        Some(status) if !status.success() => {
            Some(format!("the marker was printed, and then rkt ended with {}", exit_code(status)))
        }
        // rkt may exit with 0 nevertheless.
        Some(_) if console.lines.iter().any(|line| line.contains(LOADER_ERROR)) => {
            Some("the marker was printed, and a program of the stage1 did not start".to_owned())
        }
        _ => boot.failure_reason("rkt", console),
    }
}

/// The option for the signature of an image: of a file it is in `FILE.asc`; no Docker image has one; for any other
/// reference rkt downloads the keys from the host that has the image.
fn signature_option(image: &str) -> &'static str {
    let is_file = Path::new(image).is_file();
    if is_file && Path::new(&format!("{image}.asc")).is_file() {
        "--insecure-options=none"
    } else if is_file || image.starts_with("docker://") {
        "--insecure-options=image"
    } else {
        "--trust-keys-from-https"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_images_that_cannot_be_signed_are_taken_unsigned() {
        let home = tempfile::tempdir().unwrap();
        let (unsigned, signed) = (home.path().join("a.aci"), home.path().join("b.aci"));
        for path in [&unsigned, &signed, &home.path().join("b.aci.asc")] {
            fs::write(path, "").unwrap();
        }
        for (image, expected) in [
            (unsigned.to_str().unwrap(), "--insecure-options=image"),
            (signed.to_str().unwrap(), "--insecure-options=none"),
            ("docker://alpine", "--insecure-options=image"),
            ("quay.io/coreos/alpine-sh", "--trust-keys-from-https"),
            ("/nowhere/a.aci", "--trust-keys-from-https"),
        ] {
            assert_eq!(signature_option(image), expected, "{image}");
        }
    }
}
