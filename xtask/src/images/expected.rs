//! The identity that an image must have: a wrong image may have a good signature.

use crate::cache::ImageHandle;
use crate::report::invocation::Invocation;
use coreos_types::error::{Error, Result};
use coreos_types::release::{Board, Release};
use coreos_types::vendor::{Vendor, Vendors};
use usr::identity::{self, Identity};

/// The requested image.
#[derive(Debug, Clone)]
pub(super) struct ExpectedImage {
    pub(super) vendor: &'static Vendor,
    /// The known vendors.
    pub(super) vendors: Vendors,
    /// `None` takes any release.
    pub(super) release: Option<Release>,
    pub(super) boards: Vec<Board>,
    /// The boards that the tree has manifests for.
    pub(super) listed: Vec<Board>,
    /// Whether a server chose the image, by the URL, and not the user.
    pub(super) remote: bool,
    /// The command line of the run, for hints.
    pub(super) again: Invocation,
}

impl ExpectedImage {
    /// Reads the identity of an image and compares it with the request.
    pub(super) fn check(&self, image: &ImageHandle) -> Result<(Board, Release, Identity)> {
        let tree = image.tree();
        tree.read_ahead(&identity::identity_files(tree, &self.vendors));
        let identity = Identity::from_tree(tree, &self.vendors);
        tree.read_error()?;
        let (board, release) = self.check_identity(&image.origin().source, &identity)?;
        Ok((board, release, identity))
    }

    fn check_identity(&self, source: &str, identity: &Identity) -> Result<(Board, Release)> {
        let refused = |found: &str, expected: &str| {
            Error::refused(format!("{source} is {found}: {expected} was requested"))
        };
        let expected = format!("a {} image", self.vendor);
        let id = identity.os_release.get("ID").map_or("missing", String::as_str);
        match identity.vendor {
            _ if id == self.vendor.os_release_id => {}
            Some(vendor) => {
                let error = refused(&format!("a {vendor} image"), &expected);
                return Err(
                    error.with_hint(format!("to move the tree to {vendor}, add --brand {}", vendor.id))
                );
            }
            None => {
                let error = refused("of no known vendor", &expected);
                return Err(error.with_cause(format!(
                    "ID of its lib/os-release is {id}: expected {}",
                    self.vendor.os_release_id
                )));
            }
        }
        let Some(release) = identity.release.clone() else {
            return Err(refused("of no known release", "one with a known release")
                .with_cause("its lib/os-release has no VERSION"));
        };
        if let Some(expected) = self.release.as_ref().filter(|expected| **expected != release) {
            return Err(refused(&format!("release {release}"), &format!("release {expected}"))
                .with_hint(format!("if {release} is what you want: {}", self.again.bump_command(&release))));
        }
        match identity.board {
            Some(board) if self.boards.contains(&board) => Ok((board, release)),
            found => {
                let boards = self.boards.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
                let found =
                    found.map_or_else(|| "for no known board".to_owned(), |board| format!("for {board}"));
                Err(self.with_hint_for(refused(&found, &boards), identity.board))
            }
        }
    }

    fn with_hint_for(&self, error: Error, found: Option<Board>) -> Error {
        match found {
            None => error.with_cause("neither its release files nor its programs identify the board"),
            Some(_) if self.remote => {
                error.with_hint("the server has another image at this URL: use another mirror (--mirror URL)")
            }
            Some(board) if self.listed.contains(&board) => {
                error.with_hint(format!("if {board} is what you want: --board {board}"))
            }
            Some(board) => error
                .with_cause(format!(
                    "the tree has no manifests for {board}: manifest-{board}.d does not exist"
                ))
                .with_hint("use the image of a board that has manifests: --image FILE"),
        }
    }
}
