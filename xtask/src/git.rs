//! Commits exactly the files that a bump changed, without running a program of the repository's own configuration: no
//! hook, file system monitor, filter or remote helper.
//!
//! A copied checkout includes `.git/config` and `.git/hooks`, and both may name programs. So the commit is made with
//! plumbing commands: files are hashed without filters into a temporary index, and the message is passed on standard
//! input.

mod git_dir;
mod timed_output;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use xshell::{Shell, cmd};

use self::git_dir::GitDir;
use crate::report::source_links::SourceLinks;
use crate::signals::TempPath;
use coreos_types::{
    Error, ErrorExt, Result, ResultExt,
    shell::{quote, quote_path},
};

/// Configuration that overrides the repository's own.
const OVERRIDES: [&str; 7] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.sshCommand=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "log.showSignature=false",
];

/// Variables that locate another repository than the tree's, as git sets them for hooks (`git rev-parse
/// --local-env-vars`).
const LOCATIONS: [&str; 9] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Programs that sign a commit: for each its configuration keys, which are synonyms for git, and the default program.
/// The values are read from the user's configuration only.
const SIGNERS: [(&[&str], &str); 4] = [
    (&["gpg.openpgp.program", "gpg.program"], "gpg"),
    (&["gpg.x509.program"], "gpgsm"),
    (&["gpg.ssh.program"], "ssh-keygen"),
    (&["gpg.ssh.defaultKeyCommand"], "false"),
];

/// Time limit of a git command: a file of the repository may be a pipe that nothing writes to.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// The same of a command that signs: the user may have to enter a passphrase.
const SIGNING_TIME_LIMIT: Duration = Duration::from_secs(3600);

/// Checks that there is a repository to commit to.
///
/// # Errors
/// The tree is not inside a git repository, or git does not start.
pub fn check_repository(root: &Path) -> Result<()> {
    Git::open(root).map(drop)
}

/// Checks, before anything is written, that [`commit`] can succeed and will include no other changes.
///
/// # Errors
/// The tree is not inside a git repository, the repository has no commit, its index is locked, a merge is in progress,
/// git knows no author, a path that git would write is a symlink, or one of `files` (relative to `root`) has uncommitted
/// changes or is not tracked.
pub fn check_committable(root: &Path, files: &[&str]) -> Result<()> {
    let git = Git::open(root)?;
    git.run(&["rev-parse", "--quiet", "--verify", "HEAD"])
        .map_err(|_| Error::failed("the git repository has no commit yet"))
        .with_hint("git add --all && git commit, or omit --commit")?;
    let lock = git.git_path("index.lock")?;
    if lock.symlink_metadata().is_ok() {
        return Err(Error::failed(format!(
            "{} exists: another git process is changing the index",
            lock.display()
        ))
        .with_hint(format!("wait for it; if none runs: rm {}", quote_path(&lock.to_string_lossy()))));
    }
    if git.run(&["rev-parse", "--quiet", "--verify", "MERGE_HEAD"]).is_ok() {
        let why = "a merge is in progress, and git cannot commit single files during a merge";
        return Err(Error::failed(why).with_hint("git merge --continue, or git merge --abort"));
    }
    for ident in ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"] {
        git.run(&["var", ident])
            .with_context(|| "git user.name and user.email are not set")
            .with_hint("git config user.name NAME; git config user.email ADDRESS")?;
    }
    git.check_git_dir()?;
    let mut changed = Vec::new();
    for file in files {
        let (mode, oid) = git.head_entry(file)?;
        let staged = git.run(&["ls-files", "--stage", "-z", "--", file])?;
        let bytes = fs::read(root.join(file)).with_context(|| format!("cannot read {file}"))?;
        if !staged.starts_with(&format!("{mode} {oid} 0\t")) || git.hash_object(&bytes, false)? != oid {
            changed.push(*file);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    let words = changed.iter().map(|file| quote(file)).collect::<Vec<_>>().join(" ");
    let changed = changed.join(", ");
    Err(Error::failed(format!("{changed} has uncommitted changes, which --commit would include"))
        .with_cause("a commit of a bump has exactly the lines that the bump changed")
        .with_hint(format!("git stash push -- {words}")))
}

/// Commits exactly `files` (relative to `root`), whatever else is staged, and returns the commit's short name.
///
/// # Errors
/// git fails: nothing is committed then.
pub fn commit(root: &Path, files: &[&str], message: &str) -> Result<String> {
    let git = Git::open(root)?;
    git.commit(files, message)
        .with_context(|| "git did not commit the change")
        .with_hint("git status; then run it again, or omit --commit")
}

struct Git<'a> {
    shell: Shell,
    root: &'a Path,
    /// The path of `root` in the checkout: empty, or ending in a slash.
    prefix: String,
}

