//! Mends the manifests of a board. Nothing is guessed: what cannot be decided stays for [`super::check`] to find.

use std::collections::{BTreeMap, BTreeSet};

use super::byname::is_loaded_by_name;
use super::check::{listed_paths, responsible};
use super::draft::Draft;
use super::finding::FixKind;
use super::form;
use super::index::ImageIndex;
use super::library::{LibraryName, Shape};
use super::needs::{Asking, DlopenLevel, Needs, Unmet};
use super::stage::{FlavorFiles, Stage, Texts};
use super::successor::{Fate, Surroundings, successor};
use crate::usr::facts::Facts;
use crate::usr::path::UsrPath;
use crate::usr::tree::End;

/// How far mending goes.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// Which `.note.dlopen` entries count as needs.
    pub dlopen: DlopenLevel,
    /// Drop paths that vanished without successor.
    pub drop_missing: bool,
}

/// Rounds of "what was added needs something in turn" before mending gives up; a real chain is three deep.
const MAX_ROUNDS: usize = 32;

/// The manifests under repair, by real path.
pub type Drafts = BTreeMap<String, Draft>;

/// Mends every manifest of a board's flavors. Returns the files whose content has to be read before the result can
/// be relied on.
pub fn mend(
    flavors: &[FlavorFiles],
    drafts: &mut Drafts,
    index: &ImageIndex<'_>,
    reach: Reach,
) -> BTreeSet<UsrPath> {
    let mut board = Mend { flavors, drafts, index, reach, unread: BTreeSet::new() };
    board.tidy();
    board.successors(&BTreeSet::new());
    // What several candidates leave open, the needs of what is listed may decide.
    let wanted = board.wanted();
    board.successors(&wanted);
    board.additions();
    board.replaced();
    if reach.drop_missing {
        board.drop_vanished();
    }
    board.unread
}

struct Mend<'a> {
    flavors: &'a [FlavorFiles],
    drafts: &'a mut Drafts,
    index: &'a ImageIndex<'a>,
    reach: Reach,
    unread: BTreeSet<UsrPath>,
}

