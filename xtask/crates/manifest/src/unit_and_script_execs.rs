//! Programs that units start (systemd.service(5)), and interpreters of scripts (execve(2), env(1)).

use std::collections::{BTreeMap, BTreeSet};

use super::selection::Selection;
use super::shebang;
use super::unit_file::{self, UnitCommand};
use usr::{FileInfo, NodeKind, ResolutionEnd, UsrPath, UsrTree, identity};

/// The search path for program names (systemd.exec(5), env(1)).
const SEARCH_PATH: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// The bytes of all unit files and drop-ins that are parsed, with [`DROP_IN_BYTES`] more for each drop-in of a unit; an
/// image with systemd has a third of that. The references of a hostile image may be incomplete.
const MAX_UNIT_TEXT: usize = 1 << 20;

/// A drop-in for all units of a type is read for each of them, and one that is empty takes time, too.
const DROP_IN_BYTES: usize = 64;

/// A unit or script, and a program that it starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExecReference {
    /// The unit, drop-in or script.
    pub referrer: UsrPath,
    /// The line that names the program.
    pub directive: String,
    /// The candidate paths, in order; empty for a path outside `/usr`.
    pub candidates: Vec<UsrPath>,
    /// The referrer is a script.
    pub is_script: bool,
    /// Without the program the referrer still works: the unit says so with `-`.
    pub may_fail: bool,
}

impl ExecReference {
    /// The program in the image, listed or not.
    pub fn target(&self, tree: &UsrTree) -> Option<UsrPath> {
        self.candidates.iter().find_map(|path| tree.resolve(path).end.node().cloned())
    }

    /// Whether a unit needs the program: the command may not fail, and runs at the start of the unit, not only at a stop
    /// or reload.
    pub fn is_needed_to_start(&self) -> bool {
        !self.may_fail && !["ExecStop", "ExecReload"].iter().any(|key| self.directive.starts_with(key))
    }

    /// The first path of the resolution that is not listed or not in the image (the script itself for a relative
    /// interpreter), and whether the image has it; `None` if the program is listed, or if the image is not sufficient to
    /// decide.
    pub fn find_unlisted(&self, selection: &Selection<'_>) -> Option<(UsrPath, bool)> {
        let mut first_in_image = None;
        for path in &self.candidates {
            let resolved = selection.tree.resolve(path);
            match &resolved.end {
                ResolutionEnd::Node(_) => {
                    let missing = resolved.paths().find(|step| !selection.paths.contains(*step))?;
                    first_in_image.get_or_insert_with(|| missing.clone());
                }
                ResolutionEnd::Missing(_) => {}
                ResolutionEnd::UsrRoot | ResolutionEnd::OutsideUsr | ResolutionEnd::TooManySymlinks => {
                    return None;
                }
            }
        }
        let in_image = first_in_image.is_some();
        let nowhere = || match self.candidates.first() {
            Some(path) => match selection.tree.resolve(path).end {
                ResolutionEnd::Missing(end) => Some(end),
                _ => None,
            },
            // A relative interpreter.
            None => (self.is_script && !self.directive.starts_with("#!/")).then(|| self.referrer.clone()),
        };
        Some((first_in_image.or_else(nowhere)?, in_image))
    }
}

/// Every program that units and scripts among these paths start. Only drop-ins among the paths are used.
pub fn find_exec_references(tree: &UsrTree, paths: &BTreeSet<UsrPath>) -> Vec<ExecReference> {
    let mut references: BTreeSet<ExecReference> = BTreeSet::new();
    let mut budget = MAX_UNIT_TEXT;
    for unit_directory in UnitDirectory::find(tree, paths) {
        references.extend(unit_directory.commands(tree, &mut budget).into_iter().map(|command| {
            ExecReference {
                referrer: command.fragment.clone(),
                candidates: candidates(&command.program, &command.search_path),
                directive: command.directive,
                is_script: false,
                may_fail: command.may_fail,
            }
        }));
    }
    for path in paths {
        let Some(FileInfo::Script(line)) = tree.read_file_info(path.as_str()) else { continue };
        references.extend(shebang::interpreters(line).into_iter().map(|found| ExecReference {
            referrer: path.clone(),
            directive: format!("#!{line}"),
            candidates: candidates(&found.program, &found.search_path),
            is_script: true,
            may_fail: false,
        }));
    }
    references.into_iter().collect()
}

