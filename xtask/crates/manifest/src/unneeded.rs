//! Listed paths that nothing listed needs, as far as an image shows it.

use std::collections::{BTreeMap, BTreeSet};

use crate::image_index::ImageIndex;
use crate::known_dlopens;
use crate::plan::bump::ImageTrees;
use crate::selection::Selection;
use crate::stage1_sources::Stage1Sources;
use crate::unit_and_script_execs;
use crate::unlisted_execs::StartedPrograms;
use crate::unsatisfied_dependencies::loaders_with_without_env;
use coreos_types::{Board, Flavor, Result, word_enum};
use usr::{
    DynamicLoader, FileInfo, LibraryName, NodeKind, UsrPath,
    file_info::{is_loader_name, is_systemd_program},
};

word_enum! {
    /// The kinds of unneeded paths, the surest first. The words are those in JSON.
    UnneededCategory {
        /// `libX.so` links and linker scripts: a link editor reads them at build time.
        DevelopmentLinks = "development-links",
        /// Libraries that no listed ELF file, `.note.dlopen`, table, unit or file of the tree names.
        Libraries = "libraries",
        /// Programs and plugins that nothing listed names.
        ProgramsAndPlugins = "rest",
    }
}

/// A line of a manifest that nothing listed needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnneededLine {
    /// The category.
    pub category: UnneededCategory,
    /// The manifest, relative to the tree.
    pub file: String,
    /// Line number from 1.
    pub line: usize,
    /// The path.
    pub path: String,
    /// The file that the path resolves to: lines with the same one belong together.
    pub resolved_path: String,
    /// Size in bytes; 0 for a symlink.
    pub bytes: u64,
    /// The boards and flavors that have the manifest.
    pub used_by: BTreeSet<(Board, Flavor)>,
}

/// Finds the lines that no flavor needs. A path whose file name is in `words` (names used
/// by other files of the tree) is needed.
///
/// # Errors
/// A file of an image cannot be read.
pub fn find_unneeded(
    sources: &Stage1Sources,
    trees: &ImageTrees<'_>,
    words: &BTreeSet<String>,
) -> Result<Vec<UnneededLine>> {
    // Lines by manifest and path; `None` if a flavor needs the path.
    let mut found: BTreeMap<(String, String), Option<UnneededLine>> = BTreeMap::new();
    for (&board, tree) in trees {
        let index = ImageIndex::new(tree, None);
        sources.for_each_selection(board, tree, |selection| {
            let unneeded = Reachability::new(&selection, &index).unneeded(words);
            for (location, line) in selection.entries() {
                let Some(node) = tree.get(line) else { continue };
                if sources.outside.contains_key(location.file) {
                    continue;
                }
                let path = UsrPath::new(line).ok();
                let category = path.as_ref().and_then(|path| unneeded.get(path).copied());
                let new = |category| UnneededLine {
                    category,
                    file: location.file.to_owned(),
                    line: location.line,
                    path: line.to_owned(),
                    resolved_path: path
                        .and_then(|path| tree.resolve(&path).end.node().map(ToString::to_string))
                        .unwrap_or_else(|| line.to_owned()),
                    bytes: if let NodeKind::File { size, .. } = node.kind { size } else { 0 },
                    used_by: BTreeSet::new(),
                };
                let key = (location.file.to_owned(), line.to_owned());
                let known = found.entry(key).or_insert_with(|| category.map(new));
                match (known.as_mut(), category) {
                    (Some(known), Some(category)) => {
                        known.category = known.category.max(category);
                        known.used_by.insert((board, selection.manifest_set.flavor.clone()));
                    }
                    _ => *known = None,
                }
            }
        });
        tree.check_reads()?;
    }
    let mut lines: Vec<UnneededLine> = found.into_values().flatten().collect();
    lines.sort();
    Ok(lines)
}

/// What the files of a selection load, start and name.
struct Reachability<'a, 's, 'i> {
    selection: &'a Selection<'s>,
    index: &'a ImageIndex<'i>,
    /// With `LD_LIBRARY_PATH` as rkt sets it, and without.
    loaders: [DynamicLoader<'a>; 2],
    /// The programs of units and interpreters of scripts, by unit or script.
    started: BTreeMap<UsrPath, Vec<UsrPath>>,
}

