//! Rule: coreos-common.mk pins the requested release, channel and vendor, and the systemd version of the images.

use crate::common_mk::{CommonMk, RELEASE, SYSTEMD, URL};
use crate::finding::{Finding, FindingKind, FindingSite};
use crate::suggestion::Suggestion;
use coreos_types::{Board, Channel, Flavor, Release, Result, SystemdVersion, Vendor};
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
    /// The value to pin, as a candidate of the finding.
    target: String,
    message: String,
}

/// Compares one value with its target, and sets it.
type Pin = (fn(&CommonMk, &PinTargets) -> Option<Mismatch>, fn(&mut CommonMk, &PinTargets) -> Result<()>);

/// The values in the order of fixing: the vendor first, because vendors have different channels.
const PINS: [Pin; 4] = [
    (compare_vendor, |pins, to| to.vendor.map_or(Ok(()), |vendor| pins.set_vendor(vendor, to.channel))),
    (compare_channel, |pins, to| to.channel.map_or(Ok(()), |channel| pins.set_url_channel(channel))),
    (compare_release, |pins, to| pins.set_release(&to.release)),
    (compare_systemd, |pins, to| pins.set_systemd(to.systemd)),
];

/// Reports each value that differs from its target.
pub fn check(pins: &CommonMk, file: &str, targets: &PinTargets, board: Board) -> Vec<Finding> {
    let Some(flavor) = Flavor::from_dir_name("usr_from_coreos") else { return Vec::new() };
    let text = lossless_text::from_bytes(pins.as_bytes());
    let finding = |mismatch: Mismatch| {
        let line = pins.line(mismatch.variable);
        let site = FindingSite { board, flavor: &flavor, file, line: Some(line) };
        let path = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        Finding::new(FindingKind::Tidy, site, path, mismatch.message, Suggestion::RunFix)
            .candidates([mismatch.target])
    };
    PINS.iter().filter_map(|(compare, _)| compare(pins, targets)).map(finding).collect()
}

/// Sets each value that differs from its target.
pub fn fix(mut pins: CommonMk, targets: &PinTargets) -> Result<CommonMk> {
    for (compare, set) in PINS {
        if compare(&pins, targets).is_some() {
            set(&mut pins, targets)?;
        }
    }
    Ok(pins)
}

fn compare_vendor(pins: &CommonMk, targets: &PinTargets) -> Option<Mismatch> {
    let vendor = targets.vendor.filter(|vendor| pins.vendor() != Some(*vendor))?;
    Some(Mismatch {
        variable: URL,
        target: vendor.to_string(),
        message: format!("{URL} does not name {vendor}, which is requested"),
    })
}

/// The build downloads the image from the channel in the URL.
fn compare_channel(pins: &CommonMk, targets: &PinTargets) -> Option<Mismatch> {
    let (pinned, channel, release) = (pins.channel()?, targets.channel?, &targets.release);
    (pinned != channel).then(|| Mismatch {
        variable: URL,
        target: channel.to_string(),
        message: format!("{URL} names the {pinned} channel, and {release} is taken from {channel}"),
    })
}

fn compare_release(pins: &CommonMk, targets: &PinTargets) -> Option<Mismatch> {
    let release = &targets.release;
    (pins.release() != release).then(|| Mismatch {
        variable: RELEASE,
        target: release.to_string(),
        message: format!("{RELEASE} is {}, and {release} is requested", pins.release()),
    })
}

/// Stage1 selects systemd features by the pinned version.
fn compare_systemd(pins: &CommonMk, targets: &PinTargets) -> Option<Mismatch> {
    let systemd = targets.systemd;
    (pins.systemd() != systemd).then(|| Mismatch {
        variable: SYSTEMD,
        target: systemd.to_string(),
        message: format!("{SYSTEMD} is {}, and the image has systemd {systemd}", pins.systemd()),
    })
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
