//! A lock that another user holds on a tree, also where /proc does not show that user's processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::scene::Scene;

const MANIFEST: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest";

#[test]
#[ignore = "needs root, flock, setpriv and unshare; 30 s"]
fn lock_of_an_invisible_user_does_not_block_the_owner() {
    let scene = Scene::new();
    let (home, tree) = (scene.home(), scene.tree());
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    let tool = home.join("xtask");
    fs::copy(env!("CARGO_BIN_EXE_xtask"), &tool).unwrap();
    let owned = Command::new("chown").args(["-R", "1235"]).arg(&home).status().unwrap();
    assert!(owned.success());
    let mut holder = Command::new("setpriv")
        .args(["--reuid", "1234", "--clear-groups", "flock", "-s"])
        .arg(&tree)
        .args(["sh", "-c", "echo locked; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 7];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
    for (options, path) in [("defaults", "bin/visible"), ("hidepid=2", "bin/invisible")] {
        let script = "mount -t proc -o \"$1\" proc /proc && exec setpriv --reuid 1235 --clear-groups \"$2\" --repo \"$3\" edit-manifest \"$4\" --add \"$5\"";
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh", options])
            .args([&tool, &tree])
            .args([MANIFEST, path])
            .env("XTASK_CACHE_DIR", home.join("cache"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{options}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8(scene.read(MANIFEST)).unwrap().contains(&format!("{path}\n")));
    }
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
}
