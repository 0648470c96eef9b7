//! Rule: a listed path is in the image. A path with a certain replacement is renamed; others need a manual decision, or
//! are removed by `--drop-missing`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::fix_state::{Fixer, entries_sonames_first};
use super::lint_state::Lint;
use super::malformed_line;
use crate::file::ManifestFile;
use crate::finding::{Finding, FindingKind, Fix, FixKind};
use crate::image_index::MAX_SAME_NAME;
use crate::known_dlopens::is_loaded_by_name;
use crate::replacement::{ReplacementContext, ReplacementOutcome, ReplacementResult, may_need_replacement};
use crate::selection::Location;
use crate::suggestion::Suggestion;
use usr::{LibraryName, UsrPath, library_name::strip_trailing_version};

/// Most missing entries of one manifest that are reported one by one; a real image has a few at once.
const MAX_REPORTED: usize = 1000;

/// Reports each entry that is not in the image; files that moved together once.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let (selection, index) = (lint.selection, lint.index);
    let lines = || selection.entries().map(|(_, line)| line);
    if !lines().any(|line| may_need_replacement(line, index)) {
        return;
    }
    let unresolved_sonames = lint.dependencies.names().cloned().collect();
    let mut context = ReplacementContext::new(lines(), index, &unresolved_sonames);
    for (file, text) in &selection.manifest_files {
        context.set_manifest(text);
        check_file(lint, file, text, &context);
    }
}

fn check_file(lint: &mut Lint<'_, '_>, file: &str, text: &ManifestFile, context: &ReplacementContext<'_>) {
    let malformed: BTreeSet<usize> =
        malformed_line::find(text, lint.index).into_iter().map(|line| line.index).collect();
    let finding = |lint: &Lint<'_, '_>, at: usize, message: String, suggestion: Suggestion| {
        let (location, path) = (Location { file, line: at + 1 }, &text.lines()[at].text);
        // A redundant line that is in the image is not a missing one.
        let is_in_image = lint.index.tree.get(path).is_some();
        let kind = if is_in_image { FindingKind::Tidy } else { FindingKind::Missing };
        lint.finding(kind, location, path, message, suggestion)
    };
    let mut moved: BTreeMap<(UsrPath, UsrPath), Vec<usize>> = BTreeMap::new();
    let mut without_candidates: Vec<usize> = Vec::new();
    for (at, line) in text.entries().filter(|(at, _)| !malformed.contains(at)) {
        let Ok(path) = UsrPath::new(line) else {
            let message = "the path is outside /usr, so it cannot be a file of the image".to_owned();
            lint.emit(finding(lint, at, message, Suggestion::RunFixDropMissing));
            continue;
        };
        let Some(found) = context.find_replacement(&path) else { continue };
        if matches!(&found.outcome, ReplacementOutcome::NotFound(candidates) if candidates.is_empty()) {
            without_candidates.push(at);
            if without_candidates.len() > MAX_REPORTED {
                continue;
            }
        }
        let moved_to = if let ReplacementOutcome::Moved(to) = &found.outcome { to.parent() } else { None };
        if let (Some(from), Some(to)) = (path.parent(), moved_to) {
            moved.entry((from, to)).or_default().push(at);
            continue;
        }
        let (message, suggestion) = describe(&path, &found, file, context);
        lint.emit(finding(lint, at, message, suggestion).candidates(found.outcome.candidates()));
    }
    if let Some(&at) = without_candidates.get(MAX_REPORTED) {
        let more = without_candidates.len() - MAX_REPORTED;
        let message =
            format!("{more} more lines of this manifest are not in the image, this one and others below");
        lint.emit(finding(lint, at, message, Suggestion::RunFixDropMissing));
    }
    for ((from, to), lines) in moved {
        let others = match lines.len() - 1 {
            0 => String::new(),
            others => format!(" and {others} more of {from}"),
        };
        let message = format!("{}{others} moved: the image has them in {to}", text.lines()[lines[0]].text);
        lint.emit(finding(lint, lines[0], message, Suggestion::RunFix).candidates([&to]));
    }
}

