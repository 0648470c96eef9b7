//! One commit of exactly the files that a bump changed (git, through xshell).

use std::fs;
use std::path::Path;

use xshell::{Shell, cmd};

use crate::report::source_links::SourceLinks;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::shell::quote;

/// Makes sure that there is a repository to commit to.
///
/// # Errors
/// The tree is not inside a git repository, or git does not start.
pub fn ensure_repository(root: &Path) -> Result<()> {
    Git::at(root)?
        .run(&["rev-parse", "--show-toplevel"])
        .map_err(|fault| fault.context(format!("{} is not inside a git repository", root.display())))
        .map_err(|fault| fault.with_hint("omit --commit"))?;
    Ok(())
}

/// Makes sure, before anything is written, that [`commit`] can work and will hold nothing of anyone else.
///
/// # Errors
/// When the tree is in no git checkout, a merge is under way, git knows no author, or one of `files` (relative to
/// `root`) has changes of its own or is not tracked.
pub fn ensure_clean(root: &Path, files: &[&str]) -> Result<()> {
    ensure_repository(root)?;
    let git = Git::at(root)?;
    if git.run(&["rev-parse", "--quiet", "--verify", "MERGE_HEAD"]).is_ok() {
        return Err(Error::failed("a merge is under way, and git commits no single files in one")
            .with_hint("git merge --continue, or git merge --abort"));
    }
    for who in ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"] {
        git.run(&["var", who])
            .map_err(|fault| fault.context("git user.name and user.email are not set"))
            .map_err(|fault| fault.with_hint("git config user.name NAME; git config user.email ADDRESS"))?;
    }
    let status = ["status", "--porcelain=v1", "--no-renames", "--untracked-files=all", "--ignored", "-z"];
    let status = git.run(&with_files(&status, files))?;
    let (unknown, changed): (Vec<&str>, Vec<&str>) = status
        .split('\0')
        .filter(|entry| entry.len() > 3)
        .partition(|entry| entry.starts_with("??") || entry.starts_with("!!"));
    if let Some(entry) = unknown.first() {
        // A stash leaves alone what git does not know, so the way out is another one.
        let force = if entry.starts_with("!!") { " --force" } else { "" };
        return Err(Error::failed(format!(
            "--commit cannot commit {}: git does not track it",
            names(&unknown, ", ")
        ))
        .with_cause("a bump's commit holds exactly what the bump changed, not a whole file")
        .with_hint(format!(
            "git add{force} -- {0} && git commit -- {0}, or omit --commit",
            quoted_names(&unknown)
        )));
    }
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::failed(format!(
        "{} has uncommitted changes, which --commit would include",
        names(&changed, ", ")
    ))
    .with_cause("a bump's commit holds exactly what the bump changed")
    .with_hint(format!("git stash push -- {}", quoted_names(&changed))))
}

/// The paths of the entries of `git status`: each has two letters and a blank in front.
fn names(entries: &[&str], separator: &str) -> String {
    entries.iter().filter_map(|entry| entry.get(3..)).collect::<Vec<_>>().join(separator)
}

/// The paths as words for a POSIX shell.
fn quoted_names(entries: &[&str]) -> String {
    entries.iter().filter_map(|entry| entry.get(3..)).map(quote).collect::<Vec<_>>().join(" ")
}

/// Commits exactly `files` (relative to `root`), whatever else is staged, and returns the commit's short name.
///
/// # Errors
/// When git refuses, as a hook may: nothing is committed then.
pub fn commit(root: &Path, files: &[&str], message: &str) -> Result<String> {
    let git = Git::at(root)?;
    // A file, not standard input: a hook may say no before git has read that, and what it said would be lost in a
    // broken pipe.
    let place = git.run(&["rev-parse", "--git-path", "XTASK_COMMIT_MSG"])?;
    let file = root.join(place.trim_end());
    let about = || format!("cannot write the message of the commit to {}", file.display());
    fs::write(&file, message).with_context(about)?;
    let from = format!("--file={}", place.trim_end());
    let made = git.run(&with_files(&["commit", "--quiet", "--only", &from], files));
    // One that stays is written over by the next.
    let _ = fs::remove_file(&file);
    made.map_err(|fault| fault.context("git did not commit the change, so nothing is changed"))
        .map_err(|fault| fault.with_hint("fix the git error and retry, or omit --commit"))?;
    // The commit is made, whatever it is called.
    Ok(git
        .run(&["rev-parse", "--short", "HEAD"])
        .map_or_else(|_| "HEAD".to_owned(), |name| name.trim().to_owned()))
}

/// Where the tree is on the web at its current commit; `None` where git does not know, or the host is none whose pages
/// are known.
pub fn source_links(root: &Path) -> Option<SourceLinks> {
    let git = Git::at(root).ok()?;
    let remote = git.run(&["config", "--get", "remote.origin.url"]).ok()?;
    let head = git.run(&["rev-parse", "HEAD"]).ok()?;
    let prefix = git.run(&["rev-parse", "--show-prefix"]).ok()?;
    SourceLinks::from_remote(&remote, head.trim(), prefix.trim_end_matches('\n'))
}

fn with_files<'a>(arguments: &[&'a str], files: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().copied().chain(["--"]).chain(files.iter().copied()).collect()
}

struct Git<'a> {
    shell: Shell,
    root: &'a Path,
}

impl Git<'_> {
    fn at(root: &Path) -> Result<Git<'_>> {
        let shell = Shell::new().with_context(|| "the current directory cannot be used")?;
        Ok(Git { shell, root })
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let root = self.root;
        // A file name is a file name, whatever signs it holds.
        let git = cmd!(self.shell, "git --literal-pathspecs -C {root} {arguments...}");
        let output = git
            .quiet()
            .ignore_status()
            .output()
            .with_context(|| "git does not start")
            .map_err(|fault| fault.with_hint("install git, or omit --commit"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let verb = arguments.first().copied().unwrap_or_default();
        Err(Error::failed(format!("git {verb} failed")).with_cause(if said.is_empty() {
            output.status.to_string()
        } else {
            said
        }))
    }
}
