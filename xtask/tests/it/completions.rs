//! Completion of `cargo xtask <TAB>` in real shells.

use std::fs;
use std::process::Command;

/// The output of `completions SHELL` as a file in a temporary directory.
fn script(shell: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["completions", shell]).output().unwrap();
    assert!(output.status.success());
    fs::write(home.path().join("script"), output.stdout).unwrap();
    home
}

/// Words that a shell offers for one line of input.
fn complete(home: &tempfile::TempDir, shell: &[&str], program: &str, line: &str) -> Vec<String> {
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", program])
        .env("LINE", line)
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .env("XDG_DATA_HOME", home.path())
        .current_dir(home.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr, "", "{line}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A line, some of the offered words, and a word that must not be offered.
const LINES: &[(&str, &[&str], &str)] = &[
    ("cargo xtask ", &["bump-coreos", "why"], "build"),
    ("cargo xtask bump", &["bump-coreos"], "why"),
    ("cargo +stable xtask sort", &["sort-manifests"], "bump-coreos"),
    ("cargo xtask bump-coreos --ch", &["--channel", "--check"], "--mirror"),
    ("cargo xtask fetch --format ", &["json", "github"], "bump-coreos"),
    ("xtask fe", &["fetch"], "why"),
    ("cargo xtask fetch --channel ", &["alpha", "lts"], "json"),
    ("cargo xtask fetch --board ", &["arm64-usr"], "json"),
    ("cargo xtask bump-coreos 1.2.3 --brand ", &["coreos", "flatcar"], "json"),
    ("cargo xtask cache ", &["list", "prune"], "fetch"),
];

fn check(home: &tempfile::TempDir, shell: &[&str], program: &str) {
    for (line, words, other) in LINES {
        let offered = complete(home, shell, program, line);
        for word in *words {
            assert!(offered.iter().any(|one| one == word), "{line}: no {word} in {offered:?}");
        }
        assert!(!offered.iter().any(|one| one == other), "{line}: {other} in {offered:?}");
    }
}

/// Completes $LINE as readline does, with the function that is registered for its first word.
const BASH: &str = r#"
_cargo() { [[ $2 == xt* ]] || COMPREPLY=(cargo-s-own); }
complete -F _cargo cargo
source ./script; source ./script
read -ra COMP_WORDS <<<"$LINE"; [[ $LINE == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$LINE COMP_POINT=${#LINE}
spec=$(complete -p "${COMP_WORDS[0]}"); spec=${spec##* -F }
"${spec%% *}" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
#[ignore = "needs bash"]
fn bash_completes_xtask_and_keeps_cargo_completion() {
    let (home, bash) = (script("bash"), ["bash", "--norc"]);
    check(&home, &bash, BASH);
    assert_eq!(complete(&home, &bash, BASH, "cargo build --re"), ["cargo-s-own"]);
    assert_eq!(complete(&home, &bash, BASH, "cargo xtask"), [""], "the word itself is completed by cargo");
    let alone = BASH.replace("complete -F _cargo cargo", "");
    assert_eq!(complete(&home, &bash, &alone, "cargo x"), ["xtask"]);
}

#[test]
#[ignore = "needs fish"]
fn fish_completes_xtask_and_keeps_cargo_completion() {
    let (home, fish) = (script("fish"), ["fish", "--no-config"]);
    let program = "complete -c cargo -x -n __fish_use_subcommand -a cargo-s-own; source ./script; complete -C $LINE | string replace -r '\\t.*' ''";
    check(&home, &fish, program);
    assert!(complete(&home, &fish, program, "cargo car").iter().any(|one| one == "cargo-s-own"));
}

/// Presses Tab after $LINE in an interactive shell on a pseudo-terminal, and prints what `compadd` was given.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty -b shell zsh -f -i
zpty -w shell 'unsetopt zle_bracketed_paste; autoload -U compinit; compinit -D -u; LISTMAX=10000'
zpty -w shell '_cargo() { [[ $words[2] == +* ]] && { shift words; (( CURRENT-- )) }; if (( $+functions[_cargo-$words[2]] )); then local name=$words[2]; shift words; (( CURRENT-- )); _cargo-$name; else compadd cargo-s-own; fi }; compdef _cargo cargo'
zpty -w shell 'source ./script; source ./script'
zpty -w shell 'compadd() { local -a got; if [[ ${@[(I)-(O|A|D)*]} -eq 0 ]]; then builtin compadd -A got "$@"; print -rl -- $got >> ./offered; fi; builtin compadd "$@" }'
zpty -w shell 'comppostfuncs=(finish); finish() { : > ./finished }; : > ./ready'
wait_for() { local -i n=0; until [[ -e $1 ]] || (( n++ > 200 )); do sleep 0.05; done; }
wait_for ./ready
zpty -w -n shell "$LINE"$'\t'
wait_for ./finished
zpty -d shell
[[ -e ./offered ]] && sort -u ./offered
rm -f ./offered ./finished ./ready
"#;

#[test]
#[ignore = "needs zsh"]
fn zsh_completes_xtask_and_keeps_cargo_completion() {
    let (home, zsh) = (script("zsh"), ["zsh", "-f"]);
    check(&home, &zsh, ZSH);
    assert_eq!(complete(&home, &zsh, ZSH, "cargo "), ["cargo-s-own"]);
    let alone = ZSH.replace("; compdef _cargo cargo'", "'");
    assert_eq!(complete(&home, &zsh, &alone, "cargo x"), ["xtask"]);
    assert_eq!(complete(&home, &zsh, &alone, "cargo +stable xtask bump"), ["bump-coreos"]);
}
