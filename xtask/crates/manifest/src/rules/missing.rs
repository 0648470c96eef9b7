//! Rule: a listed path is in the image. A path with a certain replacement is renamed; others need a manual decision, or
//! are removed by `--drop-missing`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::fix_state::{Fixer, normalized_entries, sort_by_name_kind};
use super::lint_state::{Lint, Problem, entries_in_image};
use super::malformed_line;
use crate::editor::ManifestEditor;
use crate::file::ManifestFile;
use crate::finding::{Finding, FindingKind, Fix, FixKind};
use crate::image_index::ImageIndex;
use crate::known_dlopens::is_loaded_by_name;
use crate::library_name::{LibraryName, NameKind};
use crate::replacement::{
    MAX_LIBRARIES, MovedDirectories, Outcome, Replacement, ReplacementContext, find_replacement,
};
use crate::selection::Location;
use crate::suggestion::Suggestion;
use usr::file_info::FileInfo;
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

/// Renames missing libraries to their replacements among the added files.
///
/// Another added library is not evidence that the missing one is obsolete: only the same name with another version
/// is. Libraries that files load with dlopen(3) need a manual decision: without one, a feature is lost.
pub(super) fn fix_by_additions(fixer: &mut Fixer<'_>) {
    if fixer.options.by_names_only || !fixer.has_missing_entries() {
        return;
    }
    for file in &fixer.files {
        let Some(editor) = fixer.editors.get_mut(file) else { continue };
        let mut changes = LibraryChanges::new(editor);
        if changes.is_empty() {
            continue;
        }
        for path in missing_entries(editor, fixer.index) {
            let Some(name) = LibraryName::parse(path.name()) else { continue };
            if fixer.requested_stems.contains(name.stem) || is_loaded_by_name(name.stem) {
                continue;
            }
            if let Some(new) = changes.replacement(&name, fixer.index) {
                let reason = format!("{} is needed now, and the image has no {}", new.name(), path.name());
                editor.rename(path.as_str(), new.as_str(), FixKind::Rename, &reason);
                changes.rename(&name, new);
            } else if name.kind == NameKind::LinkerName
                && let Some(new) = changes.renamed_sonames.get(name.stem)
            {
                let reason =
                    format!("{new} replaces {}, and no symlink without a version points to it", name.stem);
                editor.remove(path.as_str(), FixKind::Drop, &reason);
            }
        }
    }
    fix_like_other_manifests(fixer);
}

/// A library has the same replacement in every manifest of the run.
fn fix_like_other_manifests(fixer: &mut Fixer<'_>) {
    let renames =
        fixer.editors.values().flat_map(ManifestEditor::fixes).filter(|fix| fix.kind == FixKind::Rename);
    let answers: BTreeMap<String, (String, String)> = renames
        .filter_map(|fix| Some((fix.from.clone()?, (fix.to.clone()?, fix.reason.clone()))))
        .filter(|(_, (to, _))| fixer.index.tree.get(to).is_some())
        .collect();
    if answers.is_empty() {
        return;
    }
    for file in &fixer.files {
        let Some(editor) = fixer.editors.get_mut(file) else { continue };
        for path in missing_entries(editor, fixer.index) {
            if let Some((to, reason)) = answers.get(path.as_str()) {
                editor.rename(path.as_str(), to, FixKind::Rename, reason);
            }
        }
    }
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

/// The entries that the image does not have, sonames first.
fn missing_entries(editor: &ManifestEditor, index: &ImageIndex<'_>) -> Vec<UsrPath> {
    let mut missing = normalized_entries(editor);
    missing.retain(|path| index.tree.get(path.as_str()).is_none());
    sort_by_name_kind(missing)
}

/// The libraries that the fixes of one manifest added or renamed.
#[derive(Default)]
struct LibraryChanges {
    /// The added libraries by family.
    additions: HashMap<String, Vec<UsrPath>>,
    /// The new names of renamed sonames by stem.
    renamed_sonames: HashMap<String, String>,
}

impl LibraryChanges {
    fn new(editor: &ManifestEditor) -> LibraryChanges {
        let mut changes = LibraryChanges::default();
        for fix in editor.fixes() {
            let name_in = |line: &str| line.rsplit('/').next().unwrap_or_default().to_owned();
            match (&fix.from, &fix.to) {
                (None, Some(to)) => {
                    if let (Some(name), Ok(path)) = (LibraryName::parse(&name_in(to)), UsrPath::new(to)) {
                        let family = LibraryName::family(name.stem).to_owned();
                        changes.additions.entry(family).or_default().push(path);
                    }
                }
                (Some(from), Some(to)) => {
                    if let Some(name) = LibraryName::parse(&name_in(from)) {
                        changes.add_renamed_soname(&name, to);
                    }
                }
                _ => {}
            }
        }
        changes
    }

    fn is_empty(&self) -> bool {
        self.additions.is_empty() && self.renamed_sonames.is_empty()
    }

    fn add_renamed_soname(&mut self, name: &LibraryName<'_>, to: &str) {
        if matches!(name.kind, NameKind::Soname(_)) {
            self.renamed_sonames.entry(name.stem.to_owned()).or_insert(to.to_owned());
        }
    }

    fn rename(&mut self, name: &LibraryName<'_>, new: UsrPath) {
        self.add_renamed_soname(name, new.as_str());
        if let Some(additions) = self.additions.get_mut(LibraryName::family(name.stem)) {
            additions.retain(|path| *path != new);
        }
    }

    /// The addition that replaces a missing entry: of the same stem, or else of that stem with a version. It is the only
    /// one of the same kind of name, or the only one at all if that is soname and file in one: neither a soname nor the
    /// file that it points to replaces the other.
    fn replacement(&self, name: &LibraryName<'_>, index: &ImageIndex<'_>) -> Option<UsrPath> {
        let family = self.additions.get(LibraryName::family(name.stem))?;
        // Of more, none is certain.
        if family.len() > MAX_LIBRARIES {
            return None;
        }
        let with_stem = |is_one: &dyn Fn(&str) -> bool| -> Vec<&UsrPath> {
            let is_one =
                |path: &&UsrPath| LibraryName::parse(path.name()).is_some_and(|name| is_one(name.stem));
            family.iter().filter(is_one).collect()
        };
        let mut candidates = with_stem(&|stem| stem == name.stem);
        if candidates.is_empty() {
            candidates = with_stem(&|stem| is_version_of(stem, name.stem));
        }
        let has_same_kind = |candidate: &&&UsrPath| {
            LibraryName::parse(candidate.name()).is_some_and(|other| other.kind.same_kind(name.kind))
        };
        let alike: Vec<&&UsrPath> = candidates.iter().filter(has_same_kind).collect();
        match (alike.as_slice(), candidates.as_slice()) {
            ([only], _) => Some((**only).clone()),
            ([], [only]) if name.kind != NameKind::LinkerName && is_its_own_soname(only, index) => {
                Some((*only).clone())
            }
            _ => None,
        }
    }
}

fn is_its_own_soname(path: &UsrPath, index: &ImageIndex<'_>) -> bool {
    matches!(index.tree.file_info(path.as_str()), Some(FileInfo::Elf(elf)) if elf.soname.as_deref() == Some(path.name()))
}

/// `libpcre2-8` is a version of `libpcre`, `libfuse3` of `libfuse`; `libzstd` is not one of `libz`.
fn is_version_of(stem: &str, old: &str) -> bool {
    let rest = stem.strip_prefix(old).unwrap_or_default();
    rest.contains(|c: char| c.is_ascii_digit())
        && rest.chars().all(|c| c.is_ascii_digit() || "-.".contains(c))
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
}
