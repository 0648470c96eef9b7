//! Mends the manifests of a board. Nothing is guessed: what cannot be decided stays for [`super::check`] to find.

mod additions;
mod vanished;

use std::collections::{BTreeMap, BTreeSet};

use super::check::listed_paths;
use super::dependencies::{DependencyReport, MinDlopenPriority};
use super::editor::ManifestEditor;
use super::finding::FixKind;
use super::image_index::ImageIndex;
use super::library_name::{LibraryName, NameKind};
use super::malformed_line;
use super::replacement::{MovedDirectories, Outcome, ReplacementContext, find_replacement};
use super::selection::{ManifestSet, ManifestsByPath, Selection};
use additions::{Addition, Habits};
use usr::file_info::FileInfo;
use usr::path::UsrPath;
pub use vanished::offer_additions;

/// How far mending goes.
#[derive(Debug, Clone, Copy)]
pub struct FixOptions {
    /// Which `.note.dlopen` entries count as needs.
    pub dlopen: MinDlopenPriority,
    /// Drop paths that vanished without successor.
    pub drop_missing: bool,
    /// Nothing is known of what files need: nothing may be concluded from needs that are not there.
    pub by_names_only: bool,
}

/// Rounds of "what was added needs something in turn" before mending gives up; a real chain is three deep.
const MAX_ROUNDS: usize = 32;

/// The manifests under repair, by real path.
pub type ManifestEditors = BTreeMap<String, ManifestEditor>;

/// Mends every manifest of a board's flavors.
pub fn mend(
    flavors: &[ManifestSet],
    drafts: &mut ManifestEditors,
    index: &ImageIndex<'_>,
    reach: FixOptions,
) {
    let files = flavors.iter().flat_map(|flavor| flavor.files.iter().cloned()).collect();
    let mut board = Mend { flavors, files, drafts, index, reach, asked: BTreeSet::new() };
    board.tidy();
    // What was added may make an old line pointless, and what an old line became may need something in turn.
    for _ in 0..MAX_ROUNDS {
        let before = board.changes();
        board.round();
        if board.changes() == before {
            break;
        }
    }
    if reach.drop_missing {
        board.drop_vanished();
    }
}

struct Mend<'a> {
    flavors: &'a [ManifestSet],
    /// The manifests of these flavors, each once.
    files: BTreeSet<String>,
    drafts: &'a mut ManifestEditors,
    index: &'a ImageIndex<'a>,
    reach: FixOptions,
    /// The stems that listed files asked for when nothing more could be added: unmet needs, and what they say in
    /// `.note.dlopen` that they load.
    asked: BTreeSet<String>,
}