/// The message and the suggestion for a line with a replacement.
fn describe(
    path: &UsrPath,
    found: &ReplacementResult,
    file: &str,
    context: &ReplacementContext<'_>,
) -> (String, Suggestion) {
    let missing = format!("{path} is not in the image");
    let reason = &found.reason;
    match &found.outcome {
        ReplacementOutcome::Renamed(to) | ReplacementOutcome::Moved(to) => {
            (format!("{missing}; {to} replaces it: {reason}"), Suggestion::RunFix)
        }
        ReplacementOutcome::Redundant => (format!("{path} is redundant: {reason}"), Suggestion::RunFix),
        ReplacementOutcome::Ambiguous(candidates) => {
            let choice = candidates.first().unwrap_or(path);
            let suggestion = Suggestion::edit(file, [choice], Some(path.as_str()));
            (format!("{missing}: {reason}"), suggestion)
        }
        ReplacementOutcome::NotFound(candidates) => {
            let decision = decision(path, candidates, context);
            (format!("{missing}: {reason}; {decision}"), Suggestion::RunFixDropMissing)
        }
    }
}

/// The decision that a missing path without a certain replacement needs.
fn decision(path: &UsrPath, candidates: &[UsrPath], context: &ReplacementContext<'_>) -> &'static str {
    let is_unneeded =
        |name: LibraryName<'_>| !is_loaded_by_name(name.stem) && !context.has_unresolved_soname(name.stem);
    if !candidates.is_empty() {
        "decide whether a candidate replaces it"
    } else if LibraryName::from_path(path).is_some_and(is_unneeded) {
        "no listed file links to it: decide whether to remove the line"
    } else {
        "decide whether to remove the line, or to stay with a release that has it"
    }
}

/// Renames missing entries to their replacements.
pub(super) fn fix(fixer: &mut Fixer<'_>) {
    let has_ambiguous = replace_unambiguous(fixer, &BTreeSet::new());
    if has_ambiguous {
        // Dependencies of listed files can select one of several candidates.
        let mut sonames = BTreeSet::new();
        for flavor in fixer.flavors {
            let selection = fixer.selection(flavor);
            let dependencies = fixer.index.dependencies(&selection);
            sonames.extend(dependencies.names().cloned());
        }
        replace_unambiguous(fixer, &sonames);
    }
}

/// Renames or removes entries with a certain replacement; returns whether one has several candidates.
fn replace_unambiguous(fixer: &mut Fixer<'_>, unresolved_sonames: &BTreeSet<String>) -> bool {
    if !fixer.entries().any(|line| may_need_replacement(line, fixer.index)) {
        return false;
    }
    let mut has_ambiguous = false;
    let mut context = ReplacementContext::new(fixer.entries(), fixer.index, unresolved_sonames);
    for file in &fixer.files {
        let Some(editor) = fixer.editors.get_mut(file) else { continue };
        context.set_manifest(editor.edited_file());
        for path in entries_sonames_first(editor) {
            let Some(ReplacementResult { outcome, reason }) = context.find_replacement(&path) else {
                continue;
            };
            let line = path.as_str();
            match &outcome {
                ReplacementOutcome::Renamed(to) => editor.rename(line, to.as_str(), FixKind::Rename, &reason),
                ReplacementOutcome::Moved(to) => editor.rename(line, to.as_str(), FixKind::Move, &reason),
                ReplacementOutcome::Redundant => editor.remove(line, FixKind::Drop, &reason),
                ReplacementOutcome::NotFound(_) => continue,
                ReplacementOutcome::Ambiguous(_) => {
                    has_ambiguous = true;
                    continue;
                }
            }
            context.record_replacement(&path, &outcome);
        }
    }
    has_ambiguous
}

/// Removes missing entries without a replacement: `--drop-missing`.
pub(super) fn drop_missing(fixer: &mut Fixer<'_>) {
    let mut context = ReplacementContext::new(fixer.entries(), fixer.index, &fixer.requested_stems);
    for file in &fixer.files {
        let Some(editor) = fixer.editors.get_mut(file) else { continue };
        context.set_manifest(editor.edited_file());
        let is_missing = |line: &str| {
            UsrPath::new(line).map_or(true, |path| {
                let found = context.find_replacement(&path);
                matches!(found, Some(ReplacementResult { outcome: ReplacementOutcome::NotFound(_), .. }))
            })
        };
        let missing = editor.edited_file().entries().map(|(_, line)| line).filter(|line| is_missing(line));
        for line in missing.map(str::to_owned).collect::<Vec<_>>() {
            editor.remove(&line, FixKind::Drop, "it is not in the image, and --drop-missing was given");
        }
    }
}

/// Adds candidates to each missing library without one: libraries of the same family and kind of name that were added to
/// the same manifest.
pub fn add_library_candidates(findings: &mut [Finding], fixes: &[Fix]) {
    let mut added: HashMap<(&str, &str), Vec<(&str, LibraryName<'_>)>> = HashMap::new();
    for fix in fixes.iter().filter(|fix| fix.kind == FixKind::Add) {
        if let Some(to) = &fix.to
            && let Some(name) = LibraryName::from_path(to)
        {
            added.entry((&fix.file, family(&name))).or_default().push((to, name));
        }
    }
    for finding in findings {
        if finding.kind == FindingKind::Missing
            && finding.candidates.is_empty()
            && let Some(name) = LibraryName::from_path(&finding.path)
        {
            let family = added.get(&(finding.file.as_str(), family(&name))).into_iter().flatten();
            let same_kind = family.take(MAX_SAME_NAME).filter(|(_, new)| new.kind == name.kind);
            finding.candidates.extend(same_kind.map(|(path, _)| (*path).to_owned()));
        }
    }
}

/// The stem without a version at its end, and without the `w` of a library for wide characters (`libncursesw`).
fn family<'n>(name: &LibraryName<'n>) -> &'n str {
    let stem = strip_trailing_version(name.stem);
    stem.strip_suffix('w').unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_and_fix, check_and_fix_with, check_rows};

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
        let outcome = check_and_fix_with(&["bin/a"], &manifest, true);
        assert_eq!(outcome.findings.len(), super::MAX_REPORTED + 1);
        assert_eq!((outcome.fixed.as_str(), outcome.remaining.len()), ("", 0));
    }

    /// A comparison of each line with each file would take minutes.
    #[test]
    fn many_files_of_a_name_are_bounded() {
        let numbers = || 0..3_000;
        let files = numbers().flat_map(|number| ["x", "y"].map(|name| format!("lib64/d{number}/{name}")));
        let sonames = numbers().map(|number| format!("lib64/liba.so.{number}"));
        let files: Vec<String> = files.chain(sonames.clone()).collect();
        let missing = numbers().flat_map(|number| ["x", "y"].map(|name| format!("lib64/old{number}/{name}")));
        let missing = missing.chain(numbers().map(|number| format!("lib64/liba.so.99999.{number}")));
        let manifest: String = missing.chain(sonames).map(|path| path + "\n").collect();
        let result = check_and_fix(&files.iter().map(String::as_str).collect::<Vec<_>>(), &manifest);
        assert!(result.fixed == manifest);
    }

    #[test]
    fn drop_missing_removes_entries_without_a_replacement() {
        let outcome =
            check_and_fix_with(&["lib64/libz.so.2", "lib64/libz.so.3"], "bin/gone\nlib64/libz.so.1\n", true);
        assert_eq!(outcome.fixed, "lib64/libz.so.1\n");
        assert_eq!(outcome.remaining, ["error missing 1 lib64/libz.so.1"]);
    }

    #[test]
    fn addition_of_the_same_library_renames_the_line() {
        let outcome = check_and_fix(
            &["bin/x libcrypto.so.3", "lib64/libcrypto.so.3"],
            "bin/x\nlib64/libcrypto.so.1.1\n",
        );
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
