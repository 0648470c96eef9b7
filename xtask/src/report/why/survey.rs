//! All needs of what the manifests of a board list, turned around: from the file that is needed to who needs it.

use std::collections::{BTreeMap, BTreeSet};

use super::{BrokenPath, Edge, Place};
use coreos_types::release::Board;
use manifest::exec_references;
use manifest::file::ManifestFile;
use manifest::plan::sources::Stage1Sources;
use manifest::selection::{ManifestSet, ManifestsByPath, Selection};
use usr::file_info::FileInfo;
use usr::ldso::{DynamicLoader, FoundVia, LoadResult};
use usr::path::UsrPath;
use usr::tree::UsrTree;

/// What a board's manifests list, and what that needs.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Where each path is listed, directories standing for what is below them.
    pub(super) listed: BTreeMap<UsrPath, Vec<Place>>,
    /// The lines that name each path, whether or not the image has it.
    pub(super) lines: BTreeMap<UsrPath, Vec<Place>>,
    /// Who needs each file.
    pub(super) needed_by: BTreeMap<UsrPath, BTreeSet<Edge>>,
    /// Names that the image does not have.
    pub(super) missing: BTreeMap<String, BrokenPath>,
}

impl Survey {
    pub(super) fn of(board: Board, sources: &Stage1Sources, tree: &UsrTree) -> Survey {
        let mut survey = Survey::default();
        let present = survey.list(board, sources, tree);
        let loader = DynamicLoader::new(tree, board, DynamicLoader::systemd_directories(tree), None);
        for path in &present {
            match tree.file_info(path.as_str()) {
                Some(FileInfo::Elf(elf)) if elf.dynamic && elf.machine == board.elf_machine() => {
                    survey.link(&loader.load(path));
                }
                _ => {}
            }
        }
        for reference in exec_references::scan(tree, &present) {
            if let Some(program) = reference.target(tree) {
                let edge = Edge { by: reference.referrer, says: reference.directive, how: String::new() };
                survey.needed_by.entry(program).or_default().insert(edge);
            }
        }
        survey
    }

    fn list(&mut self, board: Board, sources: &Stage1Sources, tree: &UsrTree) -> BTreeSet<UsrPath> {
        let texts: BTreeMap<&str, ManifestFile> = sources
            .manifests
            .iter()
            .map(|(file, bytes)| (file.as_str(), ManifestFile::parse(bytes)))
            .collect();
        let texts: ManifestsByPath<'_> = texts.iter().map(|(file, text)| (*file, text)).collect();
        let mut present = BTreeSet::new();
        for flavor in ManifestSet::of_board(board, &sources.listings) {
            self.note_lines(&flavor, &texts);
            let stage = Selection::of(&flavor, &texts, tree);
            for path in &stage.present {
                let Some(home) = stage.home(path) else { continue };
                let places = self.listed.entry(path.clone()).or_default();
                let place = Place { file: home.file.to_owned(), line: home.line };
                if !places.contains(&place) {
                    places.push(place);
                }
            }
            present.extend(stage.present);
        }
        present
    }

    fn note_lines(&mut self, flavor: &ManifestSet, texts: &ManifestsByPath<'_>) {
        for file in &flavor.files {
            for (index, line) in texts.get(file.as_str()).into_iter().flat_map(|text| text.entries()) {
                let Ok(path) = UsrPath::new(line) else { continue };
                let place = Place { file: file.clone(), line: index + 1 };
                let places = self.lines.entry(path).or_default();
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
    }

    fn link(&mut self, load: &LoadResult) {
        for need in &load.needs {
            if let Some(object) = need.object.and_then(|at| load.objects.get(at)) {
                let edge =
                    Edge { by: need.needed_by.clone(), says: need.name.clone(), how: object.how.to_string() };
                self.needed_by.entry(object.path.clone()).or_default().insert(edge);
            }
        }
        for object in load.objects.iter().filter(|object| object.how == FoundVia::Interp) {
            let edge = Edge {
                by: object.needed_by.clone(),
                says: object.requested_name.clone(),
                how: object.how.to_string(),
            };
            self.needed_by.entry(object.path.clone()).or_default().insert(edge);
        }
        for missing in &load.missing {
            let known = self.missing.entry(missing.name.clone()).or_default();
            known.needed_by.insert(missing.needed_by.clone());
            known.searched.clone_from(&missing.searched);
        }
    }
}
