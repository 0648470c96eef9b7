//! What is wrong with the manifests of a board, all of it at once.

mod dependents;
mod describe;
mod unseen;

use std::collections::{BTreeMap, BTreeSet};

use super::dependencies::{DependencyReport, MinDlopenPriority, Unresolved};
use super::file::ManifestFile;
use super::finding::{Finding, FindingKind, Severity};
use super::image_index::ImageIndex;
use super::malformed_line;
use super::replacement::{MovedDirectories, Outcome, ReplacementContext, find_replacement};
use super::selection::{Location, ManifestSet, ManifestsByPath, Selection};
use super::suggestion::Suggestion;
use dependents::Ties;
use describe::Telling;
use usr::file_info::FileInfo;
use usr::ldso::LoadResult;
use usr::path::UsrPath;
use usr::tree::{NodeKind, Target};

/// `e_machine` of eBPF objects, which are for every board (`EM_BPF`).
const EM_BPF: u16 = 247;

/// Checks every flavor of a board against its image. Returns everything that is wrong, in order of file and line.
pub fn check(
    flavors: &[ManifestSet],
    texts: &ManifestsByPath<'_>,
    index: &ImageIndex<'_>,
    level: MinDlopenPriority,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = Told::default();
    for flavor in flavors {
        let stage = Selection::of(flavor, texts, index.tree);
        let needs = DependencyReport::of(&stage, level);
        let ties = Ties::default();
        let (told, ties, findings) = (&mut told, &ties, &mut findings);
        let mut checker = Checker { stage: &stage, texts, index, needs: &needs, ties, told, findings };
        checker.lines();
        checker.unmet();
        checker.versions();
        checker.links();
        checker.files();
        checker.units();
        checker.started_on_request();
        checker.other_copies();
        if let Some(level) = level {
            checker.loaded_by_name(level);
        }
    }
    findings.sort();
    findings
}

/// What was told already.
#[derive(Default)]
struct Told {
    lines: BTreeSet<(String, FindingKind, Option<usize>, String)>,
    /// Paths that lack a line, and the manifests that were named for them.
    named: BTreeMap<String, BTreeSet<String>>,
}

impl Told {
    /// A line that two flavors share is one line, and a line that one manifest of a flavor gets serves all of it.
    fn is_new(&mut self, finding: &Finding, flavor: &ManifestSet) -> bool {
        if finding.kind == FindingKind::NeedsUnlisted {
            let served = self.serves(&finding.path, flavor, |_| true);
            for path in finding.candidates.iter().chain([&finding.path]) {
                self.names(path, &finding.file);
            }
            return !served;
        }
        self.lines.insert((finding.file.clone(), finding.kind, finding.line, finding.path.clone()))
    }

    /// Whether a flavor has the path by a line that was asked for before, in such a manifest.
    fn serves(&self, path: &str, flavor: &ManifestSet, is_such: impl Fn(&str) -> bool) -> bool {
        let mut named = self.named.get(path).into_iter().flatten();
        named.any(|file| flavor.files.contains(file) && is_such(file))
    }

    fn names(&mut self, path: &str, file: &str) {
        self.named.entry(path.to_owned()).or_default().insert(file.to_owned());
    }
}

struct Checker<'a, 's> {
    stage: &'s Selection<'a>,
    texts: &'s ManifestsByPath<'a>,
    index: &'s ImageIndex<'a>,
    needs: &'s DependencyReport,
    ties: &'s Ties,
    told: &'s mut Told,
    findings: &'s mut Vec<Finding>,
}

