//! What has to go with a file that cannot be had: every listed one that cannot work without it.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::manifest::needs::loader;
use crate::manifest::remedy::Remedy;
use crate::manifest::stage::{Stage, Texts};
use crate::manifest::units::started_by;
use crate::usr::facts::Facts;
use crate::usr::link::Load;
use crate::usr::path::UsrPath;

/// What each listed program and library would load if everything in the image were listed; found when first asked for.
#[derive(Default)]
pub(super) struct Loads(OnceCell<Vec<(UsrPath, Load)>>);

impl Loads {
    fn of(&self, stage: &Stage<'_>) -> &[(UsrPath, Load)] {
        self.0.get_or_init(|| {
            let image = loader(stage, None);
            let machine = stage.of.board.elf_machine();
            let elves = stage.files().filter(
                |(_, facts)| matches!(facts, Facts::Elf(elf) if elf.dynamic && elf.machine == machine),
            );
            elves.map(|(path, _)| (path.clone(), image.load(path))).collect()
        })
    }

    /// Files that have to be read before the loads are whole.
    pub(super) fn unread(&self) -> impl Iterator<Item = UsrPath> + '_ {
        self.0.get().into_iter().flatten().flat_map(|(_, load)| load.unread.iter().cloned())
    }

    /// The lines to give up for `seeds`, and for what loads one of them or `lacks` something.
    pub(super) fn giving_up<'p>(
        &self,
        seeds: impl IntoIterator<Item = &'p UsrPath>,
        lacks: impl Fn(&Load) -> bool,
        stage: &Stage<'_>,
        texts: &Texts<'_>,
    ) -> Remedy {
        let mut given_up: BTreeSet<UsrPath> = seeds.into_iter().cloned().collect();
        let loads = self.of(stage).iter().filter(|(_, load)| {
            lacks(load) || load.objects.iter().any(|object| given_up.contains(&object.path))
        });
        let burdened: Vec<UsrPath> = loads.map(|(path, _)| path.clone()).collect();
        given_up.extend(burdened);
        // Without process 1 there is no stage1 at all.
        if given_up.iter().any(|path| path.as_str().ends_with("/systemd/systemd")) {
            return Remedy::OtherRelease;
        }
        // A unit without its program and a link without its target would be the next findings.
        let starts = |path: &UsrPath| {
            started_by(stage.tree, path).iter().any(|(_, program)| given_up.contains(program))
        };
        let starters: Vec<UsrPath> = stage.present.iter().filter(|path| starts(path)).cloned().collect();
        given_up.extend(starters);
        let leads = |path: &UsrPath| {
            let resolved = stage.tree.resolve(path);
            !resolved.links.is_empty() && resolved.end.node().is_some_and(|end| given_up.contains(end))
        };
        let links: Vec<UsrPath> = stage.present.iter().filter(|path| leads(path)).cloned().collect();
        given_up.extend(links);
        lines_of(&given_up, stage, texts)
    }
}

/// The lines that list these paths, in every manifest of the flavor; for what a listed directory takes in, its line.
fn lines_of(paths: &BTreeSet<UsrPath>, stage: &Stage<'_>, texts: &Texts<'_>) -> Remedy {
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for file in &stage.of.files {
        let Some((&file, text)) = texts.get_key_value(file.as_str()) else { continue };
        let is_home = |at: usize| {
            paths
                .iter()
                .filter_map(|path| stage.home(path))
                .any(|home| home.file == file && home.line == at + 1)
        };
        let entries = text
            .entries()
            .filter(|(at, line)| is_home(*at) || UsrPath::new(line).is_ok_and(|path| paths.contains(&path)));
        lines.extend(entries.map(|(_, line)| (file, line)));
    }
    Remedy::remove(lines)
}
