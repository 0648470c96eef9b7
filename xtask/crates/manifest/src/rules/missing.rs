//! Rule: a listed path is in the image. A path with a certain replacement is renamed; others need a manual decision, or
//! are removed by `--drop-missing`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::fix_state::{Fixer, normalized_entries, sort_by_name_kind};
use super::lint_state::{Lint, Problem, entries_in_image};
use super::malformed_line;
use crate::file::ManifestFile;
use crate::finding::{Finding, FindingKind, Fix, FixKind};
use crate::known_dlopens::is_loaded_by_name;
use crate::library_name::LibraryName;
use crate::replacement::{
    MAX_LIBRARIES, MovedDirectories, Outcome, Replacement, ReplacementContext, find_replacement,
};
use crate::selection::Location;
use crate::suggestion::Suggestion;
use usr::path::UsrPath;

/// Most missing entries of one manifest that are reported one by one; a real image has a few at once.
const MAX_REPORTED: usize = 1000;

/// Reports each entry that is not in the image; files that moved together once.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let unresolved_sonames = lint.dependencies.names().cloned().collect();
    let files = lint.files();
    let lines = || files.iter().flat_map(|(_, text)| text.entries().map(|(_, line)| line));
    let listed_in_image = entries_in_image(lines(), lint.index);
    let moved_directories = MovedDirectories::find(lines(), lint.index);
    for (file, text) in &files {
        let listed = entries_in_image(text.entries().map(|(_, line)| line), lint.index);
        let context = ReplacementContext {
            index: lint.index,
            listed: &listed,
            listed_in_image: &listed_in_image,
            moved_directories: &moved_directories,
            unresolved_sonames: &unresolved_sonames,
        };
        check_file(lint, file, text, &context);
    }
}

fn check_file(lint: &mut Lint<'_, '_>, file: &str, text: &ManifestFile, context: &ReplacementContext<'_>) {
    let malformed: BTreeSet<usize> =
        malformed_line::find(text, context.index).into_iter().map(|line| line.index).collect();
    let mut moved: BTreeMap<(UsrPath, UsrPath), Vec<usize>> = BTreeMap::new();
    let mut without_candidates: Vec<usize> = Vec::new();
    for (at, line) in text.entries().filter(|(at, _)| !malformed.contains(at)) {
        let location = Location { file, line: at + 1 };
        let Ok(path) = UsrPath::new(line) else {
            let message = "the path is outside /usr, so it cannot be a file of the image".to_owned();
            lint.emit(
                location,
                line,
                Problem::new(FindingKind::Missing, message, Suggestion::RunFixDropMissing),
            );
            continue;
        };
        let Some(found) = find_replacement(&path, context) else { continue };
        if matches!(&found.outcome, Outcome::NotFound(candidates) if candidates.is_empty()) {
            without_candidates.push(at);
            if without_candidates.len() > MAX_REPORTED {
                continue;
            }
        }
        let moved_to = if let Outcome::Moved(to) = &found.outcome { to.parent() } else { None };
        match (path.parent(), moved_to) {
            (Some(from), Some(to)) => moved.entry((from, to)).or_default().push(at),
            _ => lint.emit(location, line, problem(&path, &found, file, context)),
        }
    }
    if let Some(&at) = without_candidates.get(MAX_REPORTED) {
        let more = without_candidates.len() - MAX_REPORTED;
        let message =
            format!("{more} more lines of this manifest are not in the image, this one and others below");
        let line = &text.lines()[at].text;
        let problem = Problem::new(FindingKind::Missing, message, Suggestion::RunFixDropMissing);
        lint.emit(Location { file, line: at + 1 }, line, problem);
    }
    for ((from, to), lines) in moved {
        let Some(first) = lines.first().and_then(|&at| text.lines().get(at)) else { continue };
        let line = &first.text;
        let more = if lines.len() == 1 {
            line.clone()
        } else {
            format!("{line} and {} more of {from}", lines.len() - 1)
        };
        let message = format!("{more} moved: the image has them in {to}");
        let problem = Problem::new(FindingKind::Missing, message, Suggestion::RunFix).candidates([&to]);
        lint.emit(Location { file, line: lines[0] + 1 }, line, problem);
    }
}

