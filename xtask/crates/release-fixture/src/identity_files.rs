//! The files in an image that name its vendor, board and release, as CoreOS and Flatcar write them.

use coreos_types::{Board, Release, Vendor};

/// The first CoreOS release with the board in its os-release (March 2017).
const BOARD_IN_OS_RELEASE_SINCE: u64 = 1353;

/// The files below `/usr` that name vendor, release and board; `lib` is the directory of os-release.
pub(super) fn identity_files(
    vendor: &Vendor,
    board: Board,
    release: &Release,
    lib: &str,
) -> [(String, String); 4] {
    let (id, prefix, board_name) = (vendor.os_release_id, vendor.variable_prefix, vendor.board_name(board));
    let name = if id == "flatcar" { "Flatcar Container Linux by Kinvolk" } else { vendor.name };
    let number = release.version_id();
    let mut os_release = format!(
        "NAME=\"{name}\"\nID={id}\nVERSION={release}\nVERSION_ID={number}\nBUILD_ID=\nPRETTY_NAME=\"{name} {release}\"\n"
    );
    if vendor != Vendor::COREOS {
        os_release.push_str("ID_LIKE=coreos\n");
    }
    if vendor != Vendor::COREOS || release.major() >= BOARD_IN_OS_RELEASE_SINCE {
        os_release.push_str(&format!("{prefix}_BOARD=\"{board_name}\"\n"));
    }
    let release_file = format!(
        "{prefix}_RELEASE_VERSION={release}\n{prefix}_RELEASE_BOARD={board_name}\n{prefix}_RELEASE_APPID={{00000000-0000-0000-0000-000000000000}}\n"
    );
    [
        (format!("{lib}/os-release"), os_release),
        (format!("share/{id}/release"), release_file),
        (format!("share/{id}/update.conf"), String::from("GROUP=alpha\n")),
        (String::from(".noupdate"), String::new()),
    ]
}
