//! Rule: coreos-common.mk pins the requested release, channel and vendor, and the systemd version of the images.

use crate::common_mk::{CommonMk, RELEASE, SYSTEMD, URL};
use crate::finding::{Finding, FindingKind, Severity};
use crate::suggestion::Suggestion;
use coreos_types::error::Result;
use coreos_types::release::{Board, Channel, Flavor, Release, SystemdVersion};
use coreos_types::vendor::Vendor;
use usr::lossless_text;

/// The values to pin.
#[derive(Debug, Clone)]
pub struct PinTargets {
    /// The release.
    pub release: Release,
    /// The channel of the release, if known.
    pub channel: Option<Channel>,
    /// The vendor to move to.
    pub vendor: Option<&'static Vendor>,
    /// The version of systemd in the images.
    pub systemd: SystemdVersion,
}

/// A pinned value that differs from its target.
struct Mismatch {
    variable: &'static str,
    target: TargetValue,
    message: String,
}

/// The value to pin.
enum TargetValue {
    Vendor(&'static Vendor),
    Channel(Channel),
    Release(Release),
    Systemd(SystemdVersion),
}

/// The comparisons in the order of fixing: the vendor first, because vendors have different channels.
const COMPARISONS: [fn(&CommonMk, &PinTargets) -> Option<Mismatch>; 4] =
    [compare_vendor, compare_channel, compare_release, compare_systemd];

/// Reports each value that differs from its target.
pub fn check(pins: &CommonMk, file: &str, targets: &PinTargets, board: Board) -> Vec<Finding> {
    let Some(flavor) = Flavor::from_dir_name("usr_from_coreos") else { return Vec::new() };
    let text = lossless_text::from_bytes(pins.as_bytes());
    let finding = |mismatch: Mismatch| {
        let line = pins.line(mismatch.variable);
        Finding {
            file: file.to_owned(),
            line: Some(line),
            kind: FindingKind::Tidy,
            severity: Severity::Warning,
            board,
            flavor: flavor.clone(),
            path: text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_owned(),
            needed_by: Vec::new(),
            candidates: vec![mismatch.target.to_string()],
            message: mismatch.message,
            suggestion: Suggestion::RunFix,
            fixable: false,
        }
    };
    COMPARISONS.iter().filter_map(|compare| compare(pins, targets)).map(finding).collect()
}

/// Sets each value that differs from its target.
///
/// # Errors
/// A URL that cannot be edited.
pub fn fix(mut pins: CommonMk, targets: &PinTargets) -> Result<CommonMk> {
    for compare in COMPARISONS {
        match compare(&pins, targets).map(|mismatch| mismatch.target) {
            None => {}
            Some(TargetValue::Vendor(vendor)) => pins.set_vendor(vendor, targets.channel)?,
            Some(TargetValue::Channel(channel)) => pins.set_url_channel(channel)?,
            Some(TargetValue::Release(release)) => pins.set_release(&release)?,
            Some(TargetValue::Systemd(version)) => pins.set_systemd(version)?,
        }
    }
    Ok(pins)
}

fn compare_vendor(pins: &CommonMk, targets: &PinTargets) -> Option<Mismatch> {
    let vendor = targets.vendor.filter(|vendor| pins.vendor() != Some(*vendor))?;
    let message = format!("{URL} does not name {vendor}, which is requested");
    Some(Mismatch { variable: URL, target: TargetValue::Vendor(vendor), message })
}

/// The build downloads the image from the channel in the URL.
fn compare_channel(pins: &CommonMk, targets: &PinTargets) -> Option<Mismatch> {
    let (pinned, channel) = (pins.channel()?, targets.channel?);
    let release = &targets.release;
    let message = format!("{URL} names the {pinned} channel, and {release} is taken from {channel}");
    (pinned != channel).then_some(Mismatch { variable: URL, target: TargetValue::Channel(channel), message })
}

fn compare_release(pins: &CommonMk, targets: &PinTargets) -> Option<Mismatch> {
    let release = &targets.release;
    let message = format!("{RELEASE} is {}, and {release} is requested", pins.release());
    let target = TargetValue::Release(release.clone());
    (pins.release() != release).then_some(Mismatch { variable: RELEASE, target, message })
}

/// Stage1 selects systemd features by the pinned version.
fn compare_systemd(pins: &CommonMk, targets: &PinTargets) -> Option<Mismatch> {
    let systemd = targets.systemd;
    let message = format!("{SYSTEMD} is {}, and the image has systemd {systemd}", pins.systemd());
    (pins.systemd() != systemd).then_some(Mismatch {
        variable: SYSTEMD,
        target: TargetValue::Systemd(systemd),
        message,
    })
}

impl std::fmt::Display for TargetValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TargetValue::Vendor(vendor) => vendor.fmt(f),
            TargetValue::Channel(channel) => channel.fmt(f),
            TargetValue::Release(release) => release.fmt(f),
            TargetValue::Systemd(version) => version.fmt(f),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn mismatch_is_reported_and_fixed() {
        let url = "https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz";
        let text = format!("{SYSTEMD} := v225\n{RELEASE} := 991.0.0\n{URL} := {url}\n");
        let pins = CommonMk::parse(text.as_bytes()).unwrap();
        let same = PinTargets {
            release: "991.0.0".parse().unwrap(),
            channel: Some(Channel::Alpha),
            vendor: None,
            systemd: SystemdVersion(225),
        };
        for (targets, expected) in [
            (same.clone(), &[][..]),
            (PinTargets { channel: None, ..same.clone() }, &[]),
            (PinTargets { systemd: SystemdVersion(229), ..same.clone() }, &[(1, "v229")]),
            (PinTargets { release: "1032.0.0".parse().unwrap(), ..same.clone() }, &[(2, "1032.0.0")]),
            (PinTargets { channel: Some(Channel::Beta), ..same.clone() }, &[(3, "beta")]),
            (PinTargets { vendor: Some(Vendor::COREOS), ..same.clone() }, &[]),
            (PinTargets { vendor: Some(Vendor::FLATCAR), ..same.clone() }, &[(3, "Flatcar")]),
        ] {
            let found = check(&pins, "f", &targets, Board::Amd64);
            let shown: Vec<(usize, &str)> =
                found.iter().map(|one| (one.line.unwrap(), one.candidates[0].as_str())).collect();
            assert_eq!(shown, expected, "{targets:?}");
            let fixed = fix(pins.clone(), &targets).unwrap();
            assert!(check(&fixed, "f", &targets, Board::Amd64).is_empty(), "{targets:?}");
            assert_eq!(fixed == pins, expected.is_empty());
        }
    }
}
