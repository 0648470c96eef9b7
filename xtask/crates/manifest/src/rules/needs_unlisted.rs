//! Rule: the dependencies of a listed file are listed. The fix adds each, with the symlinks on its path, to the
//! manifest of the dependent.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::fix_state::{Fixer, MAX_PASSES};
use super::lint_state::{Lint, join, subject_and_verb};
use crate::editor::ManifestEditor;
use crate::finding::FindingKind;
use crate::image_index::ImageIndex;
use crate::selection::Selection;
use crate::suggestion::Suggestion;
use crate::unsatisfied_dependencies::{DependencyKind, UnresolvedDependency, UnsatisfiedDependencies};
use usr::{LibraryName, NameKind, UsrPath};

/// Reports each dependency that the image has and the flavor does not list.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    for unresolved in &lint.dependencies.unresolved {
        let unlisted = unresolved.unlisted(lint.selection);
        let location = unresolved.location(lint.selection);
        let (Some(location), Some(first)) = (location, unlisted.first()) else { continue };
        let message = message(unresolved, &unlisted, location.file);
        let finding = lint.finding(FindingKind::NeedsUnlisted, location, first, message, Suggestion::RunFix);
        lint.emit(finding.needed_by(&unresolved.needed_by).candidates(&unlisted));
    }
}

/// The name of a dependency, and how it is used.
fn name_and_use(unresolved: &UnresolvedDependency) -> String {
    let name = &unresolved.name;
    match &unresolved.kind {
        DependencyKind::Link => name.clone(),
        DependencyKind::Dlopen(feature) => format!("{name}, loaded with dlopen(3) for {feature}"),
        DependencyKind::Exec(source) => format!("{name}, which it starts ({source})"),
    }
}

fn message(unresolved: &UnresolvedDependency, unlisted: &[&UsrPath], file: &str) -> String {
    let (needs, dependency) = (subject_and_verb(&unresolved.needed_by), name_and_use(unresolved));
    let paths = join(unlisted, " and ");
    match (&unresolved.fragile, &unresolved.unsuitable) {
        (_, Some((other, reason))) => format!(
            "{needs} {dependency}; the image's loader takes {paths}, which {file} does not list, and {other} does not \
             serve: {reason}"
        ),
        (None, None) => format!("{needs} {dependency}; the image has {paths}, which {file} does not list"),
        (Some((now, sure)), None) => format!(
            "{needs} {dependency}; {sure} finds it through {paths}, which {file} does not list, and without that only \
             {now} does"
        ),
    }
}

/// Adds dependencies of listed files until no more can be added.
pub(super) fn fix(fixer: &mut Fixer<'_>) {
    let index = fixer.index;
    add_until_complete(fixer, FindingKind::NeedsUnlisted, |selection| {
        let dependencies = index.dependencies(selection);
        let additions = dependencies.unresolved.iter().filter_map(|one| addition(one, selection));
        (additions.collect(), requested_stems(selection, &dependencies))
    });
}

/// Lines to add to one manifest.
pub(super) struct Addition {
    /// The manifest.
    pub(super) file: String,
    /// The path of the finding that the lines resolve.
    pub(super) resolves: UsrPath,
    /// The paths, with their reasons.
    pub(super) lines: Vec<(UsrPath, String)>,
}

