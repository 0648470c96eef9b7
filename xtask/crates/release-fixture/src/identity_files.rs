//! The files in an image that name its vendor, board and release, as CoreOS and Flatcar write them.

use coreos_types::release::{Board, Release};
use coreos_types::vendor::Vendor;

/// The first CoreOS release with the board in its os-release (March 2017).
const BOARD_IN_OS_RELEASE_SINCE: u32 = 1353;

/// The vendor, board and release that an image names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) vendor: &'static Vendor,
    pub(super) board: Board,
    pub(super) release: &'a Release,
}

/// The files below `/usr` that name vendor, release and board.
pub(super) fn identity(image: Identity<'_>, lib: &str) -> Vec<(String, String)> {
    let id = image.vendor.os_release_id;
    vec![
        (format!("{lib}/os-release"), os_release(image)),
        (format!("share/{id}/release"), release_file(image)),
        (format!("share/{id}/update.conf"), String::from("GROUP=alpha\n")),
        (String::from(".noupdate"), String::new()),
    ]
}

fn os_release(image: Identity<'_>) -> String {
    let (id, version) = (image.vendor.os_release_id, image.release);
    let name = match image.vendor.os_release_id {
        "flatcar" => "Flatcar Container Linux by Kinvolk",
        _ => image.vendor.name,
    };
    let mut text = format!(
        "NAME=\"{name}\"\nID={id}\nVERSION={version}\nVERSION_ID={number}\nBUILD_ID=\nPRETTY_NAME=\"{name} {version}\"\n",
        number = version_id(version),
    );
    if image.vendor != Vendor::COREOS {
        text.push_str("ID_LIKE=coreos\n");
    }
    let board = image.vendor.board_name(image.board);
    if image.vendor != Vendor::COREOS || major(version) >= BOARD_IN_OS_RELEASE_SINCE {
        text.push_str(&format!("{}_BOARD=\"{board}\"\n", image.vendor.variable_prefix));
    }
    text
}

fn release_file(image: Identity<'_>) -> String {
    let prefix = image.vendor.variable_prefix;
    format!(
        "{prefix}_RELEASE_VERSION={}\n{prefix}_RELEASE_BOARD={}\n{prefix}_RELEASE_APPID={{00000000-0000-0000-0000-000000000000}}\n",
        image.release,
        image.vendor.board_name(image.board),
    )
}

/// The release without a developer build's suffix.
pub(super) fn version_id(release: &Release) -> &str {
    release.as_str().split(['+', '-']).next().unwrap_or(release.as_str())
}

fn major(release: &Release) -> u32 {
    release.as_str().split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
