//! What coreos-common.mk pins and the images belie: what `--fix` would edit there, as findings.

use super::bump::{BumpOptions, ImageTrees};
use super::common_mk::{CommonMk, SYSTEMD, URL};
use super::sources::Stage1Sources;
use crate::finding::{Finding, FindingKind, Severity};
use crate::suggestion::Suggestion;
use coreos_types::error::Result;
use coreos_types::release::{Flavor, SystemdVersion};
use usr::lossless_text;

/// A finding for each value of coreos-common.mk that is not what it should be for these images.
pub(super) fn stale(
    sources: &Stage1Sources,
    request: &BumpOptions,
    systemd: SystemdVersion,
    trees: &ImageTrees<'_>,
) -> Result<Vec<Finding>> {
    let pins = CommonMk::parse(&sources.common_mk)?;
    let (Some(&board), Some(flavor)) = (trees.keys().next(), Flavor::from_dir_name("usr_from_coreos")) else {
        return Ok(Vec::new());
    };
    let text = lossless_text::from_bytes(&sources.common_mk);
    let found = [stale_systemd(&pins, systemd), stale_brand(&pins, request), stale_channel(&pins, request)];
    let finding = |stale: Stale| Finding {
        file: sources.common_mk_path.clone(),
        line: Some(pins.line(stale.variable)),
        kind: FindingKind::Tidy,
        severity: Severity::Warning,
        board,
        flavor: flavor.clone(),
        path: text.lines().nth(pins.line(stale.variable).saturating_sub(1)).unwrap_or_default().to_owned(),
        needed_by: Vec::new(),
        candidates: vec![stale.candidate],
        message: stale.message,
        remedy: Suggestion::Mend,
    };
    Ok(found.into_iter().flatten().map(finding).collect())
}

struct Stale {
    variable: &'static str,
    candidate: String,
    message: String,
}

/// Stage1 decides by the version what systemd can do.
fn stale_systemd(pins: &CommonMk, systemd: SystemdVersion) -> Option<Stale> {
    (pins.systemd() != systemd).then(|| Stale {
        variable: SYSTEMD,
        candidate: systemd.to_string(),
        message: format!("{SYSTEMD} is {}, and the image has systemd {systemd}", pins.systemd()),
    })
}

fn stale_brand(pins: &CommonMk, request: &BumpOptions) -> Option<Stale> {
    let brand = request.brand.filter(|brand| pins.brand() != Some(*brand))?;
    Some(Stale {
        variable: URL,
        candidate: brand.to_string(),
        message: format!("{URL} does not name {brand}, which was asked for"),
    })
}

/// A build would look for the image on the channel that the URL names.
fn stale_channel(pins: &CommonMk, request: &BumpOptions) -> Option<Stale> {
    let (pinned, found) = (pins.channel()?, request.channel?);
    (pinned != found).then(|| Stale {
        variable: URL,
        candidate: found.to_string(),
        message: format!("{URL} names the {pinned} channel, and {} is taken from {found}", request.release),
    })
}
