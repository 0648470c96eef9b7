//! What has to go with a file that cannot be had: every listed one that cannot work without it.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::dependencies::loader;
use crate::exec_references::started_by;
use crate::selection::{Location, ManifestsByPath, Selection};
use crate::suggestion::Suggestion;
use usr::ldso::LoadResult;
use usr::path::UsrPath;

/// Who cannot do without whom in a stage; found when it is first asked for.
#[derive(Default)]
pub(super) struct Ties(OnceCell<Found>);

struct Found {
    /// What each listed program and library would load if everything in the image were listed.
    loads: Vec<(UsrPath, LoadResult)>,
    /// Listed units and scripts, each with the programs that it starts.
    starters: Vec<(UsrPath, Vec<UsrPath>)>,
    /// Listed links, each with what it leads to.
    links: Vec<(UsrPath, UsrPath)>,
}

impl Found {
    fn of(stage: &Selection<'_>) -> Found {
        let image = loader(stage, None);
        let starter = |path: &UsrPath| {
            let programs: Vec<UsrPath> =
                started_by(stage.tree, path).into_iter().map(|(_, program)| program).collect();
            (!programs.is_empty()).then(|| (path.clone(), programs))
        };
        let link = |path: &UsrPath| {
            let resolved = stage.tree.resolve(path);
            let end = resolved.end.node().filter(|_| !resolved.links.is_empty())?;
            Some((path.clone(), end.clone()))
        };
        Found {
            loads: stage.loadable().map(|path| (path.clone(), image.load(path))).collect(),
            starters: stage.present.iter().filter_map(starter).collect(),
            links: stage.present.iter().filter_map(link).collect(),
        }
    }
}

impl Ties {
    /// The lines to give up for `seeds`, and for what loads one of them or `lacks` something.
    pub(super) fn giving_up<'p>(
        &self,
        seeds: impl IntoIterator<Item = &'p UsrPath>,
        lacks: impl Fn(&LoadResult) -> bool,
        stage: &Selection<'_>,
        texts: &ManifestsByPath<'_>,
    ) -> Suggestion {
        let mut given_up: BTreeSet<UsrPath> = seeds.into_iter().cloned().collect();
        let found = self.0.get_or_init(|| Found::of(stage));
        let loads = found.loads.iter().filter(|(_, load)| {
            lacks(load) || load.objects.iter().any(|object| given_up.contains(&object.path))
        });
        let burdened: Vec<&UsrPath> = loads.map(|(path, _)| path).collect();
        given_up.extend(burdened.into_iter().cloned());
        // Without process 1 there is no stage1 at all.
        if given_up.iter().any(|path| path.as_str().ends_with("/systemd/systemd")) {
            return Suggestion::OtherRelease;
        }
        // A unit without its program and a link without its target would be the next findings.
        let starters =
            found.starters.iter().filter(|(_, programs)| programs.iter().any(|one| given_up.contains(one)));
        let starters: Vec<&UsrPath> = starters.map(|(path, _)| path).collect();
        given_up.extend(starters.into_iter().cloned());
        let links = found.links.iter().filter(|(_, end)| given_up.contains(end));
        let links: Vec<&UsrPath> = links.map(|(path, _)| path).collect();
        given_up.extend(links.into_iter().cloned());
        lines_of(&given_up, stage, texts)
    }
}

/// The lines that list these paths, in every manifest of the flavor; for what a listed directory takes in, its line.
fn lines_of(paths: &BTreeSet<UsrPath>, stage: &Selection<'_>, texts: &ManifestsByPath<'_>) -> Suggestion {
    let homes: BTreeSet<Location<'_>> = paths.iter().filter_map(|path| stage.home(path)).collect();
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for file in &stage.of.files {
        let Some((&file, text)) = texts.get_key_value(file.as_str()) else { continue };
        let entries = text.entries().filter(|&(at, line)| {
            homes.contains(&Location { file, line: at + 1 })
                || UsrPath::new(line).is_ok_and(|path| paths.contains(&path))
        });
        lines.extend(entries.map(|(_, line)| (file, line)));
    }
    Suggestion::remove(lines)
}
