//! From sources, a request and the images to what the sources shall be, and what is left for a person.

use std::collections::BTreeMap;

use super::common_mk::CommonMk;
use super::pin_mismatch::stale;
use super::sources::Stage1Sources;
use super::systemd_version::agreed;
use crate::check::check;
use crate::dependencies::MinDlopenPriority;
use crate::editor::ManifestEditor;
use crate::file::ManifestFile;
use crate::finding::{Finding, Fix};
use crate::image_index::ImageIndex;
use crate::mend::{FixOptions, ManifestEditors, mend, offer_additions};
use crate::selection::{ManifestSet, ManifestsByPath};
use coreos_types::error::{Error, Result};
use coreos_types::release::{Board, Brand, Channel, Release, SystemdVersion};
use usr::identity;
use usr::tree::UsrTree;

/// The images of a run, by board.
pub type ImageTrees<'a> = BTreeMap<Board, &'a UsrTree>;

/// What is asked of the tree.
#[derive(Debug, Clone)]
pub struct BumpOptions {
    /// The release to pin.
    pub release: Release,
    /// The channel that has it, where that is known.
    pub channel: Option<Channel>,
    /// The vendor to move to.
    pub brand: Option<Brand>,
    /// The systemd version, where the images do not tell one.
    pub systemd: Option<SystemdVersion>,
    /// How far mending goes.
    pub reach: FixOptions,
}

/// What becomes of the tree.
#[derive(Debug, Clone)]
pub struct BumpPlan {
    /// The sources as they shall be.
    pub after: Stage1Sources,
    /// The pinned release before and after.
    pub release: (Release, Release),
    /// The systemd version before and after.
    pub systemd: (SystemdVersion, SystemdVersion),
    /// Every change of a manifest, with its reason.
    pub fixes: Vec<Fix>,
    /// What is left, with lines counted in `after`.
    pub findings: Vec<Finding>,
}

/// Plans a bump. Mending twice must change nothing; a plan that does not settle is a fault, never written.
///
/// # Errors
/// A coreos-common.mk that cannot be edited; no one version of systemd, as [`agreed`] has it; an image that is broken
/// where a file is.
pub fn bump(before: &Stage1Sources, request: &BumpOptions, trees: &ImageTrees<'_>) -> Result<BumpPlan> {
    let pins = CommonMk::parse(&before.common_mk)?;
    let systemd = systemd_version(request.systemd, trees)?;
    let mut after = before.clone();
    after.common_mk = pinned(pins.clone(), request, systemd)?.as_bytes().to_vec();
    let indexes: BTreeMap<Board, ImageIndex<'_>> =
        trees.iter().map(|(&board, tree)| (board, ImageIndex::new(tree))).collect();

    let fixes = mend_all(&mut after, &indexes, request.reach);
    ensure_settled(&after, &indexes, request.reach)?;
    let mut findings = check_all(&after, &indexes, request.reach.dlopen);
    offer_additions(&mut findings, &fixes);
    take_in(&mut findings, &after);
    ensure_read(trees)?;
    Ok(BumpPlan {
        release: (pins.release().clone(), request.release.clone()),
        systemd: (pins.systemd(), systemd),
        after,
        fixes,
        findings,
    })
}

/// Mending what was mended must change nothing.
fn ensure_settled(
    after: &Stage1Sources,
    indexes: &BTreeMap<Board, ImageIndex<'_>>,
    reach: FixOptions,
) -> Result<()> {
    let mut again = after.clone();
    let more = mend_all(&mut again, indexes, reach);
    let Some(fix) = more.first().filter(|_| again != *after) else { return Ok(()) };
    Err(Error::failed("mending the manifests does not settle")
        .with_cause(format!("a second pass would change {} again: {}", fix.file, fix.because))
        .with_hint("please report this with the manifests and the release; nothing was written"))
}

/// Checks the sources as they are against a request for the release that they pin, and changes nothing.
///
/// # Errors
/// As [`bump`].
pub fn verify(
    sources: &Stage1Sources,
    request: &BumpOptions,
    trees: &ImageTrees<'_>,
) -> Result<Vec<Finding>> {
    let systemd = systemd_version(request.systemd, trees)?;
    let indexes = trees.iter().map(|(&board, tree)| (board, ImageIndex::new(tree))).collect();
    let mut findings = check_all(sources, &indexes, request.reach.dlopen);
    findings.extend(stale(sources, request, systemd, trees)?);
    take_in(&mut findings, sources);
    ensure_read(trees)?;
    Ok(findings)
}

