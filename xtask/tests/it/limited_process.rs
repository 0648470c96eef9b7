//! Processes that start with less than usual: ignored signals, and limits of resources (setrlimit(2)).

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::e2e::output_of;
use crate::scene::Scene;

/// A parent may ignore SIGCHLD, and the kernel then discards the status of each program that ends (wait(2)).
#[test]
fn ignored_sigchld_does_not_prevent_a_commit() {
    let scene = Scene::new();
    let tree = scene.tree();
    let git = |arguments: &[&str]| output_of(Command::new("git").arg("-C").arg(&tree).args(arguments));
    git(&["init", "--quiet"]);
    for (key, value) in [("user.name", "N"), ("user.email", "n@example.org"), ("commit.gpgSign", "false")] {
        git(&["config", key, value]);
    }
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "first"]);
    let ignoring = ["sh", "-c", "trap '' CHLD; exec \"$@\"", "sh"];
    let line = ["bump-coreos", "1032.0.0", "--image", "1032.0.0", "--commit"];
    let output = scene.command(&ignoring, &line).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(git(&["rev-list", "--count", "HEAD"]), "2\n");
}

#[test]
#[ignore = "needs root, setpriv and prlimit"]
fn missing_threads_are_an_error() {
    let scene = Scene::new();
    let (home, tool) = (scene.home(), scene.home().join("xtask"));
    std::fs::copy(env!("CARGO_BIN_EXE_xtask"), &tool).unwrap();
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o755)).unwrap();
    assert!(Command::new("chown").args(["-R", "65531"]).arg(&home).status().unwrap().success());
    for (limit, works) in [("--nproc=1", false), ("--nproc=100", true)] {
        let output = Command::new("setpriv")
            .args(["--reuid", "65531", "--clear-groups", "prlimit", limit])
            .arg(&tool)
            .args(["verify-manifests", "--image", "991.0.0", "--signing-key", "key", "--repo", "tree"])
            .current_dir(&home)
            .env("XTASK_CACHE_DIR", home.join("cache"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(text.contains("cannot start a thread"), !works, "{limit}: {text}");
        assert!(!text.contains("panicked") && (works || output.status.code() == Some(2)), "{limit}: {text}");
    }
}
