//! One test case: a tree, one image per board, and the expected bump.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use coreos_types::{Board, Channel, Flavor, Release, Result, Vendor};
use expect_test::Expect;
use manifest::finding::{Finding, FindingKind, Fix, Severity};
use manifest::plan::bump::{BumpOptions, BumpPlan};
use manifest::rules::lint_and_fix::FixOptions;
use manifest::stage1_sources::{COMMON_MK, ManifestRef, Stage1Sources};
use release_fixture::elf::ElfStub;

use release_fixture::image_spec::ImageSpec;
use usr::{DlopenPriority, FileInfo, FileInfoReader, Node, NodeKind, ResolutionEnd, UsrPath, UsrTree};

/// A test case under construction.
pub(super) struct Row {
    sources: Stage1Sources,
    images: BTreeMap<Board, ImageSpec>,
    drop_missing: bool,
    by_names_only: bool,
    vendor: Option<&'static Vendor>,
}

const MK: &str = "CCN_SYSTEMD_VERSION := v229\nCCN_IMG_RELEASE := 1068.0.0\nCCN_IMG_URL := https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz\n";

impl Row {
    /// A tree of amd64-usr with both flavors, and an image with a loader, libc and systemd. `base.manifest` lists the
    /// first two, and kvm links to it.
    pub(super) fn amd64() -> Row {
        Row::new(Vendor::COREOS, &[Board::Amd64])
    }

    /// The tree of [`Row::amd64`] for both boards: on arm64 libraries are in `lib64`, loader and systemd in `lib`.
    pub(super) fn both_boards() -> Row {
        Row::new(Vendor::COREOS, &Board::ALL)
    }

    /// The tree of amd64-usr with an image of a current Flatcar release.
    pub(super) fn flatcar() -> Row {
        Row::new(Vendor::FLATCAR, &[Board::Amd64])
    }

    /// A tree without manifests, and these images.
    pub(super) fn empty(images: impl IntoIterator<Item = ImageSpec>) -> Row {
        let sources = Stage1Sources {
            common_mk: MK.as_bytes().to_vec(),
            common_mk_path: COMMON_MK.to_owned(),
            ..Stage1Sources::default()
        };
        let images = images.into_iter().map(|image| (image.board, image)).collect();
        Row { sources, images, drop_missing: false, by_names_only: false, vendor: None }
    }

    fn new(vendor: &'static Vendor, boards: &[Board]) -> Row {
        let mut row = Row::empty([]);
        for &board in boards {
            let release: Release = "1097.0.0".parse().unwrap();
            let image = ImageSpec::new(vendor, board, &release, "229");
            let loader_at = match board {
                Board::Amd64 => "lib64",
                Board::Arm64 => "lib",
            };
            let stub = ElfStub::library(board, board.loader_name()).as_loader(["/lib64/", "/usr/lib64/"]);
            let systemd = format!("{}/systemd/systemd", image.lib_dir_name());
            let image = image
                .elf(&format!("{loader_at}/{}", board.loader_name()), stub)
                .library("lib64/libc.so.6", "libc.so.6", &[])
                .program(&systemd, &[]);
            row.images.insert(board, image);
            let mut lines =
                vec![format!("{loader_at}/{}", board.loader_name()), String::from("lib64/libc.so.6")];
            if board == Board::Amd64 {
                lines.push(String::from("lib"));
            }
            lines.sort();
            row.add_manifest(board, "coreos", "base", &lines.iter().map(String::as_str).collect::<Vec<_>>());
            row.link_to_coreos(board, "base");
        }
        row
    }

    /// Changes the image of a board.
    #[must_use]
    pub(super) fn with_image_for(mut self, board: Board, change: impl FnOnce(ImageSpec) -> ImageSpec) -> Row {
        let image = self.images.remove(&board).unwrap();
        self.images.insert(board, change(image));
        self
    }

    /// Changes the image of amd64-usr.
    #[must_use]
    pub(super) fn with_image(self, change: impl FnOnce(ImageSpec) -> ImageSpec) -> Row {
        self.with_image_for(Board::Amd64, change)
    }

    /// Adds a manifest of amd64-usr, such as `coreos/bash`, with its lines in this order.
    #[must_use]
    pub(super) fn with_manifest(self, manifest: &str, lines: &[&str]) -> Row {
        self.with_manifest_for(Board::Amd64, manifest, lines)
    }