impl<'a> Checker<'a, '_> {
    /// Each line for itself: its form, and whether the image has what it names.
    fn lines(&mut self) {
        let wanted = self.needs.names().cloned().collect();
        let files = || self.stage.of.files.iter().filter_map(|file| self.texts.get(file.as_str()));
        let lines = || files().flat_map(|text| text.entries().map(|(_, line)| line));
        let on_board = listed_paths(lines(), self.index);
        let moved_directories = MovedDirectories::find(lines(), self.index);
        self.file_names();
        for file in &self.stage.of.files {
            let Some((&file, text)) = self.texts.get_key_value(file.as_str()) else { continue };
            self.line_ends(file, text);
            let strays = malformed_line::strays(text, self.index);
            for stray in &strays {
                let home = Location { file, line: stray.index + 1 };
                self.tell(FindingKind::Tidy, home, &stray.line, Telling::stray(stray));
            }
            let listed = listed_paths(text.entries().map(|(_, line)| line), self.index);
            let around = ReplacementContext {
                index: self.index,
                listed: &listed,
                listed_on_board: &on_board,
                moved_directories: &moved_directories,
                unresolved_sonames: &wanted,
            };
            let mut moved: BTreeMap<(UsrPath, UsrPath), Vec<usize>> = BTreeMap::new();
            for (at, line) in text.entries().filter(|(at, _)| strays.iter().all(|stray| stray.index != *at)) {
                let home = Location { file, line: at + 1 };
                let Ok(path) = UsrPath::new(line) else {
                    self.tell(FindingKind::NotFound, home, line, Telling::outside());
                    continue;
                };
                let Some(found) = find_replacement(&path, &around) else {
                    self.directory(&path, home);
                    continue;
                };
                let moved_to = if let Outcome::Moved(to) = &found.outcome { to.parent() } else { None };
                match (path.parent(), moved_to) {
                    (Some(from), Some(to)) => moved.entry((from, to)).or_default().push(at),
                    _ => self.tell(
                        kind_of(&found.outcome, &path, self.index),
                        home,
                        line,
                        Telling::successor(&path, &found, file),
                    ),
                }
            }
            for ((from, to), lines) in moved {
                let Some(first) = lines.first().and_then(|&at| text.lines().get(at)) else { continue };
                let home = Location { file, line: lines[0] + 1 };
                self.tell(
                    FindingKind::NotFound,
                    home,
                    &first.text,
                    Telling::moved(&first.text, &from, &to, lines.len()),
                );
            }
        }
    }

    /// Line ends that the build reads in another way than a person does.
    fn line_ends(&mut self, file: &'a str, text: &ManifestFile) {
        let mut crlf = text.lines().iter().enumerate().filter(|(_, line)| line.has_crlf());
        if let Some((at, first)) = crlf.next() {
            let location = Location { file, line: at + 1 };
            let message = format!("{} {}", 1 + crlf.count(), malformed_line::CRLF);
            self.tell(FindingKind::Tidy, location, &first.text, Telling::new(message, Suggestion::Mend));
        }
        if text.lacks_final_newline()
            && self.stage.of.is_followed(file)
            && let Some(last) = text.lines().last()
        {
            let location = Location { file, line: text.lines().len() };
            let telling = Telling::new(malformed_line::NO_FINAL_NEWLINE.to_owned(), Suggestion::Mend);
            self.tell(FindingKind::Tidy, location, &last.text, telling);
        }
    }

    /// Files that editors and patch(1) left: the build takes every file of the directory that is not hidden.
    fn file_names(&mut self) {
        for (listed_as, _) in self.stage.of.listed_as() {
            if malformed_line::is_leftover(listed_as) {
                let finding = Finding {
                    file: listed_as.to_owned(),
                    line: None,
                    kind: FindingKind::Advice,
                    severity: Severity::Advice,
                    board: self.stage.of.board,
                    flavor: self.stage.of.flavor.clone(),
                    path: listed_as.to_owned(),
                    needed_by: Vec::new(),
                    candidates: Vec::new(),
                    message: "the name is that of a backup or of an editor's file, and the build reads every file of \
                              this directory that is not hidden"
                        .to_owned(),
                    remedy: Suggestion::HideFile(listed_as.to_owned()),
                };
                if self.told.is_new(&finding, self.stage.of) {
                    self.findings.push(finding);
                }
            }
        }
    }

    /// A listed directory adds everything below it. Where its name is that of a file, that is hardly wanted.
    fn directory(&mut self, path: &UsrPath, location: Location<'a>) {
        if self.stage.tree.get(path.as_str()).is_none_or(|node| node.kind != NodeKind::Directory) {
            return;
        }
        let below = self.stage.tree.below(path).filter(|(_, node)| node.kind != NodeKind::Directory).count();
        let kind = if malformed_line::is_file_name(path) { FindingKind::Tidy } else { FindingKind::Advice };
        let message =
            format!("{path} is a directory in this image: the line adds all {below} files below it");
        let remedy = Suggestion::remove([(location.file, path.as_str())]);
        if below > 0 {
            self.tell(kind, location, path.as_str(), Telling::new(message, remedy));
        }
    }

    fn unmet(&mut self) {
        for unmet in &self.needs.unmet {
            let name = &unmet.name;
            let Some((home, _)) = responsible(unmet, self.needs, self.stage) else { continue };
            let lacking: Vec<&UsrPath> =
                unmet.chain.iter().filter(|path| !self.stage.present.contains(*path)).collect();
            match lacking.first() {
                Some(first) => {
                    let telling = Telling::unlisted(name, unmet, &lacking, home.file);
                    self.tell(FindingKind::NeedsUnlisted, home, first.as_str(), telling);
                }
                None => {
                    let lacks = |load: &LoadResult| load.missing.iter().any(|missing| missing.name == *name);
                    let remedy = self.giving_up(&unmet.needed_by, lacks);
                    let telling = Telling::nowhere(name, unmet, remedy);
                    self.tell(FindingKind::NeedsNowhere, home, name, telling);
                }
            }
        }
    }

    fn versions(&mut self) {
        for ((library, version), needed_by) in &self.needs.versions {
            let home = needed_by.iter().chain([library]).find_map(|path| self.stage.home(path));
            let Some(home) = home else { continue };
            let remedy = self.giving_up(needed_by, |_| false);
            let telling = Telling::version(library, version, needed_by, remedy);
            self.tell(FindingKind::VersionUnsatisfied, home, library.as_str(), telling);
        }
    }

    /// Listed links whose target the built tree will not hold.
    fn links(&mut self) {
        let told: BTreeSet<&UsrPath> = self.needs.unmet.iter().flat_map(|unmet| &unmet.chain).collect();
        for path in &self.stage.present {
            let Some(NodeKind::Symlink(target)) = self.stage.tree.get(path.as_str()).map(|node| &node.kind)
            else {
                continue;
            };
            let Some(home) = self.stage.home(path) else { continue };
            let resolved = self.stage.tree.resolve(path);
            let telling = match &resolved.end {
                Target::Node(end) => {
                    let ways = resolved.links.iter().chain([end]);
                    let lacking: Vec<&UsrPath> = ways.filter(|way| !self.stage.holds(way)).collect();
                    if lacking.is_empty() || lacking.iter().any(|way| told.contains(way)) {
                        continue;
                    }
                    // A directory is not taken in for a link's sake: that would be all that is below it.
                    let is_file = self.stage.tree.file_info(end.as_str()).is_some();
                    let remedy = if is_file { Suggestion::Mend } else { self.giving_up([path], |_| false) };
                    Telling::dangling(path, target, &lacking, home.file, remedy)
                }
                Target::Missing(end) => {
                    Telling::dangling_in_image(path, end, self.giving_up([path], |_| false))
                }
                Target::TooManySymlinks => Telling::link_loop(path, self.giving_up([path], |_| false)),
                Target::UsrRoot | Target::OutsideUsr => continue,
            };
            self.tell(FindingKind::Dangling, home, path.as_str(), telling);
        }
    }

    /// Files that cannot work on this board.
    fn files(&mut self) {
        let board = self.stage.of.board;
        for (path, facts) in self.stage.files() {
            let telling = match facts {
                FileInfo::Elf(elf)
                    if elf.dynamic && ![board.elf_machine(), EM_BPF].contains(&elf.machine) =>
                {
                    Telling::wrong_machine(path, elf.machine, board, self.giving_up([path], |_| false))
                }
                FileInfo::MalformedElf(why) => Telling::broken(path, why, self.giving_up([path], |_| false)),
                _ => continue,
            };
            let Some(home) = self.stage.home(path) else { continue };
            self.tell(FindingKind::WrongMachine, home, path.as_str(), telling);
        }
        for (path, (needed_by, why)) in &self.needs.unfit {
            let told = matches!(self.stage.tree.file_info(path.as_str()), Some(FileInfo::MalformedElf(_)));
            if let Some(home) = self.stage.home(path).filter(|_| !told) {
                let remedy = self.giving_up(needed_by.iter().chain([path]), |_| false);
                let telling = Telling::unfit(path, why, needed_by, remedy);
                self.tell(FindingKind::WrongMachine, home, path.as_str(), telling);
            }
        }
    }

    /// The lines to give up for files that cannot be had, with those of all that cannot work without them.
    fn giving_up<'p>(
        &self,
        seeds: impl IntoIterator<Item = &'p UsrPath>,
        lacks: impl Fn(&LoadResult) -> bool,
    ) -> Suggestion {
        self.ties.giving_up(seeds, lacks, self.stage, self.texts)
    }

    fn tell(&mut self, kind: FindingKind, home: Location<'_>, path: &str, telling: Telling) {
        let finding = Finding {
            file: home.file.to_owned(),
            line: Some(home.line),
            kind,
            severity: telling.severity.unwrap_or(kind.severity()),
            board: self.stage.of.board,
            flavor: self.stage.of.flavor.clone(),
            path: path.to_owned(),
            needed_by: telling.needed_by,
            candidates: telling.candidates,
            message: telling.message,
            remedy: telling.remedy,
        };
        if self.told.is_new(&finding, self.stage.of) {
            self.findings.push(finding);
        }
    }
}