impl Mend<'_> {
    fn files(&self) -> BTreeSet<&str> {
        self.flavors.iter().flat_map(|flavor| flavor.files.iter().map(String::as_str)).collect()
    }

    fn tidy(&mut self) {
        for file in self.flavors.iter().flat_map(|flavor| &flavor.files) {
            let Some(draft) = self.drafts.get_mut(file) else { continue };
            let strays = form::strays(draft.text(), self.index);
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
        for file in self.flavors.iter().flat_map(|flavor| &flavor.files) {
            let Some(draft) = self.drafts.get_mut(file) else { continue };
            let mut lines: Vec<UsrPath> = draft
                .text()
                .entries()
                .filter_map(|(_, line)| UsrPath::new(line).ok())
                .filter(|path| draft.has(path.as_str()))
                .collect();
            // Sonames first: the file behind one is found through it.
            lines.sort_by_cached_key(|path| (rank(path), path.clone()));
            let mut listed = listed_paths(draft.text().entries().map(|(_, line)| line), self.index);
            for path in lines {
                let around = Surroundings { index: self.index, listed: &listed, wanted };
                let Some(found) = successor(&path, &around) else { continue };
                let line = path.as_str();
                match &found.fate {
                    Fate::Renamed(to) => draft.rename(line, to.as_str(), FixKind::Rename, &found.because),
                    Fate::Moved(to) => draft.rename(line, to.as_str(), FixKind::Move, &found.because),
                    Fate::Pointless => draft.drop_line(line, FixKind::Drop, &found.because),
                    Fate::Open(_) => continue,
                }
                listed.remove(&path);
                if let Fate::Renamed(to) | Fate::Moved(to) = found.fate {
                    listed.insert(to);
                }
            }
        }
    }

    /// What listed files need and do not find: the names as asked for, and each as `STEM.so`.
    fn wanted(&mut self) -> BTreeSet<String> {
        let mut wanted = BTreeSet::new();
        for flavor in self.flavors {
            wanted.extend(self.needs(flavor, |_, needs| needs.unmet.keys().cloned().collect::<Vec<_>>()));
        }
        let stems: Vec<String> = wanted.iter().filter_map(|name| stem_of(name)).collect();
        wanted.extend(stems);
        wanted
    }

    /// Looks at a flavor as its drafts stand now.
    fn needs<T>(&mut self, flavor: &FlavorFiles, look: impl FnOnce(&Stage<'_>, &Needs) -> T) -> T {
        let texts: Texts<'_> =
            self.drafts.iter().map(|(file, draft)| (file.as_str(), draft.text())).collect();
        let stage = Stage::of(flavor, &texts, self.index.tree);
        let needs = Needs::of(&stage, self.reach.dlopen);
        let seen = look(&stage, &needs);
        self.unread.extend(needs.unread);
        seen
    }

    /// Adds what listed files need, until nothing that can be added is lacking.
    fn additions(&mut self) {
        for flavor in self.flavors {
            for _ in 0..MAX_ROUNDS {
                let additions = self.needs(flavor, |stage, needs| {
                    let mut additions = needed(stage, needs);
                    additions.extend(link_targets(stage));
                    additions
                });
                let mut changed = false;
                for addition in additions {
                    changed |= self.add(&addition);
                }
                if !changed {
                    break;
                }
            }
        }
    }

    fn add(&mut self, addition: &Addition) -> bool {
        let keeps_dev =
            self.drafts.get(&addition.file).is_some_and(|draft| keeps_dev_links(draft, self.index));
        let Some(draft) = self.drafts.get_mut(&addition.file) else { return false };
        let mut changed = false;
        for (path, because) in &addition.lines {
            if !draft.has(path.as_str()) {
                draft.add(path.as_str(), because);
                changed = true;
            }
            if let Some(dev) = dev_link(path, self.index).filter(|dev| keeps_dev && !draft.has(dev.as_str()))
            {
                draft.add(
                    dev.as_str(),
                    &format!("this manifest keeps the links that name no version; it leads to {path}"),
                );
                changed = true;
            }
        }
        changed
    }

    /// Settles library lines that vanished without a successor of their own, now that it is known what was added.
    ///
    /// A library is listed for the sake of what links to it. Where nothing does any more, the image has none of its
    /// kind, and what is needed instead came in, the old line has had its day. What files load by name stays for a
    /// person: its loss is the loss of a feature.
    fn replaced(&mut self) {
        let mut kept = self.wanted();
        kept.extend(self.noted());
        let came =
            self.drafts.values().flat_map(additions_of).any(|new| LibraryName::parse(new.name()).is_some());
        for file in self.files().into_iter().map(str::to_owned).collect::<Vec<_>>() {
            let Some(draft) = self.drafts.get_mut(&file) else { continue };
            for path in vanished(draft, self.index) {
                let Some(name) = LibraryName::parse(path.name()) else { continue };
                if kept.contains(&format!("{}.so", name.stem)) || is_loaded_by_name(name.stem) {
                    continue;
                }
                if let Some(heir) = heir_among_additions(&path, draft) {
                    let because =
                        format!("{} is needed now, and the image has no {}", heir.name(), path.name());
                    draft.rename(path.as_str(), heir.as_str(), FixKind::Rename, &because);
                } else if came {
                    let because = format!(
                        "no listed file needs {} any more, and the image has no such library",
                        name.stem
                    );
                    draft.drop_line(path.as_str(), FixKind::Drop, &because);
                }
            }
        }
    }

    /// What listed files say in `.note.dlopen` that they load, as `STEM.so`.
    fn noted(&mut self) -> BTreeSet<String> {
        let mut noted = BTreeSet::new();
        for flavor in self.flavors {
            noted.extend(self.needs(flavor, |stage, _| {
                let elves = stage.files().filter_map(|(_, facts)| match facts {
                    Facts::Elf(elf) => Some(elf),
                    _ => None,
                });
                let sonames = elves.flat_map(|elf| &elf.dlopen).flat_map(|note| &note.sonames);
                sonames.filter_map(|name| stem_of(name)).collect::<Vec<_>>()
            }));
        }
        noted
    }

    fn drop_vanished(&mut self) {
        for file in self.files().into_iter().map(str::to_owned).collect::<Vec<_>>() {
            let Some(draft) = self.drafts.get_mut(&file) else { continue };
            let gone: Vec<String> = draft
                .text()
                .entries()
                .filter(|(_, line)| self.index.tree.get(line).is_none())
                .map(|(_, line)| line.to_owned())
                .collect();
            for line in gone {
                draft.drop_line(&line, FixKind::Drop, "it is not in the image, and --drop-missing was given");
            }
        }
    }
}

/// Lines to add to one manifest, each with its reason.
struct Addition {
    file: String,
    lines: Vec<(UsrPath, String)>,
}

fn needed(stage: &Stage<'_>, needs: &Needs) -> Vec<Addition> {
    let of = |(name, unmet): (&String, &Unmet)| {
        let (home, consumer) = responsible(unmet, needs, stage)?;
        let direct = unmet.needed_by.iter().next().unwrap_or(&consumer);
        let asks = match &unmet.by {
            Asking::Link => format!("{direct} needs {name}"),
            Asking::Dlopen(feature) => format!("{direct} loads {name} by name, for {feature}"),
            Asking::Exec(source) => format!("{direct} starts {name} ({source})"),
        };
        let lines = unmet.chain.iter().filter(|path| !stage.present.contains(*path)).map(|path| {
            let leads = path.name() != name && unmet.chain.len() > 1;
            let because = if leads { format!("{asks}, which leads to it") } else { asks.clone() };
            (path.clone(), because)
        });
        Some(Addition { file: home.file.to_owned(), lines: lines.collect() })
    };
    needs.unmet.iter().filter_map(of).collect()
}

/// Files behind listed links: without them the link dangles. A directory is not taken in for a link's sake.
fn link_targets(stage: &Stage<'_>) -> Vec<Addition> {
    let of = |path: &UsrPath| {
        let home = stage.home(path)?;
        let resolved = stage.tree.resolve(path);
        let End::Node(end) = &resolved.end else { return None };
        stage.tree.facts(end.as_str())?;
        let ways = resolved.links.iter().chain([end]).filter(|way| !stage.present.contains(*way));
        let lines: Vec<(UsrPath, String)> =
            ways.map(|way| (way.clone(), format!("{path} is a link that leads to it"))).collect();
        (!lines.is_empty()).then(|| Addition { file: home.file.to_owned(), lines })
    };
    stage.present.iter().filter_map(of).collect()
}

fn rank(path: &UsrPath) -> u8 {
    match LibraryName::parse(path.name()).map(|name| name.shape) {
        Some(Shape::Soname(_)) => 0,
        Some(Shape::Dev) => 1,
        Some(_) => 2,
        None => 3,
    }
}

/// The entries of a draft that the image does not have, sonames first.
fn vanished(draft: &Draft, index: &ImageIndex<'_>) -> Vec<UsrPath> {
    let entries = draft.text().entries().filter_map(|(_, line)| UsrPath::new(line).ok());
    let mut gone: Vec<UsrPath> =
        entries.filter(|path| index.tree.get(path.as_str()).is_none() && draft.has(path.as_str())).collect();
    gone.sort_by_cached_key(|path| (rank(path), path.clone()));
    gone
}

fn additions_of(draft: &Draft) -> impl Iterator<Item = UsrPath> + '_ {
    draft
        .fixes()
        .iter()
        .filter(|fix| fix.kind == FixKind::Add)
        .filter_map(|fix| UsrPath::new(fix.to.as_deref()?).ok())
}