/// The paths of a program: its own, or its name in each directory of the search path.
fn candidates(program: &str, search_path: &[String]) -> Vec<UsrPath> {
    if program.contains('/') {
        return UsrPath::from_rootfs_path(program).ok().into_iter().collect();
    }
    let default = SEARCH_PATH.map(str::to_owned);
    let directories = if search_path.is_empty() { &default[..] } else { search_path };
    directories
        .iter()
        .filter(|directory| directory.starts_with('/'))
        .filter_map(|directory| UsrPath::from_rootfs_path(&format!("{directory}/{program}")).ok())
        .collect()
}

/// The units of one directory that systemd reads (`lib/systemd/system`).
#[derive(Default)]
struct UnitDirectory<'a> {
    /// Unit files by name; of a symlink to a file outside of the directory, that file.
    units: BTreeMap<&'a str, &'a UsrPath>,
    /// Units that systemd does not load (systemd.unit(5)): empty files, and symlinks to `/dev/null`.
    masked: BTreeSet<&'a str>,
    /// Other names of units: symlinks in the directory.
    aliases: BTreeMap<&'a UsrPath, Vec<&'a str>>,
    /// The drop-ins by directory (`a.service.d`) and name; `None` for one that only hides those of its name.
    drop_ins: BTreeMap<&'a str, BTreeMap<&'a str, Option<&'a UsrPath>>>,
}

impl<'a> UnitDirectory<'a> {
    fn find(tree: &'a UsrTree, paths: &'a BTreeSet<UsrPath>) -> Vec<UnitDirectory<'a>> {
        let mut directories: BTreeMap<&str, UnitDirectory<'_>> = BTreeMap::new();
        for path in paths {
            let Some((directory, name)) = split_unit_path(path) else { continue };
            let entry = directories.entry(directory).or_default();
            let Some(kind) = tree.get(path.as_str()).map(|node| &node.kind) else { continue };
            let real = || tree.resolve(path).end.node().and_then(|end| paths.get(end));
            match name.split_once('/') {
                Some((drop_in_directory, file)) => {
                    let is_drop_in = drop_in_directory.ends_with(".d") && file.ends_with(".conf");
                    if is_drop_in && !file.contains('/') {
                        entry.drop_ins.entry(drop_in_directory).or_default().insert(file, real());
                    }
                }
                None if is_masked(tree, path) => _ = entry.masked.insert(name),
                None => match (kind, real()) {
                    (NodeKind::File { .. }, _) => drop(entry.units.insert(name, path)),
                    (NodeKind::Symlink(_), Some(unit)) if !is_in(unit, directory) => {
                        entry.units.insert(name, unit);
                    }
                    // A template's instance is not another name of the template.
                    (NodeKind::Symlink(_), Some(unit))
                        if template_name(name).as_deref() != Some(unit.name()) =>
                    {
                        entry.aliases.entry(unit).or_default().push(name);
                    }
                    _ => {}
                },
            }
        }
        directories.into_values().collect()
    }

    /// The commands of every unit, and of drop-ins without a unit file, until the budget is used up.
    fn commands(&self, tree: &'a UsrTree, budget: &mut usize) -> Vec<UnitCommand<'a>> {
        let systemd = identity::systemd_version(tree).ok();
        let mut commands = Vec::new();
        let mut named: BTreeSet<&str> = self.units.keys().copied().collect();
        // Directories for all units of a type, or of a prefix (`foo-.service.d`), do not belong to one unit.
        let is_unit = |name: &&str| name.rsplit_once('.').is_some_and(|(name, _)| !name.ends_with('-'));
        named.extend(self.drop_ins.keys().filter_map(|name| name.strip_suffix(".d")).filter(is_unit));
        // The drop-ins of an alias are those of its unit.
        let aliases: BTreeSet<&str> = self.aliases.values().flatten().copied().collect();
        named.retain(|unit| !self.is_masked(unit) && !aliases.contains(unit));
        for unit in named {
            let drop_ins = self.drop_ins_of(unit);
            let Some(left) = budget.checked_sub(drop_ins.len() * DROP_IN_BYTES) else { break };
            *budget = left;
            let fragments = self.unit_file(unit).into_iter().chain(drop_ins.into_values().flatten());
            let texts = fragments.filter_map(|path| {
                let FileInfo::Text(text) = tree.read_file_info(path.as_str())? else { return None };
                *budget = budget.checked_sub(text.len())?;
                Some((path, text.as_str()))
            });
            commands.extend(unit_file::parse_commands(unit, texts, systemd));
        }
        commands
    }

    fn is_masked(&self, unit: &str) -> bool {
        let is_template_masked =
            || template_name(unit).is_some_and(|name| self.masked.contains(name.as_str()));
        self.masked.contains(unit) || !self.units.contains_key(unit) && is_template_masked()
    }

    /// The unit's file, or that of its template.
    fn unit_file(&self, unit: &str) -> Option<&'a UsrPath> {
        let template = template_name(unit);
        self.units.get(unit).or_else(|| self.units.get(template.as_deref()?)).copied()
    }

    /// The drop-ins of a unit by their names, in whose order they apply (systemd.unit(5)). Of two with the same name,
    /// the one in the more specific directory is used; `None` for one that only hides those of its name.
    fn drop_ins_of(&self, unit: &str) -> BTreeMap<&'a str, Option<&'a UsrPath>> {
        let mut names = vec![unit.to_owned()];
        let aliases = self.unit_file(unit).and_then(|file| self.aliases.get(file));
        names.extend(aliases.into_iter().flatten().map(|alias| (*alias).to_owned()));
        names.extend(template_name(unit));
        let (base, suffix) = unit.rsplit_once('.').unwrap_or((unit, ""));
        let base = base.split('@').next().unwrap_or(base);
        let dashes = base.rmatch_indices('-').map(|(at, _)| format!("{}.{suffix}", &base[..=at]));
        names.extend(dashes.chain([suffix.to_owned()]));
        let mut found = BTreeMap::new();
        for name in names {
            for (file, path) in self.drop_ins.get(format!("{name}.d").as_str()).into_iter().flatten() {
                found.entry(*file).or_insert(*path);
            }
        }
        found
    }
}

