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

/// Reports each value that differs from its target.
pub fn check(pins: &CommonMk, file: &str, targets: &PinTargets, board: Board) -> Vec<Finding> {
    let text = lossless_text::from_bytes(pins.as_bytes());
    let (release, systemd) = (&targets.release, targets.systemd);
    let finding = |variable: &str, target: String, message: String| {
        let line = pins.line(variable);
        let site = FindingSite { board, flavor: &Flavor::coreos(), file, line: Some(line) };
        let path = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        Finding::new(FindingKind::Tidy, site, path, message, Suggestion::RunFix).candidates([target])
    };
    let mut findings = Vec::new();
    if let Some(vendor) = other_vendor(pins, targets) {
        let message = format!("{URL} does not name {vendor}, which is requested");
        findings.push(finding(URL, vendor.to_string(), message));
    }
    if let Some((pinned, channel)) = other_channel(pins, targets) {
        // The build downloads the image from the channel in the URL.
        let message = format!("{URL} names the {pinned} channel, and {release} is taken from {channel}");
        findings.push(finding(URL, channel.to_string(), message));
    }
    if pins.release() != release {
        let message = format!("{RELEASE} is {}, and {release} is requested", pins.release());
        findings.push(finding(RELEASE, release.to_string(), message));
    }
    if pins.systemd() != systemd {
        // Stage1 selects systemd features by the pinned version.
        let message = format!("{SYSTEMD} is {}, and the image has systemd {systemd}", pins.systemd());
        findings.push(finding(SYSTEMD, systemd.to_string(), message));
    }
    findings
}

/// Sets each value that differs from its target: the vendor first, because vendors have different channels.
pub fn fix(mut pins: CommonMk, targets: &PinTargets) -> Result<CommonMk> {
    if let Some(vendor) = other_vendor(&pins, targets) {
        pins.set_vendor(vendor, targets.channel)?;
    }
    if let Some((_, channel)) = other_channel(&pins, targets) {
        pins.set_url_channel(channel)?;
    }
    pins.set_release(&targets.release)?;
    if pins.systemd() != targets.systemd {
        pins.set_systemd(targets.systemd)?;
    }
    Ok(pins)
}

/// The vendor to move to, if the URL names another one.
fn other_vendor(pins: &CommonMk, targets: &PinTargets) -> Option<&'static Vendor> {
    targets.vendor.filter(|vendor| pins.vendor() != Some(*vendor))
}

/// The channel in the URL and that of the release, if both are known and differ.
fn other_channel(pins: &CommonMk, targets: &PinTargets) -> Option<(Channel, Channel)> {
    Some((pins.channel()?, targets.channel?)).filter(|(pinned, channel)| pinned != channel)
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