/// The problem with a line and its replacement.
fn problem(path: &UsrPath, found: &Replacement, file: &str, context: &ReplacementContext<'_>) -> Problem {
    let missing = format!("{path} is not in the image");
    let reason = &found.reason;
    match &found.outcome {
        Outcome::Renamed(to) | Outcome::Moved(to) => {
            let message = format!("{missing}; {to} replaces it: {reason}");
            Problem::new(FindingKind::Missing, message, Suggestion::RunFix).candidates([to])
        }
        Outcome::Redundant => {
            // A redundant line that is in the image is not a missing one.
            let is_in_image = context.index.tree.get(path.as_str()).is_some();
            let kind = if is_in_image { FindingKind::Tidy } else { FindingKind::Missing };
            Problem::new(kind, format!("{path} is redundant: {reason}"), Suggestion::RunFix)
        }
        Outcome::Ambiguous(candidates) => {
            let choice = candidates.first().unwrap_or(path);
            let suggestion = Suggestion::replace(file, path.as_str(), choice.as_str());
            Problem::new(FindingKind::Missing, format!("{missing}: {reason}"), suggestion)
                .candidates(candidates)
        }
        Outcome::NotFound(candidates) => {
            let message = format!("{missing}: {reason}; {}", decision(path, candidates, context));
            Problem::new(FindingKind::Missing, message, Suggestion::RunFixDropMissing).candidates(candidates)
        }
    }
}