impl Git<'_> {
    fn open(root: &Path) -> Result<Git<'_>> {
        let shell = Shell::new().with_context(|| "the current directory cannot be used")?;
        // No remote helper, even if objects are missing (partial clones), and no prompt.
        shell.set_var("GIT_ALLOW_PROTOCOL", "none");
        shell.set_var("GIT_NO_LAZY_FETCH", "1");
        shell.set_var("GIT_TERMINAL_PROMPT", "0");
        if let Some(git_dir) = GitDir::find(root) {
            git_dir.check_files()?;
        }
        let mut git = Git { shell, root, prefix: String::new() };
        git.disable_filters()?;
        git.prefix = git
            .run(&["rev-parse", "--show-prefix"])
            .map(|prefix| prefix.trim_end_matches('\n').to_owned())
            .with_context(|| format!("{} is not inside a git repository", root.display()))
            .with_hint("omit --commit")?;
        Ok(git)
    }

    /// Overrides every filter that is configured: writing an index compares files that were changed a moment ago, and
    /// that comparison would run them.
    fn disable_filters(&self) -> Result<()> {
        let list =
            ["config", "-z", "--name-only", "--get-regexp", r"^filter\..*\.(clean|smudge|process|required)$"];
        // Without a filter the status is an error, too.
        let names = String::from_utf8_lossy(&self.output(&list, b"")?.stdout).into_owned();
        let names: Vec<&str> = names.split_terminator('\0').collect();
        for (index, name) in names.iter().enumerate() {
            self.shell.set_var(format!("GIT_CONFIG_KEY_{index}"), name);
            let value = if name.ends_with(".required") { "false" } else { "" };
            self.shell.set_var(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        self.shell.set_var("GIT_CONFIG_COUNT", names.len().to_string());
        Ok(())
    }

    fn commit(&self, files: &[&str], message: &str) -> Result<String> {
        self.check_git_dir()?;
        let head = self.run(&["rev-parse", "--verify", "HEAD"])?;
        let head = head.trim();
        let mut entries = Vec::new();
        for file in files {
            let (mode, _) = self.head_entry(file)?;
            let bytes = fs::read(self.root.join(file)).with_context(|| format!("cannot read {file}"))?;
            let oid = self.hash_object(&bytes, true)?;
            entries.extend(format!("{mode} {oid}\t{}{file}\0", self.prefix).into_bytes());
        }
        let update_index = || self.run_with_input(&["update-index", "-z", "--index-info"], &entries);
        let own_index = TempPath::create_dir(".xtask-index")?;
        let variable = self.shell.push_env("GIT_INDEX_FILE", own_index.path().join("index"));
        self.run(&["read-tree", head])?;
        update_index()?;
        let tree = self.run(&["write-tree"])?;
        drop(variable);
        let mut arguments = vec!["commit-tree", tree.trim(), "-p", head, "-F", "-"];
        if self.user_config("commit.gpgSign").is_some_and(|value| value == "true") {
            arguments.push("-S");
        }
        let made = self.run_with_input(&arguments, message.as_bytes())?;
        let subject = message.lines().next().unwrap_or_default();
        self.run(&["update-ref", "-m", &format!("commit: {subject}"), "HEAD", made.trim(), head])?;
        // The commit exists; if the index cannot be updated, git status shows the files as changed.
        let _ = update_index();
        let name = self.run(&["rev-parse", "--short", made.trim()]);
        Ok(name.map_or_else(|_| "HEAD".to_owned(), |name| name.trim().to_owned()))
    }

    /// The mode and the object ID of a file in the last commit, which must have it.
    fn head_entry(&self, file: &str) -> Result<(String, String)> {
        let listed = self.run(&["ls-tree", "-z", "HEAD", "--", file])?;
        // MODE TYPE OID\tPATH
        match listed.split([' ', '\t']).collect::<Vec<_>>()[..] {
            [mode, "blob", oid, ..] => Ok((mode.to_owned(), oid.to_owned())),
            _ => Err(self.untracked_error(file)),
        }
    }

    /// The object ID of `bytes` as a blob, without filters.
    fn hash_object(&self, bytes: &[u8], writes_object: bool) -> Result<String> {
        let write: &[&str] = if writes_object { &["-w"] } else { &[] };
        let arguments = [&["hash-object"], write, &["--no-filters", "--stdin"]].concat();
        self.run_with_input(&arguments, bytes).map(|oid| oid.trim().to_owned())
    }

    fn untracked_error(&self, file: &str) -> Error {
        // git stash does not stash untracked files, so the hint is another one.
        let ignored =
            self.run(&["ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", file]);
        let is_ignored = ignored.is_ok_and(|names| !names.is_empty());
        let (force, word) = (if is_ignored { " --force" } else { "" }, quote(file));
        Error::failed(format!("--commit cannot commit {file}: git does not track it"))
            .with_cause("a commit of a bump has exactly the lines that the bump changed, not whole new files")
            .with_hint(format!("git add{force} -- {word} && git commit -- {word}, or omit --commit"))
    }

    /// The path of a file of the git directory.
    fn git_path(&self, name: &str) -> Result<PathBuf> {
        let path = self.run(&["rev-parse", "--git-path", name])?;
        Ok(self.root.join(path.trim_end_matches('\n')))
    }

    /// Refuses a repository of another checkout, and one in which a file that git writes is a symlink: git would write
    /// to its target.
    fn check_git_dir(&self) -> Result<()> {
        let directory = self.output(&["rev-parse", "--absolute-git-dir"], b"")?.stdout;
        let directory = Path::new(OsStr::from_bytes(directory.strip_suffix(b"\n").unwrap_or_default()));
        let git_dir = GitDir::find(self.root).filter(|git_dir| git_dir.is_same(directory));
        let git_dir = git_dir.ok_or_else(|| {
            // git skips a .git without a repository, and uses a directory that is a repository itself.
            let (found, root) = (directory.display(), self.root.display());
            Error::failed(format!("git would commit to {found}, which is not the .git of {root}"))
                .with_hint("omit --commit, and use git commit")
        })?;
        git_dir.check_owns_checkout(|config| {
            let value = self.run(&["config", "--file", config.to_str()?, "--get", "core.worktree"]).ok()?;
            Some(value.trim_end_matches('\n').to_owned())
        })?;
        let branch = self.run(&["symbolic-ref", "--quiet", "HEAD"]).unwrap_or_default();
        let branch = branch.trim();
        let log = format!("logs/{branch}");
        for name in ["index", "HEAD", "packed-refs", "objects", "logs/HEAD", branch, &log] {
            let path = self.git_path(name)?;
            let below = path.ancestors().take_while(|part| *part != directory && part.starts_with(directory));
            if let Some(link) = below.into_iter().find(|part| part.is_symlink()) {
                let link = link.display();
                return Err(Error::failed(format!("{link} is a symlink: git would write to its target"))
                    .with_hint("omit --commit, and use git commit"));
            }
        }
        Ok(())
    }

    /// A value of the user's own configuration, never the repository's.
    fn user_config(&self, key: &str) -> Option<String> {
        let read = |scope| {
            let value = cmd!(self.shell, "git config {scope} --get {key}").quiet().ignore_stderr().read();
            value.ok().filter(|value| !value.is_empty())
        };
        read("--global").or_else(|| read("--system"))
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_with_input(arguments, b"")
    }

    fn run_with_input(&self, arguments: &[&str], stdin: &[u8]) -> Result<String> {
        let output = self.output(arguments, stdin)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let verb = arguments.first().copied().unwrap_or_default();
        let cause = if stderr.is_empty() { output.status.to_string() } else { stderr };
        Err(Error::failed(format!("git {verb} failed")).with_cause(cause))
    }

    fn output(&self, arguments: &[&str], stdin: &[u8]) -> Result<Output> {
        let root = self.root;
        let mut overrides = OVERRIDES.map(str::to_owned).to_vec();
        let mut limit = TIME_LIMIT;
        if arguments.contains(&"-S") {
            limit = SIGNING_TIME_LIMIT;
            for (keys, default) in SIGNERS {
                let program = keys.iter().find_map(|key| self.user_config(key));
                let program = program.unwrap_or_else(|| default.to_owned());
                overrides.extend(keys.iter().map(|key| format!("{key}={program}")));
            }
        }
        let overrides = overrides.iter().flat_map(|value| ["-c", value]);
        // File names are literal, not patterns.
        let git = cmd!(self.shell, "git --literal-pathspecs {overrides...} -C {root} {arguments...}");
        let mut git = Command::from(git);
        let is_inherited = |name: &str| env::var_os(name) == self.shell.var_os(name);
        for name in LOCATIONS.into_iter().filter(|name| is_inherited(name)) {
            git.env_remove(name);
        }
        let output = timed_output::output_within(git, stdin, limit)
            .with_context(|| "cannot run git")
            .with_hint("install git, or omit --commit")?;
        let verb = arguments.first().copied().unwrap_or_default();
        output.ok_or_else(|| {
            let why = "a file of the repository may be a pipe or a device, which git waits for";
            Error::failed(format!("git {verb} did not end within {} s", limit.as_secs()))
                .with_cause(why)
                .with_hint("examine the .git directory, or omit --commit")
        })
    }
}

/// Links to the tree's files on the web at the current commit; `None` outside a checkout or for an unknown host.
pub fn source_links(root: &Path) -> Option<SourceLinks> {
    let git = Git::open(root).ok()?;
    let remote = git.run(&["config", "--get", "remote.origin.url"]).ok()?;
    let head = git.run(&["rev-parse", "HEAD"]).ok()?;
    SourceLinks::from_remote(&remote, head.trim(), &git.prefix)
}

/// Whether git tracks anything at or below `path` (relative to `root`). Without git, or outside a checkout: no.
pub fn has_tracked_files(root: &Path, path: &str) -> bool {
    let tracked = Git::open(root).and_then(|git| git.run(&["ls-files", "-z", "--", path]));
    tracked.is_ok_and(|names| !names.is_empty())
}