/// Raises the error of a file that could not be read: what was concluded without it is not to be relied on.
fn ensure_read(trees: &ImageTrees<'_>) -> Result<()> {
    trees.values().try_for_each(|tree| tree.read_error())
}

/// What lies outside the tree is not written: a copy of it in the tree is.
fn take_in(findings: &mut [Finding], sources: &Stage1Sources) {
    for finding in findings {
        if let Some(link) = sources.outside.get(&finding.file) {
            finding.remedy = finding.remedy.clone().behind(link);
        }
    }
}

/// Findings of `after` with their lines counted in `on_disk`, for a plan that is not written.
pub fn relocated(mut findings: Vec<Finding>, after: &Stage1Sources, on_disk: &Stage1Sources) -> Vec<Finding> {
    let (planned, texts) = (texts(after), texts(on_disk));
    for finding in &mut findings {
        let Some(text) = texts.get(&finding.file) else { continue };
        let named = |line: &str| text.entries().find(|(_, other)| *other == line).map(|(at, _)| at + 1);
        let told =
            || Some(planned.get(&finding.file)?.lines().get(finding.line?.checked_sub(1)?)?.text.as_str());
        let needed = || finding.needed_by.iter().find_map(|by| named(by));
        finding.line = named(&finding.path).or_else(needed).or_else(|| named(told()?));
    }
    findings
}

/// The version that the images tell, or that was given where they do not.
fn systemd_version(given: Option<SystemdVersion>, trees: &ImageTrees<'_>) -> Result<SystemdVersion> {
    agreed(given, trees.iter().map(|(&board, tree)| (board, identity::systemd_version(tree))))
}

fn pinned(mut pins: CommonMk, request: &BumpOptions, systemd: SystemdVersion) -> Result<CommonMk> {
    if let Some(brand) = request.brand.filter(|brand| pins.brand() != Some(*brand)) {
        pins.set_brand(brand)?;
    }
    if let Some(channel) =
        request.channel.filter(|channel| pins.channel().is_some_and(|pinned| pinned != *channel))
    {
        pins.set_url_channel(channel)?;
    }
    if *pins.release() != request.release {
        pins.set_release(&request.release)?;
    }
    if pins.systemd() != systemd {
        pins.set_systemd(systemd)?;
    }
    Ok(pins)
}

fn mend_all(
    sources: &mut Stage1Sources,
    indexes: &BTreeMap<Board, ImageIndex<'_>>,
    reach: FixOptions,
) -> Vec<Fix> {
    let mut drafts: ManifestEditors = ManifestEditor::of_files(
        sources.manifests.iter().map(|(file, bytes)| (file.as_str(), bytes.as_slice())),
    );
    drafts
        .iter_mut()
        .filter(|(file, _)| sources.outside.contains_key(*file))
        .for_each(|(_, draft)| draft.freeze());
    for (&board, index) in indexes {
        let flavors = ManifestSet::of_board(board, &sources.listings);
        mend(&flavors, &mut drafts, index, reach);
    }
    let mut fixes: Vec<Fix> = Vec::new();
    for (file, draft) in drafts {
        fixes.extend_from_slice(draft.fixes());
        if !draft.fixes().is_empty() {
            sources.manifests.insert(file, draft.text().to_bytes());
        }
    }
    fixes
}

fn check_all(
    sources: &Stage1Sources,
    indexes: &BTreeMap<Board, ImageIndex<'_>>,
    level: MinDlopenPriority,
) -> Vec<Finding> {
    let texts = texts(sources);
    let by_file: ManifestsByPath<'_> = texts.iter().map(|(file, text)| (file.as_str(), text)).collect();
    let mut findings = Vec::new();
    for (&board, index) in indexes {
        let flavors = ManifestSet::of_board(board, &sources.listings);
        findings.extend(check(&flavors, &by_file, index, level));
    }
    findings
}

fn texts(sources: &Stage1Sources) -> BTreeMap<String, ManifestFile> {
    sources.manifests.iter().map(|(file, bytes)| (file.clone(), ManifestFile::parse(bytes))).collect()
}
