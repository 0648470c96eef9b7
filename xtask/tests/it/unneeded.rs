//! `unneeded`: entries that nothing listed needs, with the command that removes them.

use std::process::Command;

use crate::scene::Scene;

#[test]
fn unneeded_entries_can_be_removed_by_the_printed_commands() {
    let scene = Scene::new();
    let (document, code) = scene.json("unneeded --image 991.0.0");
    let lines = document["unneeded"].as_array().unwrap();
    let development = lines.iter().filter(|line| line["group"] == "development-links");
    assert!(code == 0 && development.count() > 3, "{document}");
    assert!(lines.iter().all(|line| line["path"] != "lib64/systemd/systemd"));
    for command in document["removal"].as_object().unwrap().values() {
        let tool = format!("{} ", env!("CARGO_BIN_EXE_xtask"));
        let line = command.as_str().unwrap().replace("cargo xtask ", &tool);
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    }
    assert!(scene.json("verify-manifests --image 991.0.0").1 < 2);
    let text = scene.run("unneeded --image 991.0.0");
    assert!(String::from_utf8_lossy(&text.stdout).contains("development links"), "{text:?}");
}

#[test]
fn trial_needs_a_tree_that_boots() {
    // The example's programs have no code.
    let scene = Scene::new();
    let (document, code) = scene.json("unneeded --prove --image 991.0.0");
    let message = document["error"]["message"].as_str().unwrap();
    assert!(code == 2 && message.contains("as it is"), "{code} {document}");
    assert_eq!(scene.json("unneeded --max-boots 3 --image 991.0.0").1, 2, "an option of --prove alone");
}