impl<'a, 's, 'i> Reachability<'a, 's, 'i> {
    fn new(selection: &'a Selection<'s>, index: &'a ImageIndex<'i>) -> Reachability<'a, 's, 'i> {
        let mut started: BTreeMap<UsrPath, Vec<UsrPath>> = BTreeMap::new();
        for reference in unit_and_script_execs::find_exec_references(selection.tree, &selection.paths) {
            started.entry(reference.referrer.clone()).or_default().extend(reference.candidates);
        }
        Reachability {
            selection,
            index,
            loaders: loaders_with_without_env(selection, Some(&selection.paths)),
            started,
        }
    }

    fn unneeded(&self, words: &BTreeSet<String>) -> BTreeMap<UsrPath, UnneededCategory> {
        let mut named: BTreeSet<&str> = words.iter().map(String::as_str).collect();
        for (_, info) in self.selection.files() {
            if let FileInfo::Text(text) = info {
                named.extend(possible_file_names(text));
            }
        }
        let paths = self.selection.paths.iter().filter(|path| !named.contains(path.name()));
        let mut candidates: BTreeMap<UsrPath, UnneededCategory> =
            paths.filter_map(|path| Some((path.clone(), self.category_if_unneeded(path)?))).collect();
        let reach = |is_root: &dyn Fn(Option<&UnneededCategory>) -> bool| {
            self.reach(self.selection.paths.iter().filter(|path| is_root(candidates.get(*path))))
        };
        let surely = reach(&|category| category.is_none());
        let with_programs = reach(&|category| {
            category.is_none_or(|category| *category == UnneededCategory::ProgramsAndPlugins)
        });
        candidates.retain(|path, category| match category {
            UnneededCategory::ProgramsAndPlugins => !surely.contains(path),
            _ => !with_programs.contains(path),
        });
        candidates
    }

    /// The category of a path if nothing listed needs it; `None` for one that is needed in any case.
    fn category_if_unneeded(&self, path: &UsrPath) -> Option<UnneededCategory> {
        let tree = self.selection.tree;
        let end = tree.resolve(path).end.node()?.clone();
        let info = tree.read_file_info(end.as_str())?;
        let soname = tree.read_elf_info(&end).and_then(|elf| elf.soname.as_deref());
        let is_linker_name = LibraryName::parse_linker_name(path.name()).is_some();
        let is_other_name = end.name() != path.name() && soname.is_some_and(|name| name != path.name());
        let is_linker_script = matches!(info, FileInfo::Other | FileInfo::Text(_));
        let is_in_library_directory = || {
            path.parent().is_some_and(|directory| {
                let real = tree.resolve(&directory).end;
                self.index.is_loader_search_directory(&directory)
                    || real.node().is_some_and(|real| self.index.is_loader_search_directory(real))
            })
        };
        let is_loader = is_loader_name(path.name());
        if is_linker_name && (is_other_name || is_linker_script) && is_in_library_directory() {
            return Some(UnneededCategory::DevelopmentLinks);
        }
        if soname.is_some()
            && !is_loader
            && LibraryName::from_path(path).is_some()
            && is_in_library_directory()
        {
            return Some(UnneededCategory::Libraries);
        }
        let is_executable = tree.get(end.as_str()).is_some_and(|node| node.mode & 0o111 != 0);
        let is_program = match info {
            FileInfo::Elf(_) => !is_systemd_program(path.as_str()) && !is_loader,
            FileInfo::Script(_) => is_executable,
            _ => false,
        };
        is_program.then_some(UnneededCategory::ProgramsAndPlugins)
    }

    /// Every path that these need, themselves included.
    fn reach<'r>(&self, roots: impl Iterator<Item = &'r UsrPath>) -> BTreeSet<UsrPath> {
        let programs = StartedPrograms::new(self.selection.tree);
        let mut todo: Vec<UsrPath> = roots.cloned().collect();
        let mut reached = BTreeSet::new();
        // Objects of an earlier load: what they need was loaded with them.
        let mut loaded: BTreeSet<UsrPath> = BTreeSet::new();
        let mut known_loaders: BTreeSet<&str> = BTreeSet::new();
        while let Some(path) = todo.pop() {
            if !reached.insert(path.clone()) {
                continue;
            }
            let resolved = self.selection.tree.resolve(&path);
            todo.extend(resolved.paths().cloned());
            todo.extend(self.started.get(&path).into_iter().flatten().cloned());
            let Some(elf) = self.selection.tree.read_elf_info(&path) else { continue };
            if !loaded.contains(&path) {
                for object in self.loaders.iter().flat_map(|loader| loader.load(&path).objects) {
                    todo.extend(object.paths().cloned());
                    loaded.insert(object.path);
                }
            }
            for name in elf.dlopen_notes.iter().flat_map(|note| &note.sonames) {
                for object in self.loaders.iter().filter_map(|loader| loader.resolve_dlopen(&path, name)) {
                    todo.extend(object.paths().cloned());
                }
            }
            if let Some(loader) = known_dlopens::loader_name(&path).filter(|name| known_loaders.insert(*name))
            {
                todo.extend(known_dlopens::find_loaded_by(loader, self.selection).cloned());
            }
            let started = programs.started_by(&path, &elf.exec_paths);
            todo.extend(started.into_iter().flat_map(|(_, chain)| chain));
        }
        reached
    }
}

