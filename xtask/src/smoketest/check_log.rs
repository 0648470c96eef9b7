//! The checks of a run in order: printed immediately, and recorded for the report.

use crate::context::Context;
use crate::report::invocation::Invocation;
use crate::report::{Check, Outcome};
use coreos_types::release::{Board, Flavor};
use manifest::file::ManifestFile;
use manifest::suggestion::Suggestion;

/// Every check so far.
pub(super) struct CheckLog<'a> {
    context: &'a Context<'a>,
    fix: Invocation,
    checks: Vec<Check>,
}

impl<'a> CheckLog<'a> {
    /// Creates an empty log; `fix` is the command line that fixes the manifests.
    pub(super) fn new(context: &'a Context<'a>, fix: Invocation) -> CheckLog<'a> {
        CheckLog { context, fix, checks: Vec::new() }
    }

    pub(super) fn command(&self, suggestion: &Suggestion) -> String {
        self.fix.hint(suggestion)
    }

    /// A suggestion as the last line of a message.
    pub(super) fn hint(&self, suggestion: &Suggestion) -> String {
        format!("hint: {}", self.command(suggestion))
    }

    pub(super) fn into_inner(self) -> Vec<Check> {
        self.checks
    }

    /// Records and prints a passed check.
    pub(super) fn pass(
        &mut self,
        name: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) {
        let (subject, message) = (subject.into(), message.into());
        self.context.term.stage("passed", format!("{name} {subject}: {message}"));
        self.push(name, subject, Outcome::Pass, message);
    }

    /// Records one of many checks that passed.
    pub(super) fn pass_quietly(
        &mut self,
        name: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.push(name, subject.into(), Outcome::Pass, message.into());
    }

    /// Records a check that failed. `file` is the manifest that lists the subject, or should.
    pub(super) fn fail(
        &mut self,
        name: &'static str,
        subject: impl Into<String>,
        file: Option<String>,
        message: impl Into<String>,
    ) {
        let (subject, message) = (subject.into(), message.into());
        let first = message.lines().next().unwrap_or_default();
        self.context.term.warn(format!("{name} {subject}: {first}"));
        let manifest = file.as_ref().map(|file| parse(self.context, file));
        let line = manifest.and_then(|manifest| {
            manifest.entries().find(|(_, entry)| *entry == subject).map(|(index, _)| index + 1)
        });
        self.checks.push(Check { name, subject, outcome: Outcome::Fail, message, file, line });
    }

    /// Records a skipped check.
    pub(super) fn skip(&mut self, name: &'static str, subject: impl Into<String>, reason: impl Into<String>) {
        let (subject, message) = (subject.into(), reason.into());
        let first = message.lines().next().unwrap_or_default();
        self.context.term.stage("skipped", format!("{name} {subject}: {first}"));
        self.push(name, subject, Outcome::Skip, message);
    }

    fn push(&mut self, name: &'static str, subject: String, outcome: Outcome, message: String) {
        self.checks.push(Check { name, subject, outcome, message, file: None, line: None });
    }
}

/// Most further subjects of one failure in a message.
const MAX_NAMED: usize = 8;

/// The other subjects of a failure, with their number, for its message; nothing for none.
pub(super) fn and_others(others: &[impl AsRef<str>]) -> String {
    if others.is_empty() {
        return String::new();
    }
    let mut names: Vec<&str> = others.iter().take(MAX_NAMED).map(AsRef::as_ref).collect();
    let more = format!("{} more", others.len().saturating_sub(MAX_NAMED));
    if others.len() > MAX_NAMED {
        names.push(&more);
    }
    format!(
        "\nthe same for {} other {}: {}",
        others.len(),
        if others.len() == 1 { "path" } else { "paths" },
        names.join(", ")
    )
}

/// The manifests of a flavor on a board that list a path, by their real paths; all for `None`.
pub(super) fn manifests(
    context: &Context<'_>,
    board: Board,
    flavor: &Flavor,
    path: Option<&str>,
) -> Vec<String> {
    let listings = context.sources.listings.iter();
    let of_flavor = listings.filter(|listing| listing.board == board && listing.flavor == *flavor);
    let lists = |file: &String| {
        let Some(path) = path else { return true };
        parse(context, file).entries().any(|(_, entry)| entry == path)
    };
    of_flavor.map(|listing| listing.file.clone()).filter(lists).collect()
}

fn parse(context: &Context<'_>, file: &str) -> ManifestFile {
    ManifestFile::parse(context.sources.manifests.get(file).map_or(&[][..], Vec::as_slice))
}

/// The entries of a flavor's manifests, each with its manifest.
pub(super) fn entries(context: &Context<'_>, board: Board, flavor: &Flavor) -> Vec<(String, String)> {
    let files = manifests(context, board, flavor, None);
    let of_file = |file: String| {
        parse(context, &file).entries().map(|(_, entry)| (entry.to_owned(), file.clone())).collect::<Vec<_>>()
    };
    files.into_iter().flat_map(of_file).collect()
}

/// The manifest that should list a path: bash's for bash, journald's for the units of journald, systemd's for the rest.
pub(super) fn manifest_for(context: &Context<'_>, board: Board, flavor: &Flavor, path: &str) -> String {
    let word = match path {
        "bin/bash" => "bash",
        unit if unit.contains("/system/") => "journald",
        _ => "systemd",
    };
    let files = manifests(context, board, flavor, None);
    let named = files.iter().find(|file| file.ends_with(&format!("/{word}.manifest")));
    named.or(files.first()).cloned().unwrap_or_else(|| format!("stage1/usr_from_{flavor}/manifest-{board}.d"))
}

/// The manifest that lists a path, else the one that should list it.
pub(super) fn listing_manifest(context: &Context<'_>, board: Board, flavor: &Flavor, path: &str) -> String {
    let listing = manifests(context, board, flavor, Some(path));
    listing.into_iter().next().unwrap_or_else(|| manifest_for(context, board, flavor, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_subjects_are_counted_and_some_named() {
        assert_eq!(and_others(&[""; 0]), "");
        assert_eq!(and_others(&["a"]), "\nthe same for 1 other path: a");
        let many: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(and_others(&many), "\nthe same for 10 other paths: 0, 1, 2, 3, 4, 5, 6, 7, 2 more");
    }
}
