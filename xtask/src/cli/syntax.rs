//! The grammar: commands, options and their help, laid out for 80 columns.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgGroup, Command, value_parser};

use super::{ReleaseSpec, image};
use coreos_types::release::{Release, SystemdVersion};

/// The commands by name.
pub(super) const NAMES: [&str; 12] = [
    "bump-coreos",
    "verify-manifests",
    "smoketest",
    "fetch",
    "verify-signature",
    "why",
    "diff",
    "report",
    "edit-manifest",
    "sort-manifests",
    "demo",
    "completions",
];

/// The whole grammar; completions and the man page are made from it.
pub fn syntax() -> Command {
    Command::new("xtask")
        .bin_name("cargo xtask")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps the operating-system image pinned in this tree honest")
        .after_help(EXIT_CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .args(globals())
        .subcommands([
            bump_coreos(),
            verify_manifests(),
            smoketest(),
            fetch(),
            verify_signature(),
            why(),
            diff(),
            report(),
            edit_manifest(),
            sort_manifests(),
            demo(),
            completions(),
        ])
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 findings are left for a person, 2 it could not be done,
3 the image or its signature is refused. Whatever the code, the tree is changed
whole or not at all.";

fn globals() -> Vec<Arg> {
    vec![
        option("repo", "DIR", "Work on this tree [default: the one around here]")
            .value_parser(value_parser!(PathBuf)),
        option("format", "FORMAT", "What stdout carries")
            .value_parser(PossibleValuesParser::new(["text", "json", "github"]))
            .default_value("text"),
        option("color", "WHEN", "When to colour")
            .value_parser(PossibleValuesParser::new(["auto", "always", "never"]))
            .default_value("auto"),
        Arg::new("verbose")
            .short('v')
            .long("verbose")
            .action(ArgAction::Count)
            .help("Say what was read and asked (-vv: each file)"),
        Arg::new("quiet")
            .short('q')
            .long("quiet")
            .action(ArgAction::SetTrue)
            .help("Say less: warnings and errors")
            .conflicts_with("verbose"),
    ]
    .into_iter()
    .map(|arg| arg.global(true).help_heading("Everywhere"))
    .collect()
}

fn bump_coreos() -> Command {
    Command::new("bump-coreos")
        .about("Move the tree to another release and mend its manifests")
        .after_help(
            "Examples:\n  cargo xtask bump-coreos 1032.0.0\n  cargo xtask bump-coreos latest --channel stable --commit\n  \
             cargo xtask bump-coreos 4081.2.0 --brand flatcar --dry-run",
        )
        .arg(release_arg("RELEASE").required(true).help("Release number, or latest"))
        .arg(flag("dry-run", "Print the diff, write nothing"))
        .arg(flag("check", "As --dry-run; exit 1 if anything would change"))
        .arg(flag("preview", "Work from the signed file lists, without the image"))
        .arg(report_arg())
        .arg(flag("commit", "Make one git commit of the changed files").conflicts_with_all(["dry-run", "check", "preview"]))
        .args(mending())
        .args(image::args())
}

fn verify_manifests() -> Command {
    Command::new("verify-manifests")
        .about("Check every manifest against the pinned release")
        .after_help("Examples:\n  cargo xtask verify-manifests\n  cargo xtask verify-manifests --fix --image my.cpio.gz")
        .arg(flag("fix", "Apply what bump-coreos would"))
        .arg(report_arg())
        .args(mending())
        .args(image::args())
}

fn smoketest() -> Command {
    Command::new("smoketest")
        .about("Build clean, link every file with the real loader, boot it")
        .after_help(
            "Examples:\n  cargo xtask smoketest\n  cargo xtask smoketest --no-build --vm --timeout 120",
        )
        .arg(flag("no-build", "Take what was built last"))
        .arg(flag("no-static", "Skip the check of the manifests"))
        .arg(flag("no-link", "Leave the real loader out"))
        .arg(flag("no-run", "Build and link only"))
        .arg(flag("vm", "Boot in a virtual machine (qemu)"))
        .arg(
            option("rootfs", "DIR", "Check this root filesystem, build nothing")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(option("jobs", "N", "Link checks at once").value_parser(value_parser!(u16).range(1..)))
        .arg(
            option("timeout", "SECONDS", "How long the run may take")
                .value_parser(value_parser!(u64).range(1..))
                .default_value("60"),
        )
        .arg(option("app", "IMAGE", "What rkt runs: a docker reference or an .aci file"))
        .args(image::args())
}

fn fetch() -> Command {
    Command::new("fetch")
        .about("Download and verify into the cache; print the image's path")
        .arg(release_arg("RELEASE").help("Release number, or latest [default: the pinned one]"))
        .args(image::args())
}

fn verify_signature() -> Command {
    Command::new("verify-signature")
        .about("Judge a release file's signature under the pinned keys")
        .arg(Arg::new("FILE").required(true).value_parser(value_parser!(PathBuf)).help("The signed file"))
        .arg(
            option("signature", "FILE", "Detached signature [default: FILE.sig]")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            option("signing-key", "FILE", "Trust this certificate [env: XTASK_SIGNING_KEY]")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(flag("offline", "Use the cache only, no network"))
}

fn why() -> Command {
    Command::new("why")
        .about("Show who lists a path and who needs it")
        .after_help(
            "Examples:\n  cargo xtask why libpam.so.0\n  cargo xtask why lib64/libpam.so.0.84.1 --mermaid",
        )
        .arg(
            Arg::new("SUBJECT")
                .value_name("PATH|SONAME")
                .required(true)
                .help("A path of the image, or a soname"),
        )
        .arg(flag("dot", "Draw for Graphviz").conflicts_with("mermaid"))
        .arg(flag("mermaid", "Draw for Mermaid"))
        .args(image::args())
}

fn diff() -> Command {
    Command::new("diff")
        .about("Show what changed between two releases for this tree")
        .arg(number_arg("FROM").help("The release before"))
        .arg(number_arg("TO").help("The release after"))
        .args(image::args())
}

fn report() -> Command {
    Command::new("report").about("Tell the last bump or check again, as a report").arg(
        Arg::new("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("A .md or .html file [default: Markdown on stdout]"),
    )
}

fn edit_manifest() -> Command {
    let lines = |name, help| option(name, "PATH", help).num_args(1..).action(ArgAction::Append);
    Command::new("edit-manifest")
        .about("Put lines into a manifest in its order, or take lines out")
        .after_help(
            "Example:\n  cargo xtask edit-manifest \\\n    stage1/usr_from_kvm/manifest-amd64-usr.d/ip.manifest --add bin/ip",
        )
        .arg(
            Arg::new("FILE")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The manifest, from the tree's root or from here"),
        )
        .arg(lines("add", "Lines to put in"))
        .arg(lines("remove", "Lines to take out"))
        .group(ArgGroup::new("lines").args(["add", "remove"]).required(true).multiple(true))
}

fn sort_manifests() -> Command {
    Command::new("sort-manifests")
        .about("Put the manifests in order, without duplicates")
        .arg(flag("check", "Write nothing; exit 1 if a file would change"))
}

fn demo() -> Command {
    Command::new("demo")
        .about("Run the guide's example in a scratch copy of the tree")
        .arg(flag("serve", "Keep tree and server up, and print commands to paste"))
}

fn completions() -> Command {
    Command::new("completions")
        .about("Print completions for a shell, of cargo xtask too")
        .after_help(
            "Install:\n  cargo xtask completions bash > ~/.xtask-completion\n  \
             # and in ~/.bashrc (or ~/.zshrc, behind compinit): source ~/.xtask-completion\n  \
             cargo xtask completions fish > ~/.config/fish/conf.d/xtask.fish",
        )
        .arg(
            Arg::new("SHELL")
                .required(true)
                .value_parser(value_parser!(clap_complete::Shell))
                .help("Your shell"),
        )
}

fn mending() -> Vec<Arg> {
    vec![
        flag("drop-missing", "Drop paths that vanished without successor"),
        option("dlopen", "LEVEL", "Which .note.dlopen entries count as needs")
            .value_parser(PossibleValuesParser::new(["none", "required", "recommended", "all"]))
            .default_value("required"),
        option("systemd", "vN", "The systemd version, where the images do not tell one")
            .value_parser(|text: &str| text.parse::<SystemdVersion>()),
    ]
}

fn report_arg() -> Arg {
    option("report", "FILE", "Write a report: .md or .html").value_parser(value_parser!(PathBuf))
}

fn release_arg(name: &'static str) -> Arg {
    Arg::new(name).value_name("RELEASE|latest").value_parser(|text: &str| text.parse::<ReleaseSpec>())
}

fn number_arg(name: &'static str) -> Arg {
    Arg::new(name).value_name(name).required(true).value_parser(|text: &str| text.parse::<Release>())
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        syntax().debug_assert();
        let syntax = syntax();
        let names: Vec<&str> = syntax.get_subcommands().map(Command::get_name).collect();
        assert_eq!(names, NAMES);
    }

    #[test]
    fn help_fits_80_columns() {
        let mut commands: Vec<Command> = syntax().get_subcommands().cloned().collect();
        commands.push(syntax());
        for mut command in commands {
            let help = command.render_long_help().to_string();
            let wide: Vec<&str> = help.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{}: {wide:#?}", command.get_name());
        }
    }
}