/// The words of a text that can be file names; of a path, its last component.
pub fn possible_file_names(text: &str) -> impl Iterator<Item = &str> {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || "_.-+@[".contains(c);
    text.split(move |c| !is_in_name(c))
        .map(|word| word.trim_matches(['.', '-']))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rules::tests::image;
    use crate::selection::ManifestRef;

    fn groups(image_lines: &[&str], manifests: &[(&str, &str)], words: &[&str]) -> Vec<String> {
        let tree = image(image_lines);
        let manifest_ref = |(flavor, file): (&str, &str)| ManifestRef {
            board: Board::Amd64,
            flavor: Flavor::from_dir_name(&format!("usr_from_{flavor}")).unwrap(),
            directory_entry: format!("{flavor}/{file}"),
            file: file.to_owned(),
        };
        // The first manifest is shared by both flavors.
        let mut manifest_refs: Vec<ManifestRef> =
            manifests.iter().map(|(file, _)| manifest_ref(("coreos", file))).collect();
        manifest_refs.extend(manifests.iter().take(1).map(|(file, _)| manifest_ref(("kvm", file))));
        let sources = Stage1Sources {
            manifests: manifests
                .iter()
                .map(|(file, text)| ((*file).to_owned(), text.as_bytes().to_vec()))
                .collect(),
            manifest_refs,
            ..Stage1Sources::default()
        };
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let lines = find_unneeded(&sources, &ImageTrees::from([(Board::Amd64, &tree)]), &words).unwrap();
        lines
            .iter()
            .map(|line| format!("{} {}:{} {}", line.category.id(), line.file, line.line, line.path))
            .collect()
    }

    const IMAGE: &[&str] = &[
        "lib64/systemd/systemd liba.so.1 ?libnote.so.1",
        "lib64/systemd/system/x.service = [Service]\\nExecStart=/usr/bin/started\\n",
        "bin/started libb.so.1 libc.so.6",
        "bin/alone libonly.so.1",
        "lib64/liba.so -> liba.so.1",
        "lib64/liba.so.1 -> liba.so.1.2",
        "lib64/liba.so.1.2",
        "lib64/libb.so.1",
        "lib64/libnote.so.1",
        "lib64/libonly.so.1",
        "lib64/libunused.so.1 -> libunused.so.1.0",
        "lib64/libunused.so.1.0 libbelow.so.1",
        "lib64/libbelow.so.1",
        "lib64/libgcc_s.so.1",
        "lib64/libc.so.6",
        "lib64/libnss_dns.so.2",
        "share/data = text",
    ];

    fn all() -> String {
        let paths = IMAGE.iter().map(|line| line.split(' ').next().unwrap());
        paths.map(|path| format!("{path}\n")).collect()
    }

    #[test]
    fn lines_that_nothing_needs_are_grouped() {
        let expected = [
            "development-links m:5 lib64/liba.so",
            "libraries m:13 lib64/libbelow.so.1",
            "libraries m:11 lib64/libunused.so.1",
            "libraries m:12 lib64/libunused.so.1.0",
            "rest m:4 bin/alone",
        ];
        let mut found = groups(IMAGE, &[("m", &all())], &[]);
        found.sort_by_key(|line| {
            (line.split(' ').next().map(str::to_owned), line.rsplit(' ').next().map(str::to_owned))
        });
        assert_eq!(found, expected);
        assert!(!groups(IMAGE, &[("m", &all())], &["alone"]).iter().any(|line| line.contains("alone")));
        assert!(
            !groups(IMAGE, &[("m", &all())], &["libunused.so.1"])
                .iter()
                .any(|line| line.contains("libbelow"))
        );
    }

    /// A real image has as many files: a comparison of each program with each file would take minutes.
    #[test]
    fn listed_directory_of_many_programs_is_bounded() {
        let program = |number: u32| [format!("lib64/p/x{number}"), format!("lib64/p/libc-{number}.so")];
        let files: Vec<String> = (0..10_000).flat_map(program).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        assert_eq!(groups(&files, &[("m", "lib64/p/x7\nlib64/p\n")], &[]), ["rest m:1 lib64/p/x7"]);
    }

    #[test]
    fn line_that_one_flavor_needs_is_needed() {
        // Only coreos has the program that needs the library.
        let shared = "lib64/libb.so.1\nlib64/systemd/systemd\nlib64/liba.so.1\nlib64/liba.so.1.2\nlib64/libnote.so.1\n";
        assert_eq!(
            groups(IMAGE, &[("m", shared), ("own", "bin/started\n")], &["started"]),
            Vec::<String>::new()
        );
        assert_eq!(groups(IMAGE, &[("m", shared)], &[]), ["libraries m:1 lib64/libb.so.1"]);
    }
}