/// A line that has become pointless but is in the image is no missing one.
fn kind_of(fate: &Outcome, path: &UsrPath, index: &ImageIndex<'_>) -> FindingKind {
    if *fate == Outcome::Redundant && index.tree.get(path.as_str()).is_some() {
        FindingKind::Tidy
    } else {
        FindingKind::NotFound
    }
}

/// The lines that name a node of the image.
pub(super) fn listed_paths<'t>(
    lines: impl Iterator<Item = &'t str>,
    index: &ImageIndex<'_>,
) -> BTreeSet<UsrPath> {
    lines
        .filter_map(|line| UsrPath::new(line).ok())
        .filter(|path| index.tree.get(path.as_str()).is_some())
        .collect()
}

/// The line that an unmet need is to be met beside: that of the most direct consumer, the first by name.
pub(super) fn responsible<'a>(
    unmet: &Unresolved,
    needs: &DependencyReport,
    stage: &Selection<'a>,
) -> Option<(Location<'a>, UsrPath)> {
    let mut asked: BTreeSet<UsrPath> = BTreeSet::new();
    let mut consumers: BTreeSet<UsrPath> = unmet.needed_by.clone();
    loop {
        if let Some(found) = consumers.iter().find_map(|path| Some((stage.home(path)?, path.clone()))) {
            return Some(found);
        }
        asked.append(&mut consumers.clone());
        let above =
            needs.unmet.iter().filter(|other| other.chain.iter().any(|path| consumers.contains(path)));
        consumers = above
            .flat_map(|other| other.needed_by.iter().cloned())
            .filter(|path| !asked.contains(path))
            .collect();
        if consumers.is_empty() {
            return None;
        }
    }
}