    /// Adds a manifest of a board.
    #[must_use]
    pub(super) fn with_manifest_for(mut self, board: Board, manifest: &str, lines: &[&str]) -> Row {
        let (flavor, name) = manifest.split_once('/').unwrap();
        self.add_manifest(board, flavor, name, lines);
        self
    }

    /// Adds a symlink in kvm to a coreos manifest of amd64-usr.
    #[must_use]
    pub(super) fn with_kvm_link(self, name: &str) -> Row {
        self.with_kvm_link_for(Board::Amd64, name)
    }

    /// Adds a symlink in kvm to a coreos manifest of a board.
    #[must_use]
    pub(super) fn with_kvm_link_for(mut self, board: Board, name: &str) -> Row {
        self.link_to_coreos(board, name);
        self
    }

    /// Renames the manifest directories to the older `manifest.d`.
    #[must_use]
    pub(super) fn in_manifest_d(mut self) -> Row {
        let old = |path: &str| path.replace("manifest-amd64-usr.d", "manifest.d");
        let manifests = std::mem::take(&mut self.sources.manifests);
        self.sources.manifests = manifests.into_iter().map(|(path, bytes)| (old(&path), bytes)).collect();
        for manifest_ref in &mut self.sources.manifest_refs {
            manifest_ref.directory_entry = old(&manifest_ref.directory_entry);
            manifest_ref.file = old(&manifest_ref.file);
        }
        self
    }

    /// Sets `--drop-missing`.
    #[must_use]
    pub(super) fn drop_missing(mut self) -> Row {
        self.drop_missing = true;
        self
    }

    /// Sets `--preview`.
    #[must_use]
    pub(super) fn by_names_only(mut self) -> Row {
        self.by_names_only = true;
        self
    }

    /// Sets `--brand`.
    #[must_use]
    pub(super) fn with_vendor(mut self, vendor: &'static Vendor) -> Row {
        self.vendor = Some(vendor);
        self
    }

    fn add_manifest(&mut self, board: Board, flavor: &str, name: &str, lines: &[&str]) {
        let file = manifest_path(board, flavor, name);
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        self.sources.manifests.insert(file.clone(), text.into_bytes());
        self.sources.manifest_refs.push(manifest_ref(board, flavor, &file, &file));
        self.sources.manifest_refs.sort();
    }

    fn link_to_coreos(&mut self, board: Board, name: &str) {
        let (link, file) = (manifest_path(board, "kvm", name), manifest_path(board, "coreos", name));
        self.sources.manifest_refs.push(manifest_ref(board, "kvm", &link, &file));
        self.sources.manifest_refs.sort();
    }

    /// Bumps, verifies the invariants, and compares the fixes and the findings other than advice.
    pub(super) fn assert_bump(self, expected: &Expect) {
        let plan = self.bump_and_verify();
        expected.assert_eq(&format_plan(&plan.fixes, &plan.findings));
    }

    /// Does the same as [`Row::assert_bump`], and compares a manifest of amd64-usr.
    pub(super) fn assert_bump_and_manifest(self, expected: &Expect, manifest: &str, after: &[&str]) {
        let plan = self.bump_and_verify();
        expected.assert_eq(&format_plan(&plan.fixes, &plan.findings));
        let (flavor, name) = manifest.split_once('/').unwrap();
        assert_eq!(lines(&plan.after.manifests[&manifest_path(Board::Amd64, flavor, name)]), after);
    }

    /// Bumps, and verifies the invariants of every bump.
    pub(super) fn bump_and_verify(self) -> BumpPlan {
        let trees: BTreeMap<Board, UsrTree> =
            self.images.iter().map(|(board, image)| (*board, image.tree())).collect();
        let plan = self.bump(&self.sources, &trees);
        assert_accounted(&self.sources, &plan.after, &plan.fixes);
        assert_in_image(&plan.fixes, &trees);
        assert_still_sorted(&self.sources, &plan.after);
        let again = self.bump(&plan.after, &trees);
        assert_eq!(again.fixes, [], "a second bump changes nothing");
        assert_eq!(again.after, plan.after);
        // The second bump does not distinguish added lines from earlier ones.
        let left = |plan: &BumpPlan| {
            plan.findings.iter().map(|f| (f.file.clone(), f.line, f.path.clone())).collect::<Vec<_>>()
        };
        assert_eq!(left(&again), left(&plan));
        self.assert_same_from_cache(&trees, &plan);
        if !self.drop_missing {
            self.assert_fixable(&trees, &plan);
        }
        self.assert_removals(&trees, &plan);
        self.assert_suggestions(&trees, &plan);
        plan
    }

