//! The checks of a run as they come in: told on the way, kept for the report.

use crate::context::Context;
use crate::report::invocation::Invocation;
use crate::report::{Check, Outcome};
use coreos_types::release::{Board, Flavor};
use manifest::file::ManifestFile;
use manifest::suggestion::Suggestion;

/// Every check so far.
pub(super) struct Checks<'a> {
    context: &'a Context<'a>,
    again: Invocation,
    all: Vec<Check>,
}

impl<'a> Checks<'a> {
    /// `again` is the check of the manifests that mends what is found.
    pub(super) fn new(context: &'a Context<'a>, again: Invocation) -> Checks<'a> {
        Checks { context, again, all: Vec::new() }
    }

    /// The last line of a message: the command that mends it.
    pub(super) fn hint(&self, remedy: &Suggestion) -> String {
        format!("hint: {}", self.again.hint(remedy))
    }

    pub(super) fn into_inner(self) -> Vec<Check> {
        self.all
    }

    /// A check that a person wants to see go by.
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

    /// One of many that passed.
    pub(super) fn pass_quietly(
        &mut self,
        name: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.push(name, subject.into(), Outcome::Pass, message.into());
    }

    /// `file` is the manifest that lists the subject, or would.
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
        let listed = file.as_ref().map(|file| text(self.context, file));
        let line =
            listed.and_then(|text| text.entries().find(|(_, line)| *line == subject).map(|(at, _)| at + 1));
        self.all.push(Check { name, subject, outcome: Outcome::Fail, message, file, line });
    }

    pub(super) fn skip(&mut self, name: &'static str, subject: impl Into<String>, reason: impl Into<String>) {
        let (subject, message) = (subject.into(), reason.into());
        self.context.term.stage("skipped", format!("{name} {subject}: {message}"));
        self.push(name, subject, Outcome::Skip, message);
    }

    fn push(&mut self, name: &'static str, subject: String, outcome: Outcome, message: String) {
        self.all.push(Check { name, subject, outcome, message, file: None, line: None });
    }
}

/// The manifests of a flavor on a board that list a path, by their real paths; every one of them for `None`.
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
        text(context, file).entries().any(|(_, entry)| entry == path)
    };
    of_flavor.map(|listing| listing.file.clone()).filter(lists).collect()
}

fn text(context: &Context<'_>, file: &str) -> ManifestFile {
    ManifestFile::parse(context.sources.manifests.get(file).map_or(&[][..], Vec::as_slice))
}

/// The lines of a flavor's manifests, each with the manifest that has it.
pub(super) fn entries(context: &Context<'_>, board: Board, flavor: &Flavor) -> Vec<(String, String)> {
    let files = manifests(context, board, flavor, None);
    let of_file = |file: String| {
        text(context, &file).entries().map(|(_, entry)| (entry.to_owned(), file.clone())).collect::<Vec<_>>()
    };
    files.into_iter().flat_map(of_file).collect()
}

/// The manifest that a path would stand in, for a message: bash's for bash, journald's for the units of journald,
/// systemd's for the rest.
pub(super) fn home_of(context: &Context<'_>, board: Board, flavor: &Flavor, path: &str) -> String {
    let word = match path {
        "bin/bash" => "bash",
        unit if unit.contains("/system/") => "journald",
        _ => "systemd",
    };
    let files = manifests(context, board, flavor, None);
    let named = files.iter().find(|file| file.ends_with(&format!("/{word}.manifest")));
    named.or(files.first()).cloned().unwrap_or_else(|| format!("stage1/usr_from_{flavor}/manifest-{board}.d"))
}

/// The manifest that lists a path, else the one that it would stand in.
pub(super) fn home_beside(context: &Context<'_>, board: Board, flavor: &Flavor, path: &str) -> String {
    let homes = manifests(context, board, flavor, Some(path));
    homes.into_iter().next().unwrap_or_else(|| home_of(context, board, flavor, path))
}
