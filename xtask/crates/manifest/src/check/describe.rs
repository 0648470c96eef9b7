//! The words of findings: what is wrong, why, and the command that mends it.

use std::collections::BTreeSet;

use crate::dependencies::{DependencyKind, OtherCopy, Unresolved};
use crate::exec_references::MissingExecutable;
use crate::finding::Severity;
use crate::known_dlopens::DlopenHint;
use crate::known_execs::MissingExec;
use crate::malformed_line::MalformedLine;
use crate::replacement::{Outcome, Replacement};
use crate::suggestion::Suggestion;
use coreos_types::release::Board;
use usr::elf::DlopenNote;
use usr::path::UsrPath;

/// What a finding says, apart from where it is.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) severity: Option<Severity>,
    pub(super) needed_by: Vec<String>,
    pub(super) candidates: Vec<String>,
    pub(super) message: String,
    pub(super) remedy: Suggestion,
}

impl Telling {
    pub(super) fn new(message: String, remedy: Suggestion) -> Telling {
        let (needed_by, candidates) = (Vec::new(), Vec::new());
        Telling { severity: None, needed_by, candidates, message, remedy }
    }

    fn by<'p>(mut self, paths: impl IntoIterator<Item = &'p UsrPath>) -> Telling {
        self.needed_by = texts(paths);
        self
    }

    fn or<'p>(mut self, paths: impl IntoIterator<Item = &'p UsrPath>) -> Telling {
        self.candidates = texts(paths);
        self
    }

    fn severity(mut self, severity: Severity) -> Telling {
        self.severity = Some(severity);
        self
    }

    pub(super) fn stray(stray: &MalformedLine) -> Telling {
        let mut telling = Telling::new(stray.because.clone(), Suggestion::Mend);
        telling.candidates.extend(stray.becomes.clone());
        telling
    }

    pub(super) fn outside() -> Telling {
        Telling::new(
            "the path leaves /usr, so no file of the image can be meant".into(),
            Suggestion::DropMissing,
        )
    }

    pub(super) fn successor(path: &UsrPath, found: &Replacement, file: &str) -> Telling {
        let missing = format!("{path} is not in the image");
        match &found.outcome {
            Outcome::Renamed(to) | Outcome::Moved(to) => {
                let message = format!("{missing}; {to} took its place: {}", found.reason);
                Telling::new(message, Suggestion::Mend).or([to])
            }
            Outcome::Redundant => {
                Telling::new(format!("{path} is pointless: {}", found.reason), Suggestion::Mend)
            }
            Outcome::Ambiguous(candidates) => {
                let choice = candidates.first().unwrap_or(path);
                let remedy = Suggestion::replace(file, path.as_str(), choice.as_str());
                Telling::new(format!("{missing}: {}", found.reason), remedy).or(candidates)
            }
            Outcome::NotFound(candidates) => {
                Telling::new(format!("{missing}: {}", found.reason), Suggestion::DropMissing).or(candidates)
            }
        }
    }

    pub(super) fn moved(line: &str, from: &UsrPath, to: &UsrPath, lines: usize) -> Telling {
        let more =
            if lines == 1 { line.to_owned() } else { format!("{line} and {} more of {from}", lines - 1) };
        Telling::new(format!("{more} moved: the image has them in {to}"), Suggestion::Mend).or([to])
    }

    pub(super) fn unlisted(name: &str, unmet: &Unresolved, lacking: &[&UsrPath], file: &str) -> Telling {
        let what = match &unmet.by {
            DependencyKind::Link => name.to_owned(),
            DependencyKind::Dlopen(feature) => format!("{name}, loaded by name for {feature}"),
            DependencyKind::Exec(source) => format!("{name}, which it starts ({source})"),
        };
        let has = lacking.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(" and ");
        let needs = needs(&unmet.needed_by);
        let message = match (&unmet.instead_of, &unmet.unsuitable) {
            (_, Some((other, reason))) => format!(
                "{needs} {what}; the image's loader takes {has}, which {file} does not list, and {other} does not serve: \
                 {reason}"
            ),
            (None, None) => format!("{needs} {what}; the image has {has}, which {file} does not list"),
            (Some((now, sure)), None) => format!(
                "{needs} {what}; {sure} leads to it through {has}, which {file} does not list, and without that \
                 only {now} does"
            ),
        };
        Telling::new(message, Suggestion::Mend).by(&unmet.needed_by).or(lacking.iter().copied())
    }

    pub(super) fn nowhere(name: &str, unmet: &Unresolved, remedy: Suggestion) -> Telling {
        let looked =
            if unmet.searched.is_empty() { "the whole image".to_owned() } else { unmet.searched.join(", ") };
        let message =
            format!("{} {name}, which is nowhere in the image (looked in {looked})", needs(&unmet.needed_by));
        Telling::new(message, remedy).by(&unmet.needed_by)
    }

    pub(super) fn version(
        library: &UsrPath,
        version: &str,
        needed_by: &BTreeSet<UsrPath>,
        remedy: Suggestion,
    ) -> Telling {
        let message =
            format!("{} version {version} of {library}, which does not define it", needs(needed_by));
        Telling::new(message, remedy).by(needed_by)
    }

    pub(super) fn dangling(
        path: &UsrPath,
        target: &str,
        lacking: &[&UsrPath],
        file: &str,
        remedy: Suggestion,
    ) -> Telling {
        let names = lacking.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(" and ");
        let message = format!("{path} is a link to {target}, and {file} does not list {names}");
        Telling::new(message, remedy).by([path]).or(lacking.iter().copied())
    }

    pub(super) fn dangling_in_image(path: &UsrPath, end: &UsrPath, remedy: Suggestion) -> Telling {
        Telling::new(format!("{path} leads to {end}, which is not in the image"), remedy)
    }

    pub(super) fn link_loop(path: &UsrPath, remedy: Suggestion) -> Telling {
        Telling::new(format!("{path} leads round in circles: more than 40 links"), remedy)
    }

    pub(super) fn wrong_machine(path: &UsrPath, machine: u16, board: Board, remedy: Suggestion) -> Telling {
        let message = format!(
            "{path} is for ELF machine {machine}; {board} is {} ({})",
            board.elf_machine(),
            board.machine()
        );
        Telling::new(message, remedy)
    }

    pub(super) fn unfit(
        path: &UsrPath,
        why: &str,
        needed_by: &BTreeSet<UsrPath>,
        remedy: Suggestion,
    ) -> Telling {
        let message = format!("{} {path}, which cannot be loaded: {why}", needs(needed_by));
        Telling::new(message, remedy).by(needed_by)
    }

    pub(super) fn broken(path: &UsrPath, why: &str, remedy: Suggestion) -> Telling {
        Telling::new(format!("{path} starts as an ELF file and cannot be read as one: {why}"), remedy)
    }

    pub(super) fn unit(absent: &MissingExecutable, file: &str) -> Telling {
        Telling::of_unit(absent, "listed", Suggestion::add(file, [&absent.program]))
    }

    pub(super) fn unit_without_program(absent: &MissingExecutable, remedy: Suggestion) -> Telling {
        Telling::of_unit(absent, "in the image", remedy)
    }

    fn of_unit(absent: &MissingExecutable, not: &str, remedy: Suggestion) -> Telling {
        let message = format!("{} says {:?}, and {} is not {not}", absent.by, absent.says, absent.program);
        let severity = if absent.optional { Severity::Advice } else { Severity::Warning };
        Telling::new(message, remedy).by([&absent.by]).severity(severity)
    }

    pub(super) fn script(absent: &MissingExecutable, file: &str) -> Telling {
        let message =
            format!("{} starts with {:?}, and {} is not listed", absent.by, absent.says, absent.program);
        Telling::new(message, Suggestion::add(file, [&absent.program])).by([&absent.by])
    }

    pub(super) fn journald(there: &UsrPath, lacking: &UsrPath, file: &str) -> Telling {
        let message =
            format!("{there} is listed without {lacking}: nothing that a unit prints would be seen");
        Telling::new(message, Suggestion::add(file, [lacking])).by([there]).severity(Severity::Warning)
    }

    pub(super) fn started_on_request(exec: &MissingExec, file: &str) -> Telling {
        let program = joined(&exec.chain);
        let message = format!("{} may start {program} ({})", exec.by, exec.row.source);
        Telling::new(message, Suggestion::add(file, &exec.chain)).by([&exec.by]).or(&exec.chain)
    }

    pub(super) fn other_copy(copy: &OtherCopy, file: &str) -> Telling {
        let OtherCopy { selected, chain, how, needed_by } = copy;
        let message = format!(
            "{needed_by} loads {} in the image, by the {how}; {file} lists {selected} instead",
            joined(chain)
        );
        Telling::new(message, Suggestion::add(file, chain)).by([needed_by]).or(chain)
    }

    pub(super) fn by_name(found: &DlopenHint, file: &str) -> Telling {
        let message =
            format!("{} may load {} by name: {}", found.by, joined(&found.libraries), found.because);
        Telling::new(message, Suggestion::add(file, &found.libraries)).by([&found.by]).or(&found.libraries)
    }

    pub(super) fn notes(path: &UsrPath, notes: &[(UsrPath, &DlopenNote)], file: &str) -> Telling {
        let what = |(library, note): &(UsrPath, &DlopenNote)| {
            format!("{library} for {} ({})", note.feature, note.priority.id())
        };
        let message =
            format!("{path} may load by name {}", notes.iter().map(what).collect::<Vec<_>>().join(", "));
        let libraries: Vec<UsrPath> = notes.iter().map(|(library, _)| library.clone()).collect();
        Telling::new(message, Suggestion::add(file, &libraries)).by([path]).or(&libraries)
    }
}

fn texts<'p>(paths: impl IntoIterator<Item = &'p UsrPath>) -> Vec<String> {
    paths.into_iter().map(ToString::to_string).collect()
}

fn joined(paths: &[UsrPath]) -> String {
    paths.iter().map(UsrPath::as_str).collect::<Vec<_>>().join(", ")
}

fn needs(consumers: &BTreeSet<UsrPath>) -> String {
    let mut names = consumers.iter();
    match (names.next(), consumers.len()) {
        (Some(only), 1) => format!("{only} needs"),
        (Some(first), count) => format!("{first} and {} more need", count - 1),
        (None, _) => "something needs".to_owned(),
    }
}