    pub(super) fn sources(&self) -> &Stage1Sources {
        &self.sources
    }

    pub(super) fn check_stage1_sources(
        &self,
        sources: &Stage1Sources,
        trees: &BTreeMap<Board, UsrTree>,
    ) -> Vec<Finding> {
        let trees = trees.iter().map(|(board, tree)| (*board, tree)).collect();
        manifest::plan::check_stage1_sources::check_stage1_sources(sources, &self.options(), &trees)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asserts that the bump does not depend on the cached facts of the images: none, as in a first run; those of a
    /// first run, as in a second one, which then reads no file; some of them.
    fn assert_same_from_cache(&self, trees: &BTreeMap<Board, UsrTree>, plan: &BumpPlan) {
        let same = |trees: &BTreeMap<Board, UsrTree>| {
            let from_cache = self.bump(&self.sources, trees);
            assert_eq!(
                (&from_cache.after, &from_cache.fixes, &from_cache.findings),
                (&plan.after, &plan.fixes, &plan.findings)
            );
        };
        let cold = map_trees(trees, |tree| with_known(tree, |_| false));
        same(&cold);
        let stored = map_trees(&cold, |tree| UsrTree::from_text(tree.to_text().as_bytes()).unwrap());
        same(&stored);
        let mut count = 0;
        let partial = map_trees(trees, |tree| {
            with_known(tree, |_| {
                count += 1;
                count % 3 == 0
            })
        });
        same(&partial);
    }

    fn options(&self) -> BumpOptions {
        BumpOptions {
            release: "1097.0.0".parse().unwrap(),
            channel: Some(Channel::Alpha),
            vendor: self.vendor,
            systemd: None,
            min_dlopen_priority: Some(DlopenPriority::Required),
            fix_options: FixOptions { drop_missing: self.drop_missing, by_names_only: self.by_names_only },
        }
    }

    fn bump(&self, sources: &Stage1Sources, trees: &BTreeMap<Board, UsrTree>) -> BumpPlan {
        let trees = trees.iter().map(|(board, tree)| (*board, tree)).collect();
        manifest::plan::bump::plan_bump(sources, &self.options(), &trees)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

fn map_trees(
    trees: &BTreeMap<Board, UsrTree>,
    mut change: impl FnMut(&UsrTree) -> UsrTree,
) -> BTreeMap<Board, UsrTree> {
    trees.iter().map(|(board, tree)| (*board, change(tree))).collect()
}

/// An image in which only some files were read.
fn with_known(image: &UsrTree, mut is_known: impl FnMut(&UsrPath) -> bool) -> UsrTree {
    let change = |(path, node): (&UsrPath, &Node)| {
        let kind = match node.kind {
            NodeKind::File { size, .. } if !is_known(path) => NodeKind::unread_file(size),
            _ => node.kind.clone(),
        };
        (path.clone(), Node { mode: node.mode, kind })
    };
    UsrTree::from_nodes(image.iter().map(change).collect()).with_reader(Arc::new(TreeReader(image.clone())))
}

/// Reads files of an image with all facts.
struct TreeReader(UsrTree);

impl FileInfoReader for TreeReader {
    fn read_infos(&self, paths: &[UsrPath]) -> Result<Vec<(UsrPath, FileInfo)>> {
        let read =
            paths.iter().map(|path| (path.clone(), self.0.read_file_info(path.as_str()).unwrap().clone()));
        Ok(read.collect())
    }
}

pub(super) fn manifest_path(board: Board, flavor: &str, name: &str) -> String {
    format!("stage1/usr_from_{flavor}/manifest-{board}.d/{name}.manifest")
}

fn manifest_ref(board: Board, flavor: &str, directory_entry: &str, file: &str) -> ManifestRef {
    let flavor = Flavor::from_dir_name(&format!("usr_from_{flavor}")).unwrap();
    ManifestRef { board, flavor, directory_entry: directory_entry.to_owned(), file: file.to_owned() }
}

pub(super) fn lines(bytes: &[u8]) -> Vec<&str> {
    std::str::from_utf8(bytes).unwrap().lines().collect()
}

/// Asserts that each removed and each added line has exactly one fix, and that no other line changed.
fn assert_accounted(before: &Stage1Sources, after: &Stage1Sources, fixes: &[Fix]) {
    for (file, old) in &before.manifests {
        let mut balance: BTreeMap<&str, i32> = BTreeMap::new();
        lines(old).into_iter().for_each(|line| *balance.entry(line).or_default() -= 1);
        lines(&after.manifests[file]).into_iter().for_each(|line| *balance.entry(line).or_default() += 1);
        for fix in fixes.iter().filter(|fix| fix.file == *file) {
            fix.from.iter().for_each(|line| *balance.entry(line).or_default() += 1);
            fix.to.iter().for_each(|line| *balance.entry(line).or_default() -= 1);
        }
        balance.retain(|_, count| *count != 0);
        assert!(balance.is_empty(), "{file}: lines without their own fix: {balance:?}");
    }
}

/// Asserts that each added line is a path in the image of its board.
fn assert_in_image(fixes: &[Fix], trees: &BTreeMap<Board, UsrTree>) {
    for fix in fixes {
        let Some(to) = &fix.to else { continue };
        let found = trees.iter().filter(|(board, _)| {
            fix.file.contains(board.id()) || (**board == Board::Amd64 && fix.file.contains("/manifest.d/"))
        });
        for (_, tree) in found {
            let target = tree.resolve(&UsrPath::new(to).unwrap()).end;
            assert!(
                matches!(target, ResolutionEnd::Node(_)),
                "{}: {to} is not in the image: {target:?}",
                fix.file
            );
        }
    }
}

fn assert_still_sorted(before: &Stage1Sources, after: &Stage1Sources) {
    for (file, old) in &before.manifests {
        if lines(old).is_sorted() {
            assert!(lines(&after.manifests[file]).is_sorted(), "{file} was in byte order");
        }
    }
}

pub(super) fn format_plan(fixes: &[Fix], findings: &[Finding]) -> String {
    let short = |file: &str| {
        let file = file.strip_prefix("stage1/usr_from_").unwrap_or(file);
        file.strip_suffix(".manifest").unwrap_or(file).replace("manifest-", "").replace("-usr.d", "")
    };
    let mut text = String::new();
    for fix in fixes {
        let lines: Vec<&str> = [&fix.from, &fix.to].into_iter().flatten().map(String::as_str).collect();
        let lines = lines.join(" -> ").replace('\u{feff}', "(mark)");
        writeln!(text, "{:<6} {} {lines}", fix.kind.id(), short(&fix.file)).unwrap();
    }
    // The manifests of test cases do not list process 1.
    let is_process_one = |finding: &&Finding| finding.line.is_none() && finding.kind == FindingKind::Missing;
    let problems = findings.iter().filter(|finding| finding.severity != Severity::Advice);
    for finding in problems.filter(|finding| !is_process_one(finding)) {
        let line = finding.line.map_or(String::from("-"), |line| line.to_string());
        write!(text, "LEFT   {} {}:{line} {}", finding.kind.id(), short(&finding.file), finding.path)
            .unwrap();
        if !finding.candidates.is_empty() {
            write!(text, " candidates {}", finding.candidates.join(" ")).unwrap();
        }
        if !finding.needed_by.is_empty() {
            write!(text, " needed by {}", finding.needed_by.join(" ")).unwrap();
        }
        text.push('\n');
    }
    text
}

/// Adds a systemd with this version and these dependencies.
pub(super) fn with_systemd(image: ImageSpec, version: &str, needs: &[&str]) -> ImageSpec {
    let path = format!("{}/systemd/systemd", image.lib_dir_name());
    let runpath = format!("/usr/{}/systemd", image.lib_dir_name());
    let stub =
        ElfStub::program(image.board).needs(needs.iter().copied()).runpath(&runpath).systemd_version(version);
    image.elf(&path, stub)
}
