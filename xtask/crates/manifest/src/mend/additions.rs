//! What is added to a manifest for the sake of what it lists.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::check::responsible;
use crate::dependencies::{DependencyKind, DependencyReport, Unresolved};
use crate::editor::ManifestEditor;
use crate::image_index::ImageIndex;
use crate::library_name::{LibraryName, NameKind};
use crate::selection::Selection;
use usr::path::UsrPath;
use usr::tree::Target;

/// Lines to add to one manifest, each with its reason.
pub(super) struct Addition {
    pub(super) file: String,
    lines: Vec<(UsrPath, String)>,
}

/// Which manifests keep links that name no version, as far as that was looked up.
pub(super) type Habits = BTreeMap<String, bool>;

impl Addition {
    /// Everything that the files of a stage need and the image has, and the files that its links lead to.
    pub(super) fn all_of(stage: &Selection<'_>, needs: &DependencyReport) -> Vec<Addition> {
        let needed = needs.unmet.iter().filter_map(|unmet| needed(unmet, stage, needs));
        let linked = stage.present.iter().filter_map(|path| link_target(path, stage));
        needed.chain(linked).collect()
    }

    /// Adds the lines that are not there, with the version-less links where the manifest keeps those. `added` is
    /// what was added to any manifest of the flavor before: one line serves all of it.
    pub(super) fn add_to(
        &self,
        draft: &mut ManifestEditor,
        index: &ImageIndex<'_>,
        habits: &mut Habits,
        added: &mut BTreeSet<UsrPath>,
    ) {
        if draft.is_frozen() {
            return;
        }
        let keeps_dev = *habits.entry(self.file.clone()).or_insert_with(|| keeps_dev_links(draft, index));
        for (path, because) in &self.lines {
            if !draft.has(path.as_str()) && added.insert(path.clone()) {
                draft.add(path.as_str(), because);
            }
            let dev = dev_link(path, index).filter(|dev| keeps_dev && !draft.has(dev.as_str()));
            if let Some(dev) = dev.filter(|dev| added.insert(dev.clone())) {
                let habit = "this manifest keeps the links that name no version";
                draft.add(dev.as_str(), &format!("{habit}; it leads to {path}"));
            }
        }
    }
}

/// Whole chains: every link on the way, and the file.
fn needed(unmet: &Unresolved, stage: &Selection<'_>, needs: &DependencyReport) -> Option<Addition> {
    let name = &unmet.name;
    let (home, consumer) = responsible(unmet, needs, stage)?;
    let direct = unmet.needed_by.iter().next().unwrap_or(&consumer);
    let asks = match &unmet.by {
        DependencyKind::Link => format!("{direct} needs {name}"),
        DependencyKind::Dlopen(feature) => format!("{direct} loads {name} by name, for {feature}"),
        DependencyKind::Exec(source) => format!("{direct} starts {name} ({source})"),
    };
    // A loader is asked for by its path.
    let asked = name.rsplit('/').next().unwrap_or(name);
    let lines = unmet.chain.iter().filter(|path| !stage.present.contains(*path)).map(|path| {
        let because = match (&unmet.instead_of, &unmet.unsuitable) {
            (_, Some((other, reason))) => format!("{asks}; {other} does not serve: {reason}"),
            _ if path.name() == asked => asks.clone(),
            (None, None) => format!("{asks}, which leads to it"),
            (Some((now, sure)), None) => {
                format!("{asks}: {sure} finds it through this, else only {now} does")
            }
        };
        (path.clone(), because)
    });
    Some(Addition { file: home.file.to_owned(), lines: lines.collect() })
}

/// The file behind a listed link: without it the link dangles. A directory is not taken in for a link's sake.
fn link_target(path: &UsrPath, stage: &Selection<'_>) -> Option<Addition> {
    let home = stage.home(path)?;
    let resolved = stage.tree.resolve(path);
    let Target::Node(end) = &resolved.end else { return None };
    stage.tree.file_info(end.as_str())?;
    let lacking = resolved.links.iter().chain([end]).filter(|way| !stage.present.contains(*way));
    let lines: Vec<(UsrPath, String)> =
        lacking.map(|way| (way.clone(), format!("{path} is a link that leads to it"))).collect();
    (!lines.is_empty()).then(|| Addition { file: home.file.to_owned(), lines })
}

/// `libX.so` beside a soname or real file, where the image has it and it leads to the same file.
fn dev_link(path: &UsrPath, index: &ImageIndex<'_>) -> Option<UsrPath> {
    let name = LibraryName::parse(path.name()).filter(|name| name.kind != NameKind::LinkerName)?;
    let dev = path.parent()?.join(&format!("{}.so", name.stem));
    let leads = index.is_symlink(&dev) && index.tree.resolve(&dev).end == index.tree.resolve(path).end;
    leads.then_some(dev)
}

/// Whether a manifest lists the version-less link of most libraries that have one: its habit decides for new ones.
fn keeps_dev_links(draft: &ManifestEditor, index: &ImageIndex<'_>) -> bool {
    let lines: HashSet<&str> = draft.text().entries().map(|(_, line)| line).collect();
    let is_soname = |path: &UsrPath| {
        LibraryName::parse(path.name()).is_some_and(|name| matches!(name.kind, NameKind::Soname(_)))
    };
    let sonames = lines.iter().filter_map(|line| UsrPath::new(line).ok()).filter(is_soname);
    let dev_links: Vec<UsrPath> = sonames.filter_map(|path| dev_link(&path, index)).collect();
    let kept = dev_links.iter().filter(|dev| lines.contains(dev.as_str())).count();
    kept * 2 > dev_links.len()
}
