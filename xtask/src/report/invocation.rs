//! The command line of a run, so that the commands in its hints repeat its options.

use coreos_types::shell::{quote, quote_path};
use manifest::suggestion::{ManifestEdit, Suggestion};

/// The parts of a command line that a hint repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The words that start this program.
    pub program: &'static str,
    /// `--repo DIR`, where it was given.
    pub repo: Option<String>,
    /// The command that fixes what was found: `verify-manifests --fix`, `bump-coreos 1032.0.0`.
    pub command: Vec<String>,
    /// The options that say where any release comes from, and which keys are trusted.
    pub source: Vec<String>,
    /// The options that select the image: files, boards, `--offline`.
    pub image: Vec<String>,
    /// The options that say how far fixing goes.
    pub fix: Vec<String>,
    /// The command of this run without its trial options, if it has any.
    pub without_trial: Option<String>,
    /// The tree's root; `None` where it is the current directory.
    pub root: Option<String>,
}

impl Default for Invocation {
    fn default() -> Invocation {
        Invocation {
            program: "cargo xtask",
            repo: None,
            command: words(["verify-manifests", "--fix"]),
            source: Vec::new(),
            image: Vec::new(),
            fix: Vec::new(),
            without_trial: None,
            root: None,
        }
    }
}

impl Invocation {
    /// A suggestion as a line for a POSIX shell.
    pub fn hint(&self, suggestion: &Suggestion) -> String {
        match suggestion {
            Suggestion::RunFix => self.fix_command(),
            Suggestion::RunFixDropMissing if self.fix.iter().any(|word| word == DROP) => self.fix_command(),
            Suggestion::RunFixDropMissing => format!("{} {DROP}", self.fix_command()),
            Suggestion::EditManifest(edits) => {
                let mut commands: Vec<String> = edits.iter().map(|edit| self.edit_command(edit)).collect();
                // An added line may have dependencies.
                if edits.iter().any(|edit| !edit.add.is_empty()) {
                    commands.push(self.fix_command());
                }
                commands.join(" && ")
            }
            Suggestion::HideFile(file) => {
                let (directory, name) = file.rsplit_once('/').unwrap_or((".", file));
                let hidden = self.quoted_tree_path(&format!("{directory}/.{name}"));
                format!("mv {} {hidden}", self.quoted_tree_path(file))
            }
            Suggestion::RemoveLineRanges { file, lines } => {
                let ranges: Vec<String> =
                    lines.iter().map(|(first, last)| format!("{first},{last}d")).collect();
                format!("sed -i {} {}", quote(&ranges.join(";")), self.quoted_tree_path(file))
            }
            Suggestion::ChangeRelease => self.command_line([&words(["bump-coreos", "latest"]), &self.source]),
            Suggestion::CopySymlinkTarget { link, then } => {
                format!("{} && {}", self.copy_target_commands(link), self.hint(then))
            }
        }
    }

    /// The command that fixes the findings, with the options of this run.
    pub fn fix_command(&self) -> String {
        self.command_line([&self.command, &self.source, &self.image, &self.fix])
    }

    /// The command with the options that say where images come from, and a positional argument.
    pub fn command_with_argument(&self, argument: &str) -> String {
        let separator = if argument.starts_with('-') { words(["--"]) } else { Vec::new() };
        self.command_line([&self.command, &self.source, &self.image, &separator, &words([argument])])
    }

    /// The smoke test of the image of this run.
    pub fn smoketest_command(&self) -> String {
        self.command_line([&words(["smoketest"]), &self.source, &self.image])
    }

    /// `cargo xtask` with these arguments, in parts, for the tree of this run, as a line for a POSIX shell.
    pub fn command_line<'w>(&self, arguments: impl IntoIterator<Item = &'w Vec<String>>) -> String {
        let repo = self.repo.iter().flat_map(|repo| option_words("--repo", [repo.clone()]));
        let words = repo.chain(arguments.into_iter().flatten().cloned()).map(|word| quote(&word));
        std::iter::once(self.program.to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }

    fn edit_command(&self, ManifestEdit { file, add, remove }: &ManifestEdit) -> String {
        let remove = option_words("--remove", remove.iter().cloned());
        let add = option_words("--add", add.iter().cloned());
        self.command_line([&words(["edit-manifest", file]), &remove, &add])
    }

    /// A path of the tree as a word for the shell.
    fn quoted_tree_path(&self, path: &str) -> String {
        let root = self.root.as_ref().map_or_else(String::new, |root| format!("{root}/"));
        quote_path(&format!("{root}{path}"))
    }

    /// Replaces a link by a copy of the file or directory that it points to. Links in a directory become copies as
    /// well: their targets are relative to the place of the original.
    fn copy_target_commands(&self, link: &str) -> String {
        let (there, copy) = (self.quoted_tree_path(link), self.quoted_tree_path(&format!("{link}.own")));
        format!("cp -RL {there} {copy} && rm {there} && mv {copy} {there}")
    }
}