fn is_masked(tree: &UsrTree, unit: &UsrPath) -> bool {
    let resolved = tree.resolve(unit);
    let kind = |path: &UsrPath| tree.get(path.as_str()).map(|node| &node.kind);
    match (resolved.end.node().and_then(kind), resolved.links.last().and_then(kind)) {
        (Some(NodeKind::File { size, .. }), _) => *size == 0,
        (None, Some(NodeKind::Symlink(target))) => target.ends_with("/dev/null"),
        _ => false,
    }
}

/// `a@.service` of `a@b.service`.
fn template_name(unit: &str) -> Option<String> {
    let (name, suffix) = unit.rsplit_once('.')?;
    let (prefix, instance) = name.split_once('@')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{suffix}"))
}

fn is_in(unit: &UsrPath, directory: &str) -> bool {
    split_unit_path(unit).is_some_and(|(other, _)| other == directory)
}

/// Splits a path into the directory that systemd reads (systemd.unit(5)), and the name of a unit or drop-in below it.
fn split_unit_path(path: &UsrPath) -> Option<(&str, &str)> {
    const UNIT_DIRECTORIES: [(&str, &[&str]); 2] = [
        ("/systemd/system/", &["lib", "lib64", "local/lib"]),
        ("/systemd/user/", &["lib", "lib64", "local/lib", "share", "local/share"]),
    ];
    UNIT_DIRECTORIES.iter().find_map(|(scope, directories)| {
        let at = path.as_str().find(scope)?;
        let is_read = directories.contains(&&path.as_str()[..at]);
        is_read.then(|| path.as_str().split_at(at + scope.len()))
    })
}

#[cfg(test)]
mod tests;