/// The addition of the same stem that takes a vanished line's place: of the same shape, or else the only one.
fn heir_among_additions(path: &UsrPath, draft: &Draft) -> Option<UsrPath> {
    let name = LibraryName::parse(path.name())?;
    let of_stem: Vec<UsrPath> = additions_of(draft)
        .filter(|added| LibraryName::parse(added.name()).is_some_and(|other| other.stem == name.stem))
        .collect();
    let alike = |added: &&UsrPath| {
        LibraryName::parse(added.name()).is_some_and(|other| other.shape.is_like(name.shape))
    };
    of_stem
        .iter()
        .find(alike)
        .or(match of_stem.as_slice() {
            [only] => Some(only),
            _ => None,
        })
        .cloned()
}

fn stem_of(name: &str) -> Option<String> {
    LibraryName::parse(name).map(|name| format!("{}.so", name.stem))
}

/// `libX.so` beside a soname or real file, where the image has it and it leads to the same file.
fn dev_link(path: &UsrPath, index: &ImageIndex<'_>) -> Option<UsrPath> {
    let name = LibraryName::parse(path.name()).filter(|name| name.shape != Shape::Dev)?;
    let dev = path.parent()?.join(&format!("{}.so", name.stem));
    let leads = index.is_link(&dev) && index.tree.resolve(&dev).end == index.tree.resolve(path).end;
    leads.then_some(dev)
}

/// Whether a manifest lists the version-less link of most libraries that have one: its habit decides for new ones.
fn keeps_dev_links(draft: &Draft, index: &ImageIndex<'_>) -> bool {
    let (mut kept, mut left) = (0_usize, 0_usize);
    for (_, line) in draft.text().entries() {
        let Ok(path) = UsrPath::new(line) else { continue };
        if LibraryName::parse(path.name()).is_none_or(|name| !matches!(name.shape, Shape::Soname(_))) {
            continue;
        }
        match dev_link(&path, index) {
            Some(dev) if draft.has(dev.as_str()) => kept += 1,
            Some(_) => left += 1,
            None => {}
        }
    }
    kept > left
}
