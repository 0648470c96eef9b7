//! The plan of a bump: from sources, options and images to the changed sources and the remaining findings.

use std::collections::{BTreeMap, HashMap};

use super::systemd_version_to_pin::choose_systemd_version;
use crate::finding::{Finding, Fix};
use crate::image_index::ImageIndex;
use crate::rules::add_library_candidates;
use crate::rules::lint_and_fix::{FixOptions, Indexes, fix, lint};
use crate::rules::pins::{self, PinTargets};
use crate::stage1_sources::Stage1Sources;
use coreos_types::{Board, Channel, Error, Release, Result, SystemdVersion, Vendor};
use usr::{DlopenPriority, UsrTree, identity};

/// The images of a run, by board.
pub type ImageTrees<'a> = BTreeMap<Board, &'a UsrTree>;

/// The options of a bump.
#[derive(Debug, Clone)]
pub struct BumpOptions {
    /// The release to pin.
    pub release: Release,
    /// The channel of the release, if known.
    pub channel: Option<Channel>,
    /// The vendor to move to.
    pub vendor: Option<&'static Vendor>,
    /// The systemd version, for images in which it cannot be detected.
    pub systemd: Option<SystemdVersion>,
    /// The minimum priority of `.note.dlopen` entries that are dependencies; `None` if none is.
    pub min_dlopen_priority: Option<DlopenPriority>,
    /// The options of the fixes.
    pub fix_options: FixOptions,
}

impl BumpOptions {
    /// The values to pin.
    ///
    /// # Errors
    /// The systemd version is unknown or ambiguous ([`choose_systemd_version`]).
    pub(super) fn pin_targets(&self, trees: &ImageTrees<'_>) -> Result<PinTargets> {
        let versions = trees.iter().map(|(&board, tree)| (board, identity::systemd_version(tree)));
        Ok(PinTargets {
            release: self.release.clone(),
            channel: self.channel,
            vendor: self.vendor,
            systemd: choose_systemd_version(self.systemd, versions)?,
        })
    }

    pub(super) fn index_all<'a>(&self, trees: &ImageTrees<'a>) -> Indexes<'a> {
        let index = |tree| ImageIndex::new(tree, self.min_dlopen_priority);
        trees.iter().map(|(&board, tree)| (board, index(tree))).collect()
    }
}

/// The tree after a bump.
#[derive(Debug, Clone)]
pub struct BumpPlan {
    /// The sources after the bump.
    pub after: Stage1Sources,
    /// The pinned release before and after.
    pub release: (Release, Release),
    /// The systemd version before and after.
    pub systemd: (SystemdVersion, SystemdVersion),
    /// Every change of a manifest, with its reason.
    pub fixes: Vec<Fix>,
    /// The remaining findings, with lines counted in `after`.
    pub findings: Vec<Finding>,
}

impl BumpPlan {
    /// The findings with lines counted in the sources on disk, for a plan that is not written.
    pub fn findings_on_disk(&self, on_disk: &Stage1Sources) -> Vec<Finding> {
        let (planned, on_disk) = (self.after.parse_manifests(), on_disk.parse_manifests());
        let mut lines: BTreeMap<&str, HashMap<&str, usize>> = BTreeMap::new();
        for (file, text) in &on_disk {
            let known = lines.entry(file).or_default();
            text.entries().for_each(|(at, line)| _ = known.entry(line).or_insert(at + 1));
        }
        let mut findings = self.findings.clone();
        for finding in &mut findings {
            let Some(lines) = lines.get(finding.file.as_str()) else { continue };
            let find_line = |line: &str| lines.get(line).copied();
            let in_plan = || {
                Some(planned.get(&finding.file)?.lines().get(finding.line?.checked_sub(1)?)?.text.as_str())
            };
            let needed = || finding.needed_by.iter().find_map(|by| find_line(by));
            finding.line = find_line(&finding.path).or_else(|| find_line(in_plan()?)).or_else(needed);
        }
        findings
    }
}

/// Plans a bump. A plan that a second pass would change is an error.
///
/// # Errors
/// A coreos-common.mk that cannot be edited; an unknown or ambiguous systemd version ([`choose_systemd_version`]); a
/// file of the image that cannot be read.
pub fn plan_bump(before: &Stage1Sources, options: &BumpOptions, trees: &ImageTrees<'_>) -> Result<BumpPlan> {
    let pins = before.parse_common_mk()?;
    let targets = options.pin_targets(trees)?;
    let mut after = before.clone();
    after.common_mk = pins::fix(pins.clone(), &targets)?.as_bytes().to_vec();
    let indexes = options.index_all(trees);
    let fixes = fix(&mut after, &indexes, options.fix_options);
    ensure_idempotent(&after, &indexes, options.fix_options)?;
    let mut findings = lint(&after, &indexes);
    add_library_candidates(&mut findings, &fixes);
    suggest_copy_into_tree(&mut findings, &after);
    // Without a file that cannot be read, results are not reliable.
    trees.values().try_for_each(|tree| tree.check_reads())?;
    Ok(BumpPlan {
        release: (pins.release().clone(), targets.release),
        systemd: (pins.systemd(), targets.systemd),
        after,
        fixes,
        findings,
    })
}

/// Checks that a second pass of the fixes changes nothing.
fn ensure_idempotent(after: &Stage1Sources, indexes: &Indexes<'_>, options: FixOptions) -> Result<()> {
    let mut again = after.clone();
    let more = fix(&mut again, indexes, options);
    let Some(fix) = more.first().filter(|_| again != *after) else { return Ok(()) };
    Err(Error::failed("the fixes of the manifests do not converge")
        .with_cause(format!("a second pass would change {} again: {}", fix.file, fix.reason))
        .with_hint("please report this with the manifests and the release; nothing was written"))
}

/// Prefixes the suggestions for manifests outside the tree, which are never written, with a copy into the tree.
pub(super) fn suggest_copy_into_tree(findings: &mut [Finding], sources: &Stage1Sources) {
    for finding in findings {
        if let Some(link) = sources.outside.get(&finding.file) {
            finding.suggestion = finding.suggestion.clone().after_copying(link);
        }
    }
}
