//! The words of findings: what is wrong, why, and the command that mends it.

use std::collections::BTreeSet;

use crate::coreos::Board;
use crate::manifest::byname::ByName;
use crate::manifest::finding::Severity;
use crate::manifest::form::Stray;
use crate::manifest::needs::{Asking, Unmet};
use crate::manifest::successor::{Fate, Successor};
use crate::manifest::units::Absent;
use crate::usr::elf::DlopenNote;
use crate::usr::path::UsrPath;

const FIX: &str = "cargo xtask verify-manifests --fix";

/// What a finding says, apart from where it is.
#[derive(Debug, Default)]
pub(super) struct Telling {
    pub(super) severity: Option<Severity>,
    pub(super) needed_by: Vec<String>,
    pub(super) candidates: Vec<String>,
    pub(super) message: String,
    pub(super) hint: String,
}

impl Telling {
    fn new(message: String, hint: impl Into<String>) -> Telling {
        Telling { message, hint: hint.into(), ..Telling::default() }
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

    pub(super) fn stray(stray: &Stray) -> Telling {
        let mut telling = Telling::new(stray.because.clone(), FIX);
        telling.candidates.extend(stray.becomes.clone());
        telling
    }

    pub(super) fn outside() -> Telling {
        Telling::new(
            "the path leaves /usr, so no file of the image can be meant".into(),
            format!("{FIX} --drop-missing"),
        )
    }

    pub(super) fn successor(path: &UsrPath, found: &Successor, file: &str) -> Telling {
        let missing = format!("{path} is not in the image");
        match &found.fate {
            Fate::Renamed(to) | Fate::Moved(to) => {
                Telling::new(format!("{missing}; {to} took its place: {}", found.because), FIX).or([to])
            }
            Fate::Pointless => Telling::new(format!("{path} is pointless: {}", found.because), FIX),
            Fate::Several(candidates) => {
                let choice = candidates.first().unwrap_or(path);
                Telling::new(format!("{missing}: {}", found.because), replace(path, choice, file))
                    .or(candidates)
            }
            Fate::Gone(candidates) => {
                Telling::new(format!("{missing}: {}", found.because), format!("{FIX} --drop-missing"))
                    .or(candidates)
            }
        }
    }

    pub(super) fn moved(line: &str, from: &UsrPath, to: &UsrPath, lines: usize) -> Telling {
        let more =
            if lines == 1 { line.to_owned() } else { format!("{line} and {} more of {from}", lines - 1) };
        Telling::new(format!("{more} moved: the image has them in {to}"), FIX).or([to])
    }

    pub(super) fn unlisted(name: &str, unmet: &Unmet, lacking: &[&UsrPath], file: &str) -> Telling {
        let what = match &unmet.by {
            Asking::Link => name.to_owned(),
            Asking::Dlopen(feature) => format!("{name}, loaded by name for {feature}"),
            Asking::Exec(source) => format!("{name}, which it starts ({source})"),
        };
        let has = lacking.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(" and ");
        let message =
            format!("{} {what}; the image has {has}, which {file} does not list", needs(&unmet.needed_by));
        Telling::new(message, FIX).by(&unmet.needed_by).or(lacking.iter().copied())
    }

    pub(super) fn nowhere(name: &str, unmet: &Unmet) -> Telling {
        let looked =
            if unmet.searched.is_empty() { "the whole image".to_owned() } else { unmet.searched.join(", ") };
        let message =
            format!("{} {name}, which is nowhere in the image (looked in {looked})", needs(&unmet.needed_by));
        Telling::new(message, format!("cargo xtask why {name}")).by(&unmet.needed_by)
    }

    pub(super) fn version(library: &UsrPath, version: &str, needed_by: &BTreeSet<UsrPath>) -> Telling {
        let message =
            format!("{} version {version} of {library}, which does not define it", needs(needed_by));
        Telling::new(message, format!("cargo xtask why {library}")).by(needed_by)
    }

    pub(super) fn dangling(path: &UsrPath, target: &str, lacking: &[&UsrPath], file: &str) -> Telling {
        let names = lacking.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(" and ");
        let message = format!("{path} is a link to {target}, and {file} does not list {names}");
        Telling::new(message, FIX).by([path]).or(lacking.iter().copied())
    }

    pub(super) fn dangling_in_image(path: &UsrPath, end: &UsrPath) -> Telling {
        Telling::new(
            format!("{path} leads to {end}, which is not in the image"),
            format!("cargo xtask why {path}"),
        )
    }

    pub(super) fn link_loop(path: &UsrPath) -> Telling {
        Telling::new(
            format!("{path} leads round in circles: more than 40 links"),
            format!("cargo xtask why {path}"),
        )
    }

    pub(super) fn wrong_machine(path: &UsrPath, machine: u16, board: Board) -> Telling {
        let message = format!(
            "{path} is for ELF machine {machine}; {board} is {} ({})",
            board.elf_machine(),
            board.machine()
        );
        Telling::new(message, format!("cargo xtask why {path}"))
    }

    pub(super) fn unfit(path: &UsrPath, why: &str, needed_by: &BTreeSet<UsrPath>) -> Telling {
        let message = format!("{} {path}, which cannot be loaded: {why}", needs(needed_by));
        Telling::new(message, format!("cargo xtask why {path}")).by(needed_by)
    }

    pub(super) fn broken(path: &UsrPath, why: &str) -> Telling {
        Telling::new(
            format!("{path} starts as an ELF file and cannot be read as one: {why}"),
            format!("cargo xtask why {path}"),
        )
    }

    pub(super) fn unit(absent: &Absent, file: &str) -> Telling {
        let message = if absent.in_image {
            format!("{} says {:?}, and {} is not listed", absent.by, absent.says, absent.program)
        } else {
            format!("{} says {:?}, and {} is not in the image", absent.by, absent.says, absent.program)
        };
        let severity = if absent.optional { Severity::Advice } else { Severity::Warning };
        Telling::new(message, list(std::slice::from_ref(&absent.program), file))
            .by([&absent.by])
            .severity(severity)
    }

    pub(super) fn script(absent: &Absent, file: &str) -> Telling {
        let message =
            format!("{} starts with {:?}, and {} is not listed", absent.by, absent.says, absent.program);
        Telling::new(message, list(std::slice::from_ref(&absent.program), file)).by([&absent.by])
    }

    pub(super) fn journald(there: &UsrPath, lacking: &UsrPath, file: &str) -> Telling {
        let message =
            format!("{there} is listed without {lacking}: nothing that a unit prints would be seen");
        Telling::new(message, list(std::slice::from_ref(lacking), file))
            .by([there])
            .severity(Severity::Warning)
    }

    pub(super) fn by_name(found: &ByName, file: &str) -> Telling {
        let message =
            format!("{} may load {} by name: {}", found.by, joined(&found.libraries), found.because);
        Telling::new(message, list(&found.libraries, file)).by([&found.by]).or(&found.libraries)
    }

    pub(super) fn notes(path: &UsrPath, notes: &[(UsrPath, &DlopenNote)], file: &str) -> Telling {
        let what = |(library, note): &(UsrPath, &DlopenNote)| {
            format!("{library} for {} ({})", note.feature, note.priority.id())
        };
        let message =
            format!("{path} may load by name {}", notes.iter().map(what).collect::<Vec<_>>().join(", "));
        let libraries: Vec<UsrPath> = notes.iter().map(|(library, _)| library.clone()).collect();
        Telling::new(message, list(&libraries, file)).by([path]).or(&libraries)
    }
}

fn texts<'p>(paths: impl IntoIterator<Item = &'p UsrPath>) -> Vec<String> {
    paths.into_iter().map(ToString::to_string).collect()
}

fn joined(paths: &[UsrPath]) -> String {
    paths.iter().map(UsrPath::as_str).collect::<Vec<_>>().join(", ")
}

/// The command that adds lines where only a person can tell whether they are wanted.
fn list(paths: &[UsrPath], file: &str) -> String {
    let lines = paths.iter().map(UsrPath::as_str).collect::<Vec<_>>().join(" ");
    format!(
        "printf '%s\\n' {lines} >>{file} && cargo xtask sort-manifests && cargo xtask verify-manifests --fix"
    )
}

/// The command that puts another path in a line's place, where only a person can tell which.
fn replace(path: &UsrPath, choice: &UsrPath, file: &str) -> String {
    format!(
        "sed -i 's|^{path}$|{choice}|' {file} && cargo xtask sort-manifests && cargo xtask verify-manifests --fix"
    )
}

fn needs(consumers: &BTreeSet<UsrPath>) -> String {
    let mut names = consumers.iter();
    match (names.next(), consumers.len()) {
        (Some(only), 1) => format!("{only} needs"),
        (Some(first), count) => format!("{first} and {} more need", count - 1),
        (None, _) => "something needs".to_owned(),
    }
}