const DROP: &str = "--drop-missing";

/// An option with its values. A value that begins with `-` must be written as `--name=VALUE`.
pub(crate) fn option_words(name: &str, values: impl IntoIterator<Item = String>) -> Vec<String> {
    let (hyphenated, plain): (Vec<String>, Vec<String>) =
        values.into_iter().partition(|value| value.starts_with('-'));
    let mut words: Vec<String> = hyphenated.iter().map(|value| format!("{name}={value}")).collect();
    if !plain.is_empty() {
        words.push(name.to_owned());
        words.extend(plain);
    }
    words
}

/// Words as arguments of [`Invocation::command_line`].
pub(crate) fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "stage1/d/a.manifest";

    #[test]
    fn hint_repeats_the_options_of_the_run() {
        let verify = Invocation::default();
        let bump = Invocation {
            repo: Some("my tree".into()),
            command: words(["bump-coreos", "1032.0.0"]),
            source: words(["--mirror", "http://[::1]/"]),
            image: words(["--image", "a b.gz"]),
            fix: Vec::new(),
            root: Some("/home/me/my tree".into()),
            ..Invocation::default()
        };
        let removal = Suggestion::remove([(FILE, "bin/x"), ("stage1/e", "lib64/y"), (FILE, "bin/x")]);
        for (invocation, suggestion, hint) in [
            (&verify, Suggestion::RunFix, "cargo xtask verify-manifests --fix"),
            (&verify, Suggestion::RunFixDropMissing, "cargo xtask verify-manifests --fix --drop-missing"),
            (
                &bump,
                Suggestion::RunFixDropMissing,
                "cargo xtask --repo 'my tree' bump-coreos 1032.0.0 --mirror 'http://[::1]/' --image 'a b.gz' --drop-missing",
            ),
            (
                &verify,
                Suggestion::add(FILE, ["bin/x", "bin/a b"]),
                "cargo xtask edit-manifest stage1/d/a.manifest --add bin/x 'bin/a b' && cargo xtask verify-manifests --fix",
            ),
            (
                &verify,
                Suggestion::edit(FILE, ["bin/y"], Some("bin/x")),
                "cargo xtask edit-manifest stage1/d/a.manifest --remove bin/x --add bin/y && cargo xtask verify-manifests --fix",
            ),
            (
                &verify,
                removal,
                "cargo xtask edit-manifest stage1/d/a.manifest --remove bin/x && cargo xtask edit-manifest stage1/e --remove lib64/y",
            ),
            (
                &verify,
                Suggestion::remove([(FILE, "-x"), (FILE, "--fix"), (FILE, "bin/x")]),
                "cargo xtask edit-manifest stage1/d/a.manifest --remove=-x --remove=--fix --remove bin/x",
            ),
            (
                &bump,
                Suggestion::ChangeRelease,
                "cargo xtask --repo 'my tree' bump-coreos latest --mirror 'http://[::1]/'",
            ),
            (
                &verify,
                Suggestion::RunFix.after_copying(FILE),
                "cp -RL stage1/d/a.manifest stage1/d/a.manifest.own && rm stage1/d/a.manifest && mv stage1/d/a.manifest.own stage1/d/a.manifest && cargo xtask verify-manifests --fix",
            ),
            (
                &bump,
                Suggestion::RunFix.after_copying("d"),
                "cp -RL '/home/me/my tree/d' '/home/me/my tree/d.own' && rm '/home/me/my tree/d' && mv '/home/me/my tree/d.own' '/home/me/my tree/d' && cargo xtask --repo 'my tree' bump-coreos 1032.0.0 --mirror 'http://[::1]/' --image 'a b.gz'",
            ),
        ] {
            assert_eq!(invocation.hint(&suggestion), hint);
        }
    }
}
