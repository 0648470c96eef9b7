//! How a run was called, so that the commands that mend what it found are called in the same way.

use coreos_types::release::Release;
use coreos_types::shell::quote;
use manifest::suggestion::{LineEdit, Suggestion};

/// The parts of a command line that a hint repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// `--repo DIR`, where the tree was named.
    pub repo: Option<String>,
    /// The command that mends: `verify-manifests --fix`, `bump-coreos 1032.0.0`.
    pub command: Vec<String>,
    /// The options that say where any release comes from, and who signs it.
    pub source: Vec<String>,
    /// The other options that decide what is found: the image, the boards, how far mending goes.
    pub options: Vec<String>,
    /// How the tree is reached from the current directory; `None` where it is the current directory.
    pub root: Option<String>,
}

impl Default for Invocation {
    fn default() -> Invocation {
        let command = words(["verify-manifests", "--fix"]);
        Invocation { repo: None, command, source: Vec::new(), options: Vec::new(), root: None }
    }
}

impl Invocation {
    /// A remedy as a line for a POSIX shell.
    pub fn hint(&self, remedy: &Suggestion) -> String {
        match remedy {
            Suggestion::Mend => self.mend(),
            Suggestion::DropMissing if self.options.iter().any(|word| word == DROP) => self.mend(),
            Suggestion::DropMissing => format!("{} {DROP}", self.mend()),
            Suggestion::Edit(edits) => {
                let mut commands: Vec<String> = edits.iter().map(|edit| self.edit(edit)).collect();
                // What is new may need something in turn.
                if edits.iter().any(|edit| !edit.add.is_empty()) {
                    commands.push(self.mend());
                }
                commands.join(" && ")
            }
            Suggestion::HideFile(file) => {
                let (directory, name) = file.rsplit_once('/').unwrap_or((".", file));
                format!("mv {} {}", self.in_tree(file), self.in_tree(&format!("{directory}/.{name}")))
            }
            Suggestion::OtherRelease => {
                self.tool(words(["bump-coreos", "latest"]).iter().chain(&self.source))
            }
            Suggestion::Own { link, then } => format!("{} && {}", self.own(link), self.hint(then)),
        }
    }

    /// The bump to another release than was asked for, with what it was asked for.
    pub fn bump(&self, release: &Release) -> String {
        let bump = words(["bump-coreos", release.as_str()]);
        self.tool(bump.iter().chain(&self.source).chain(&self.options))
    }

    fn mend(&self) -> String {
        self.tool(self.command.iter().chain(&self.source).chain(&self.options))
    }

    fn edit(&self, LineEdit { file, add, remove }: &LineEdit) -> String {
        let mut words = words(["edit-manifest", file]);
        for (option, lines) in [("--remove", remove), ("--add", add)] {
            if !lines.is_empty() {
                words.push(option.to_owned());
                words.extend(lines.iter().cloned());
            }
        }
        self.tool(&words)
    }

    /// A path of the tree as a word for the shell.
    fn in_tree(&self, path: &str) -> String {
        let root = self.root.as_ref().map_or_else(String::new, |root| format!("{root}/"));
        quote(&format!("{root}{path}"))
    }

    /// Puts a copy in the place of a link, file or folder. Links in a folder become copies as well: they were made for
    /// the place that it is in.
    fn own(&self, link: &str) -> String {
        let (there, copy) = (self.in_tree(link), self.in_tree(&format!("{link}.own")));
        format!("cp -RL {there} {copy} && rm {there} && mv {copy} {there}")
    }

    fn tool<'w>(&'w self, words: impl IntoIterator<Item = &'w String>) -> String {
        let mut line = "cargo xtask".to_owned();
        let repo = self.repo.iter().flat_map(|repo| ["--repo", repo.as_str()]);
        for word in repo.chain(words.into_iter().map(String::as_str)) {
            line.push(' ');
            line.push_str(&quote(word));
        }
        line
    }
}

const DROP: &str = "--drop-missing";

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "stage1/d/a.manifest";

    #[test]
    fn a_hint_repeats_how_the_run_was_called() {
        let verify = Invocation::default();
        let bump = Invocation {
            repo: Some("my tree".into()),
            command: words(["bump-coreos", "1032.0.0"]),
            source: words(["--mirror", "http://[::1]/"]),
            options: words(["--image", "a b.gz"]),
            root: Some("/home/me/my tree".into()),
        };
        let removal = Suggestion::remove([(FILE, "bin/x"), ("stage1/e", "lib64/y"), (FILE, "bin/x")]);
        for (again, remedy, hint) in [
            (&verify, Suggestion::Mend, "cargo xtask verify-manifests --fix"),
            (&verify, Suggestion::DropMissing, "cargo xtask verify-manifests --fix --drop-missing"),
            (
                &bump,
                Suggestion::DropMissing,
                "cargo xtask --repo 'my tree' bump-coreos 1032.0.0 --mirror 'http://[::1]/' --image 'a b.gz' --drop-missing",
            ),
            (
                &verify,
                Suggestion::add(FILE, ["bin/x", "bin/a b"]),
                "cargo xtask edit-manifest stage1/d/a.manifest --add bin/x 'bin/a b' && cargo xtask verify-manifests --fix",
            ),
            (
                &verify,
                Suggestion::replace(FILE, "bin/x", "bin/y"),
                "cargo xtask edit-manifest stage1/d/a.manifest --remove bin/x --add bin/y && cargo xtask verify-manifests --fix",
            ),
            (
                &verify,
                removal,
                "cargo xtask edit-manifest stage1/d/a.manifest --remove bin/x && cargo xtask edit-manifest stage1/e --remove lib64/y",
            ),
            (
                &bump,
                Suggestion::OtherRelease,
                "cargo xtask --repo 'my tree' bump-coreos latest --mirror 'http://[::1]/'",
            ),
            (
                &verify,
                Suggestion::Mend.behind(FILE),
                "cp -RL stage1/d/a.manifest stage1/d/a.manifest.own && rm stage1/d/a.manifest && mv stage1/d/a.manifest.own stage1/d/a.manifest && cargo xtask verify-manifests --fix",
            ),
            (
                &bump,
                Suggestion::Mend.behind("d"),
                "cp -RL '/home/me/my tree/d' '/home/me/my tree/d.own' && rm '/home/me/my tree/d' && mv '/home/me/my tree/d.own' '/home/me/my tree/d' && cargo xtask --repo 'my tree' bump-coreos 1032.0.0 --mirror 'http://[::1]/' --image 'a b.gz'",
            ),
        ] {
            assert_eq!(again.hint(&remedy), hint);
        }
    }
}