/// The decision that a missing path without a certain replacement needs.
fn decision(path: &UsrPath, candidates: &[UsrPath], context: &ReplacementContext<'_>) -> &'static str {
    let is_needed = |stem: &str| {
        let start = format!("{stem}.so");
        context.unresolved_sonames.range(start.clone()..).next().is_some_and(|name| name.starts_with(&start))
    };
    let library = LibraryName::parse(path.name());
    let is_unneeded_library =
        library.is_some_and(|name| !is_loaded_by_name(name.stem) && !is_needed(name.stem));
    match (candidates.is_empty(), is_unneeded_library) {
        (false, _) => "decide whether a candidate replaces it",
        (true, true) => "no listed file links to it: decide whether to remove the line",
        (true, false) => "decide whether to remove the line, or to stay with a release that has it",
    }
}

/// Renames missing entries to their replacements.
pub(super) fn fix(fixer: &mut Fixer<'_>) {
    if replace(fixer, &BTreeSet::new()) {
        // Dependencies of listed files can select one of several candidates.
        let sonames = unresolved_sonames(fixer);
        replace(fixer, &sonames);
    }
}

/// The unresolved names of listed files.
fn unresolved_sonames(fixer: &Fixer<'_>) -> BTreeSet<String> {
    let mut sonames = BTreeSet::new();
    for flavor in fixer.flavors {
        sonames.extend(
            fixer.with_dependencies(flavor, |_, dependencies| {
                dependencies.names().cloned().collect::<Vec<_>>()
            }),
        );
    }
    sonames
}

/// Renames or removes entries with a certain replacement; returns whether one has several candidates.
fn replace(fixer: &mut Fixer<'_>, unresolved_sonames: &BTreeSet<String>) -> bool {
    let mut is_ambiguous = false;
    let mut listed_in_image = fixer.listed_in_image();
    let moved_directories = fixer.moved_directories();
    for file in &fixer.files {
        let Some(editor) = fixer.editors.get_mut(file) else { continue };
        let paths = sort_by_name_kind(normalized_entries(editor));
        let mut listed = entries_in_image(editor.text().entries().map(|(_, line)| line), fixer.index);
        for path in paths {
            let context = ReplacementContext {
                index: fixer.index,
                listed: &listed,
                listed_in_image: &listed_in_image,
                moved_directories: &moved_directories,
                unresolved_sonames,
            };
            let Some(found) = find_replacement(&path, &context) else { continue };
            let line = path.as_str();
            match &found.outcome {
                Outcome::Renamed(to) => editor.rename(line, to.as_str(), FixKind::Rename, &found.reason),
                Outcome::Moved(to) => editor.rename(line, to.as_str(), FixKind::Move, &found.reason),
                Outcome::Redundant => editor.remove(line, FixKind::Drop, &found.reason),
                Outcome::NotFound(_) => continue,
                Outcome::Ambiguous(_) => {
                    is_ambiguous = true;
                    continue;
                }
            }
            listed.remove(&path);
            if let Outcome::Renamed(to) | Outcome::Moved(to) = found.outcome {
                listed_in_image.insert(to.clone());
                listed.insert(to);
            }
        }
    }
    is_ambiguous
}

/// Removes missing entries without a replacement: `--drop-missing`.
pub(super) fn remove(fixer: &mut Fixer<'_>) {
    let listed_in_image = fixer.listed_in_image();
    let moved_directories = fixer.moved_directories();
    for file in &fixer.files {
        let Some(editor) = fixer.editors.get_mut(file) else { continue };
        let listed = entries_in_image(editor.text().entries().map(|(_, line)| line), fixer.index);
        let context = ReplacementContext {
            index: fixer.index,
            listed: &listed,
            listed_in_image: &listed_in_image,
            moved_directories: &moved_directories,
            unresolved_sonames: &fixer.requested_stems,
        };
        let is_missing = |line: &str| match UsrPath::new(line) {
            Ok(path) => {
                let found = find_replacement(&path, &context);
                matches!(found, Some(Replacement { outcome: Outcome::NotFound(_), .. }))
            }
            Err(_) => true,
        };
        editor.remove_all(is_missing, "it is not in the image, and --drop-missing was given");
    }
}

/// Adds candidates to each missing library without one: libraries of the same family and kind of name that were added to
/// the same manifest.
pub fn add_candidates(findings: &mut [Finding], fixes: &[Fix]) {
    let name_of = |line: &str| line.rsplit('/').next().unwrap_or_default().to_owned();
    let mut added: HashMap<(&str, String), Vec<&str>> = HashMap::new();
    for fix in fixes.iter().filter(|fix| fix.kind == FixKind::Add) {
        let Some(to) = fix.to.as_deref() else { continue };
        if let Some(name) = LibraryName::parse(&name_of(to)) {
            let family = LibraryName::family(name.stem).to_owned();
            added.entry((fix.file.as_str(), family)).or_default().push(to);
        }
    }
    let is_open =
        |finding: &&mut Finding| finding.kind == FindingKind::Missing && finding.candidates.is_empty();
    for finding in findings.iter_mut().filter(is_open) {
        let name = name_of(&finding.path);
        let Some(name) = LibraryName::parse(&name) else { continue };
        let is_candidate = |line: &&&str| {
            LibraryName::parse(&name_of(line)).is_some_and(|new| new.kind.same_kind(name.kind))
        };
        let family = added.get(&(finding.file.as_str(), LibraryName::family(name.stem).to_owned()));
        let candidates = family.into_iter().flatten().take(MAX_LIBRARIES).filter(is_candidate);
        finding.candidates.extend(candidates.map(|line| (*line).to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_case::{check_rows, run, run_with};

    #[test]
    fn missing_entry_gets_its_replacement_or_stays() {
        let z = &["lib64/libz.so.1 -> libz.so.1.3", "lib64/libz.so.1.3"][..];
        check_rows(&[
            (z, "lib64/libz.so.1\nlib64/libz.so.1.3\n", &[], "lib64/libz.so.1\nlib64/libz.so.1.3\n", &[]),
            (
                z,
                "lib64/libz.so.1\nlib64/libz.so.1.2\n",
                &["error dangling 1 lib64/libz.so.1", "error missing 2 lib64/libz.so.1.2"],
                "lib64/libz.so.1\nlib64/libz.so.1.3\n",
                &[],
            ),
            (z, "bin/gone\n", &["error missing 1 bin/gone"], "bin/gone\n", &["error missing 1 bin/gone"]),
            (z, "../etc/x\n", &["error missing 1 ../etc/x"], "../etc/x\n", &["error missing 1 ../etc/x"]),
            (
                &["lib64/new/a", "lib64/new/b"],
                "lib64/old/a\nlib64/old/b\n",
                &["error missing 1 lib64/old/a"],
                "lib64/new/a\nlib64/new/b\n",
                &[],
            ),
        ]);
    }

    #[test]
    fn many_missing_entries_are_counted() {
        let manifest: String =
            (0..super::MAX_REPORTED + 5).map(|number| format!("bin/x{number:04}\n")).collect();
        let outcome = run_with(&["bin/a"], &manifest, true);
        assert_eq!(outcome.findings.len(), super::MAX_REPORTED + 1);
        assert_eq!((outcome.fixed.as_str(), outcome.remaining.len()), ("", 0));
    }

    #[test]
    fn drop_missing_removes_entries_without_a_replacement() {
        let outcome = run_with(&["lib64/libz.so.2", "lib64/libz.so.3"], "bin/gone\nlib64/libz.so.1\n", true);
        assert_eq!(outcome.fixed, "lib64/libz.so.1\n");
        assert_eq!(outcome.remaining, ["error missing 1 lib64/libz.so.1"]);
    }

    #[test]
    fn addition_of_the_same_library_renames_the_line() {
        let outcome =
            run(&["bin/x libcrypto.so.3", "lib64/libcrypto.so.3"], "bin/x\nlib64/libcrypto.so.1.1\n");
        assert_eq!((outcome.fixed.as_str(), outcome.remaining.len()), ("bin/x\nlib64/libcrypto.so.3\n", 0));
    }

    #[test]
    fn file_that_is_its_own_soname_is_one_of_several() {
        let ssl = &["bin/x libssl.so.3", "lib64/libssl.so.1.1", "lib64/libssl.so.3"][..];
        let left = "error missing 1 lib64/libssl.so.1.0.0";
        check_rows(&[
            (ssl, "lib64/libssl.so.1.0.0\n", &[left], "lib64/libssl.so.1.0.0\n", &[left]),
            (
                ssl,
                "bin/x\nlib64/libssl.so.1.0.0\n",
                &["error needs-unlisted 1 lib64/libssl.so.3", "error missing 2 lib64/libssl.so.1.0.0"],
                "bin/x\nlib64/libssl.so.3\n",
                &[],
            ),
        ]);
    }
}