impl Mend<'_> {
    fn round(&mut self) {
        self.successors(&BTreeSet::new());
        if self.has_vanished() {
            // What several candidates leave open, the needs of what is listed may decide.
            let wanted = self.wanted();
            self.successors(&wanted);
        }
        self.additions();
        if !self.reach.by_names_only && self.has_vanished() {
            self.replaced();
        }
    }

    /// How often anything was changed so far.
    fn changes(&self) -> usize {
        self.drafts.values().map(ManifestEditor::changes).sum()
    }

    fn tidy(&mut self) {
        for file in &self.files {
            let Some(draft) = self.drafts.get_mut(file) else { continue };
            draft.convert_to_lf(malformed_line::CRLF);
            if self.flavors.iter().any(|flavor| flavor.is_followed(file)) {
                draft.add_final_newline(malformed_line::NO_FINAL_NEWLINE);
            }
            let strays = malformed_line::strays(draft.text(), self.index);
            // From the last line up, so that the indices stay right; rewriting moves lines, so it comes last.
            for stray in strays.iter().rev().filter(|stray| stray.becomes.is_none()) {
                draft.drop_at(stray.index, &stray.because);
            }
            for stray in &strays {
                if let Some(becomes) = &stray.becomes {
                    draft.rename(&stray.line, becomes, FixKind::Tidy, &stray.because);
                }
            }
        }
    }

    /// Gives each line that is not in the image the name that took its place.
    fn successors(&mut self, wanted: &BTreeSet<String>) {
        let mut on_board = self.listed_on_board();
        let moved_directories = self.moved_directories();
        for file in &self.files {
            let Some(draft) = self.drafts.get_mut(file) else { continue };
            let mut lines = listed(draft);
            // Sonames first: the file behind one is found through it.
            lines.sort_by_cached_key(|path| (rank(path), path.clone()));
            let mut listed = listed_paths(draft.text().entries().map(|(_, line)| line), self.index);
            for path in lines {
                let around = ReplacementContext {
                    index: self.index,
                    listed: &listed,
                    listed_on_board: &on_board,
                    moved_directories: &moved_directories,
                    unresolved_sonames: wanted,
                };
                let Some(found) = find_replacement(&path, &around) else { continue };
                let line = path.as_str();
                match &found.outcome {
                    Outcome::Renamed(to) => draft.rename(line, to.as_str(), FixKind::Rename, &found.reason),
                    Outcome::Moved(to) => draft.rename(line, to.as_str(), FixKind::Move, &found.reason),
                    Outcome::Redundant => draft.drop_line(line, FixKind::Drop, &found.reason),
                    Outcome::Ambiguous(_) | Outcome::NotFound(_) => continue,
                }
                listed.remove(&path);
                if let Outcome::Renamed(to) | Outcome::Moved(to) = found.outcome {
                    on_board.insert(to.clone());
                    listed.insert(to);
                }
            }
        }
    }

    /// The entries of every manifest of the board that are in the image.
    fn listed_on_board(&self) -> BTreeSet<UsrPath> {
        listed_paths(self.board_lines(), self.index)
    }

    fn moved_directories(&self) -> MovedDirectories {
        MovedDirectories::find(self.board_lines(), self.index)
    }

    /// The entries of every manifest of the board.
    fn board_lines(&self) -> impl Iterator<Item = &str> {
        let drafts = self.files.iter().filter_map(|file| self.drafts.get(file));
        drafts.flat_map(|draft| draft.text().entries().map(|(_, line)| line))
    }

    fn has_vanished(&self) -> bool {
        let mut drafts = self.files.iter().filter_map(|file| self.drafts.get(file));
        drafts.any(|draft| draft.text().entries().any(|(_, line)| self.index.tree.get(line).is_none()))
    }

    /// The names that listed files ask for and do not find.
    fn wanted(&mut self) -> BTreeSet<String> {
        let mut wanted = BTreeSet::new();
        for flavor in self.flavors {
            wanted.extend(self.look(flavor, |_, needs| needs.names().cloned().collect::<Vec<_>>()));
        }
        wanted
    }

    /// Looks at a flavor as its drafts stand now.
    fn look<T>(
        &mut self,
        flavor: &ManifestSet,
        look: impl FnOnce(&Selection<'_>, &DependencyReport) -> T,
    ) -> T {
        let texts: ManifestsByPath<'_> =
            self.drafts.iter().map(|(file, draft)| (file.as_str(), draft.text())).collect();
        let stage = Selection::of(flavor, &texts, self.index.tree);
        let needs = DependencyReport::of(&stage, self.reach.dlopen);
        look(&stage, &needs)
    }

    /// Adds what listed files need, until nothing that can be added is lacking.
    fn additions(&mut self) {
        for flavor in self.flavors {
            for _ in 0..MAX_ROUNDS {
                let (additions, asked) = self
                    .look(flavor, |stage, needs| (Addition::all_of(stage, needs), asked_stems(stage, needs)));
                let mut added = BTreeSet::new();
                let mut habits = Habits::new();
                for addition in additions {
                    if let Some(draft) = self.drafts.get_mut(&addition.file) {
                        addition.add_to(draft, self.index, &mut habits, &mut added);
                    }
                }
                if added.is_empty() {
                    self.asked.extend(asked);
                    break;
                }
            }
        }
    }
}

fn asked_stems(stage: &Selection<'_>, needs: &DependencyReport) -> Vec<String> {
    let elves = stage.files().filter_map(|(_, facts)| match facts {
        FileInfo::Elf(elf) => Some(elf),
        _ => None,
    });
    let noted = elves.flat_map(|elf| &elf.dlopen).flat_map(|note| &note.sonames);
    let names = needs.names().chain(noted);
    names.filter_map(|name| LibraryName::parse(name)).map(|name| name.stem.to_owned()).collect()
}

/// The lines of a draft that are paths as they are written.
fn listed(draft: &ManifestEditor) -> Vec<UsrPath> {
    let paths = draft.text().entries().filter_map(|(_, line)| Some((line, UsrPath::new(line).ok()?)));
    paths.filter(|(line, path)| path.as_str() == *line).map(|(_, path)| path).collect()
}

fn rank(path: &UsrPath) -> u8 {
    match LibraryName::parse(path.name()).map(|name| name.kind) {
        Some(NameKind::Soname(_)) => 0,
        Some(NameKind::LinkerName) => 1,
        Some(_) => 2,
        None => 3,
    }
}
