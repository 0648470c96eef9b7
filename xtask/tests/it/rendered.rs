//! Rendered output at 80 columns, on a terminal and in a pipe: help, errors, findings, diffs, summaries.

use std::fs;
use std::process::Command;

use regex::Regex;

use xtask::demo::example;

use crate::scene::{SYSTEMD, Scene, serve};

/// The guide's tree with a renamed library, a removed library, and a unit without its program.
fn create_broken_tree() -> Scene {
    let scene = Scene::new();
    let text = String::from_utf8(scene.read(SYSTEMD)).unwrap();
    let text = text.replace("lib64/libz.so.1.2.8\n", "lib64/libz.so.1.2.7\n") + "lib64/libgone.so.1\n";
    scene.put(SYSTEMD, text.as_bytes());
    scene
}

/// Standard output in a pipe.
fn run_in_pipe(scene: &Scene, line: &str) -> String {
    String::from_utf8(scene.run(line).stdout).unwrap()
}

/// Both output streams on a terminal of 80 columns, with colours.
fn run_on_terminal(scene: &Scene, line: &str) -> String {
    run_wrapped_on_terminal(scene, "", line)
}

/// The same, with the tool run by `wrapper`.
fn run_wrapped_on_terminal(scene: &Scene, wrapper: &str, line: &str) -> String {
    let log = scene.home().join("typescript");
    let (tool, tree) = (env!("CARGO_BIN_EXE_xtask"), scene.tree().display().to_string());
    let command = format!("stty cols 80; {wrapper} {tool} --repo {tree} {line}");
    let output = Command::new("script")
        .args(["-q", "-c", &command])
        .arg(&log)
        .current_dir(scene.home())
        .env("XTASK_CACHE_DIR", scene.home().join("cache"))
        .env("XTASK_SIGNING_KEY", scene.home().join("key"))
        .env("TERM", "xterm-256color")
        .env_remove("CI")
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&fs::read(log).unwrap()).replace("\r\n", "\n");
    // Lines written by script(1) itself.
    let lines =
        text.lines().filter(|line| !line.starts_with("Script started") && !line.starts_with("Script done"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The final text on the screen, without colours and progress bars.
fn strip_escapes(text: &str) -> String {
    let escapes = Regex::new("\x1b\\[[0-9;?]*[A-Za-z]").unwrap();
    escapes
        .replace_all(text, "")
        .into_owned()
        .lines()
        .map(|line| line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

const HELP: &[&str] =
    &["-h", "--help", "bump-coreos -h", "help verify-manifests", "smoketest --help", "bump-coreos"];

#[test]
#[ignore = "needs script(1) and stty(1)"]
fn help_on_a_terminal_is_styled_and_fits() {
    let scene = Scene::new();
    for line in HELP {
        let text = run_on_terminal(&scene, line);
        assert!(text.contains("\x1b[1mUsage:\x1b[0m"), "{line}: {text:?}");
        let wide: Vec<String> =
            strip_escapes(&text).lines().filter(|row| row.chars().count() > 80).map(str::to_owned).collect();
        assert_eq!(wide, [""; 0], "{line}");
    }
}

#[test]
fn help_off_a_terminal_has_no_escapes_and_fits() {
    let scene = Scene::new();
    for line in HELP {
        let output = scene.run(line);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(text.contains("Usage:") && !text.contains('\x1b'), "{line}: {text:?}");
        assert!(text.lines().all(|row| row.chars().count() <= 80), "{line}: {text}");
    }
}

/// Whether a line may be longer than the terminal: commands to paste, and file locations for editors.
fn may_be_long(row: &str) -> bool {
    ["hint: ", "to apply: ", "next: ", "verified  ", "--- a/", "+++ b/"]
        .iter()
        .any(|start| row.trim_start().starts_with(start))
        || row.contains(".manifest:")
        // A comment of coreos-common.mk.
        || row.contains(" := ") || row.contains("detached signature")
        || !row.trim().contains(' ')
}

#[test]
#[ignore = "needs script(1) and stty(1)"]
fn findings_and_diff_on_a_terminal_fit_80_columns() {
    let scene = create_broken_tree();
    for line in [
        "verify-manifests --image 991.0.0",
        "verify-manifests --image 991.0.0 --fix --dry-run",
        "bump-coreos 1032.0.0 --image 1032.0.0 --dry-run",
    ] {
        let text = run_on_terminal(&scene, line);
        assert!(text.contains("\x1b[1;31m error[missing]\x1b[0m"), "{line}: {text:?}");
        let wide: Vec<String> = strip_escapes(&text)
            .lines()
            .filter(|row| row.chars().count() > 80 && !may_be_long(row))
            .map(str::to_owned)
            .collect();
        assert_eq!(wide, [""; 0], "{line}");
    }
}

#[test]
#[ignore = "needs script(1) and stty(1)"]
fn diff_on_a_terminal_has_its_reasons_dimmed() {
    let text = run_on_terminal(&create_broken_tree(), "bump-coreos 1032.0.0 --image 1032.0.0 --dry-run");
    assert!(text.contains("\x1b[32m+lib64/libpam.so.0\x1b[0m\x1b[2m "), "{text:?}");
    let off = run_in_pipe(&create_broken_tree(), "bump-coreos 1032.0.0 --image 1032.0.0 --dry-run");
    assert!(off.contains("\n+lib64/libpam.so.0\n") && !off.contains('\x1b'), "{off}");
    assert!(off.contains("\n# add lib64/libpam.so.0: lib64/systemd/systemd needs libpam.so.0\n"), "{off}");
}

#[test]
fn summary_counts_problems_and_what_fixes_them() {
    let scene = create_broken_tree();
    let printed = run_in_pipe(&scene, "verify-manifests --image 991.0.0");
    let summary = printed.lines().last().unwrap();
    assert_eq!(
        summary,
        "the manifests do not match release 991.0.0: 2 problems (2 errors), 1 fixable with --fix, \
         1 more with --fix --drop-missing"
    );
    let printed = run_in_pipe(&scene, "verify-manifests --image 991.0.0 --fix");
    assert!(printed.ends_with("1 problem (1 error), 1 fixable with --fix --drop-missing\n"), "{printed}");
    let printed = run_in_pipe(&scene, "verify-manifests --image 991.0.0 --fix --drop-missing");
    assert!(printed.ends_with("1 file changed for release 991.0.0 (1 removed); no problems\n"), "{printed}");
}

#[test]
fn quiet_runs_print_problems_only() {
    let scene = create_broken_tree();
    let quiet = scene.run("-q bump-coreos 1032.0.0 --image 1032.0.0 --dry-run");
    let printed = String::from_utf8(quiet.stdout).unwrap();
    assert!(printed.starts_with("stage1/usr_from_coreos/") && printed.contains("libgone"), "{printed}");
    assert!(!printed.contains("+++") && !printed.contains("would change"), "{printed}");
    assert_eq!((quiet.status.code(), quiet.stderr.len()), (Some(1), 0));
    let clean = scene.run("-q verify-manifests --image 991.0.0 --fix --drop-missing");
    assert_eq!((clean.status.code(), clean.stdout.len(), clean.stderr.len()), (Some(0), 0, 0));
}

#[test]
fn next_command_repeats_the_options_of_the_run() {
    let scene = Scene::new();
    let line = "bump-coreos 1032.0.0 --image 1032.0.0 --board amd64-usr --dlopen none";
    let printed = run_in_pipe(&scene, &format!("{line} --report r.md --dry-run"));
    let tree = scene.tree().display().to_string();
    let apply = "bump-coreos 1032.0.0 --report r.md --dlopen none --image 1032.0.0 --board amd64-usr";
    assert!(printed.ends_with(&format!("to apply: cargo xtask --repo {tree} {apply}\n")), "{printed}");
    let printed = run_in_pipe(&scene, line);
    let next = "smoketest --image 1032.0.0 --board amd64-usr";
    assert!(printed.ends_with(&format!("next: cargo xtask --repo {tree} {next}\n")), "{printed}");
}

#[test]
fn report_lists_the_findings_of_the_last_run() {
    let scene = create_broken_tree();
    assert_eq!(scene.run("verify-manifests --image 991.0.0").status.code(), Some(1));
    let printed = run_in_pipe(&scene, "report");
    assert!(printed.contains("libgone.so.1") && printed.contains("libz.so.1.2.7"), "{printed}");
}

#[test]
fn impossible_release_of_a_brand_is_reported() {
    let scene = Scene::new();
    for line in ["bump-coreos 1032.0.0 --brand flatcar", "bump-coreos 1032.0.0 --brand flatcar --preview"] {
        let output = scene.run(line);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("there is no Flatcar release 1032.0.0"), "{stderr}");
        assert!(stderr.contains("bump-coreos latest --brand flatcar"), "{stderr}");
    }
}

#[test]
fn commit_outside_a_repository_fails_early() {
    let output = Scene::new().run("bump-coreos 1032.0.0 --image nowhere.gz --commit");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("is not inside a git repository") && !stderr.contains("nowhere.gz"), "{stderr}");
}

#[test]
#[ignore = "needs script(1), stty(1) and timeout(1)"]
fn interrupted_download_clears_its_bar_and_resumes() {
    let scene = Scene::new();
    let size = fs::read(scene.home().join("991.0.0")).unwrap().len();
    let server = serve([example::image_before()]);
    server.slow_down(size / 4);
    let line = format!("fetch --mirror {}", server.url());
    let text = run_wrapped_on_terminal(&scene, "timeout --foreground -s INT 2", &line);
    let (bar, message) = text.rsplit_once("\x1b[J").unwrap();
    assert!(bar.contains("download") && !bar.contains("0s left"), "{bar:?}");
    let message = strip_escapes(message);
    assert!(message.starts_with("error: interrupted by SIGINT; the tree has"), "{message}");
    assert!(message.trim_end().ends_with(&line) && message.contains("hint: to run it again"), "{message}");
    // The second run begins at the bytes of the first, and counts only its own in the rate.
    let resumed = run_on_terminal(&scene, &line);
    let amounts = Regex::new(r"([0-9.]+) ([kM])B of [0-9.]+ MB(?:, ([0-9.]+) ([kMG])B/s)?").unwrap();
    let unit = |unit: &str| if unit == "k" { 1e3 } else { 1e6 };
    let first = amounts.captures(&resumed).unwrap_or_else(|| panic!("{resumed:?}"));
    assert!(first[1].parse::<f64>().unwrap() * unit(&first[2]) > size as f64 / 8.0, "{resumed:?}");
    let rates = amounts
        .captures_iter(&resumed)
        .filter_map(|found| Some((found.get(3)?.as_str().parse().ok()?, found[4].to_owned())));
    let rates: Vec<f64> = rates.map(|(rate, of): (f64, String)| rate * unit(&of)).collect();
    assert!(!rates.is_empty() && rates.iter().all(|rate| *rate < size as f64), "{rates:?} {resumed:?}");
    assert!(server.requests().iter().any(|request| request.range_from().is_some_and(|from| from > 0)));
}