/// Adds what `find` returns for each flavor's selection until nothing is added, except where the finding of this kind is
/// accepted; then records the stems that it returns as requested.
pub(super) fn add_until_complete(
    fixer: &mut Fixer<'_>,
    kind: FindingKind,
    find: impl Fn(&Selection<'_>) -> (Vec<Addition>, Vec<String>),
) {
    for flavor in fixer.flavors {
        for _ in 0..MAX_PASSES {
            let (mut additions, requested) = find(&fixer.selection(flavor));
            additions.retain(|one| {
                !fixer.accepted.prevents_fix(kind, fixer.flavors, &one.file, one.resolves.as_str())
            });
            if !apply(fixer, &additions) {
                fixer.requested_stems.extend(requested);
                break;
            }
        }
    }
}

/// The stems of unresolved dependencies, and of the sonames in `.note.dlopen`.
fn requested_stems(selection: &Selection<'_>, dependencies: &UnsatisfiedDependencies) -> Vec<String> {
    let notes = selection.elf_files().flat_map(|(_, elf)| &elf.dlopen_notes);
    let names = dependencies.names().chain(notes.flat_map(|note| &note.sonames));
    names.filter_map(|name| LibraryName::parse(name)).map(|name| name.stem.to_owned()).collect()
}

/// The symlinks on the path to a dependency, and the file.
fn addition(unresolved: &UnresolvedDependency, selection: &Selection<'_>) -> Option<Addition> {
    let file = unresolved.location(selection)?.file.to_owned();
    let needs = format!("{} needs {}", unresolved.needed_by.first()?, name_and_use(unresolved));
    // An interpreter is requested by its path.
    let requested = unresolved.name.rsplit('/').next().unwrap_or_default();
    let reason = |path: &UsrPath| match (&unresolved.fragile, &unresolved.unsuitable) {
        (_, Some((other, reason))) => format!("{needs}; {other} does not serve: {reason}"),
        _ if path.name() == requested => needs.clone(),
        (None, None) => format!("{needs}, which points to it"),
        (Some((now, sure)), None) => format!("{needs}: {sure} finds it through this, else only {now} does"),
    };
    let unlisted = unresolved.unlisted(selection);
    let resolves = (*unlisted.first()?).clone();
    let lines = unlisted.into_iter().map(|path| (path.clone(), reason(path))).collect();
    Some(Addition { file, resolves, lines })
}

/// Adds the missing lines, with the linker names where the manifest lists those. A path is added to one
/// manifest of the flavor only. Returns whether anything was added.
fn apply(fixer: &mut Fixer<'_>, additions: &[Addition]) -> bool {
    let mut added = BTreeSet::new();
    let mut lists_linker_names: BTreeMap<&str, bool> = BTreeMap::new();
    for addition in additions {
        let index = fixer.index;
        if !fixer.files.contains(&addition.file) {
            continue;
        }
        let Some(editor) = fixer.editors.get_mut(&addition.file) else { continue };
        let with_linker_names =
            *lists_linker_names.entry(&addition.file).or_insert_with(|| keeps_linker_names(editor, index));
        let mut add = |path: &UsrPath, reason: &str| {
            if !editor.contains(path.as_str()) && added.insert(path.clone()) {
                editor.add(path.as_str(), reason);
            }
        };
        for (path, reason) in &addition.lines {
            add(path, reason);
            if let Some(name) = linker_name(path, index).filter(|_| with_linker_names) {
                add(&name, &format!("this manifest lists symlinks without a version; it points to {path}"));
            }
        }
    }
    !added.is_empty()
}

/// `libX.so` next to a soname or real name, if the image has it and it points to the same file.
fn linker_name(path: &UsrPath, index: &ImageIndex<'_>) -> Option<UsrPath> {
    let name = LibraryName::from_path(path).filter(|name| name.kind != NameKind::LinkerName)?;
    let linker_name = path.parent()?.join(&format!("{}.so", name.stem));
    let is_same = index.is_symlink(&linker_name)
        && index.tree.resolve(&linker_name).end == index.tree.resolve(path).end;
    is_same.then_some(linker_name)
}

/// Whether a manifest lists the linker name of most libraries that have one: it then gets those of new libraries too.
fn keeps_linker_names(editor: &ManifestEditor, index: &ImageIndex<'_>) -> bool {
    let lines: HashSet<&str> = editor.edited_file().entries().map(|(_, line)| line).collect();
    let paths = lines.iter().filter_map(|line| UsrPath::new(line).ok());
    let sonames =
        paths.filter(|path| LibraryName::from_path(path).is_some_and(|name| name.kind == NameKind::Soname));
    let linker_names: Vec<UsrPath> = sonames.filter_map(|path| linker_name(&path, index)).collect();
    let listed = linker_names.iter().filter(|name| lines.contains(name.as_str())).count();
    listed * 2 > linker_names.len()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_and_fix, check_rows};

    #[test]
    fn unlisted_dependency_is_added_with_its_symlinks() {
        let image = &[
            "bin/x liba.so.1",
            "lib64/liba.so -> liba.so.1",
            "lib64/liba.so.1 -> liba.so.1.2",
            "lib64/liba.so.1.2 libb.so.1",
            "lib64/libb.so -> libb.so.1",
            "lib64/libb.so.1",
        ][..];
        check_rows(&[
            (
                image,
                "bin/x\n",
                &["error needs-unlisted 1 lib64/liba.so.1", "error needs-unlisted 1 lib64/libb.so.1"],
                "bin/x\nlib64/liba.so.1\nlib64/liba.so.1.2\nlib64/libb.so.1\n",
                &[],
            ),
            // A manifest that lists linker names gets them too.
            (
                image,
                "bin/x\nlib64/liba.so\nlib64/liba.so.1\nlib64/liba.so.1.2\n",
                &["error needs-unlisted 4 lib64/libb.so.1"],
                "bin/x\nlib64/liba.so\nlib64/liba.so.1\nlib64/liba.so.1.2\nlib64/libb.so\nlib64/libb.so.1\n",
                &[],
            ),
        ]);
        let message = check_and_fix(image, "bin/x\nlib64/liba.so.1\nlib64/liba.so.1.2\n").message;
        let expected =
            "lib64/liba.so.1.2 needs libb.so.1; the image has lib64/libb.so.1, which m does not list";
        assert_eq!(message, expected);
    }
}
