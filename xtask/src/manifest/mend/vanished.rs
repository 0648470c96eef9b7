//! Lines of libraries that vanished without a successor of their own, and lines that nobody wants to keep.

use super::{Mend, listed, rank};
use crate::manifest::byname::is_loaded_by_name;
use crate::manifest::check::listed_paths;
use crate::manifest::draft::Draft;
use crate::manifest::finding::FixKind;
use crate::manifest::index::ImageIndex;
use crate::manifest::library::LibraryName;
use crate::manifest::successor::{Fate, Successor, Surroundings, successor};
use crate::usr::path::UsrPath;

impl Mend<'_> {
    /// Settles vanished libraries, now that it is known what was added.
    ///
    /// A library is listed for the sake of what links to it. Where nothing does any more, the image has none of its
    /// kind, and what is needed instead came in, the old line has had its day. What files load by name stays for a
    /// person: its loss is the loss of a feature.
    pub(super) fn replaced(&mut self) {
        let came =
            self.drafts.values().flat_map(additions_of).any(|new| LibraryName::parse(new.name()).is_some());
        for file in &self.files {
            let Some(draft) = self.drafts.get_mut(file) else { continue };
            for path in vanished(draft, self.index) {
                let Some(name) = LibraryName::parse(path.name()) else { continue };
                if self.asked.contains(name.stem) || is_loaded_by_name(name.stem) {
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

    /// `--drop-missing`.
    pub(super) fn drop_vanished(&mut self) {
        for file in &self.files {
            let Some(draft) = self.drafts.get_mut(file) else { continue };
            let listed = listed_paths(draft.text().entries().map(|(_, line)| line), self.index);
            let around = Surroundings { index: self.index, listed: &listed, wanted: &self.asked };
            let is_gone = |line: &str| match UsrPath::new(line) {
                Ok(path) => matches!(successor(&path, &around), Some(Successor { fate: Fate::Gone(_), .. })),
                Err(_) => true,
            };
            let entries = draft.text().entries().filter(|(_, line)| is_gone(line));
            let gone: Vec<String> = entries.map(|(_, line)| line.to_owned()).collect();
            for line in gone {
                draft.drop_line(&line, FixKind::Drop, "it is not in the image, and --drop-missing was given");
            }
        }
    }
}

/// The entries of a draft that the image does not have, sonames first.
fn vanished(draft: &Draft, index: &ImageIndex<'_>) -> Vec<UsrPath> {
    let mut gone = listed(draft);
    gone.retain(|path| index.tree.get(path.as_str()).is_none());
    gone.sort_by_cached_key(|path| (rank(path), path.clone()));
    gone
}

fn additions_of(draft: &Draft) -> impl Iterator<Item = UsrPath> + '_ {
    let added = draft.fixes().iter().filter(|fix| fix.kind == FixKind::Add);
    added.filter_map(|fix| UsrPath::new(fix.to.as_deref()?).ok())
}

/// The addition of the same stem that takes a vanished line's place: of the same shape, or else the only one.
fn heir_among_additions(path: &UsrPath, draft: &Draft) -> Option<UsrPath> {
    let name = LibraryName::parse(path.name())?;
    let has_stem =
        |added: &UsrPath| LibraryName::parse(added.name()).is_some_and(|other| other.stem == name.stem);
    let heirs: Vec<UsrPath> = additions_of(draft).filter(has_stem).collect();
    let alike = |heir: &&UsrPath| {
        LibraryName::parse(heir.name()).is_some_and(|other| other.shape.is_like(name.shape))
    };
    let only = || if heirs.len() == 1 { heirs.first() } else { None };
    heirs.iter().find(alike).or_else(only).cloned()
}
