//! The identity that an image must have: a wrong image may have a good signature.

use crate::cache::ImageHandle;
use crate::context::Context;
use coreos_types::{Board, Error, Release, Result};
use usr::identity::{self, Identity};

/// The requested image.
#[derive(Clone)]
pub(super) struct ExpectedImage<'c> {
    pub(super) context: &'c Context<'c>,
    /// `None` takes any release.
    pub(super) release: Option<Release>,
    pub(super) boards: Vec<Board>,
}

impl ExpectedImage<'_> {
    /// Reads the identity of an image and compares it with the request.
    pub(super) fn check(&self, image: &ImageHandle) -> Result<(Board, Release, Identity)> {
        let (tree, vendors) = (image.tree(), &self.context.settings.vendors);
        tree.read_ahead(&identity::files_to_identify(tree, vendors));
        let identity = Identity::from_tree(tree, vendors);
        tree.check_reads()?;
        let (board, release) = self.check_identity(&image.provenance().source, &identity)?;
        Ok((board, release, identity))
    }

    fn check_identity(&self, source: &str, identity: &Identity) -> Result<(Board, Release)> {
        let refused = |found: &str, expected: &str| {
            Error::refused(format!("{source} is {found}: {expected} was requested"))
        };
        let expected = self.context.vendor();
        let id = identity.os_release.get("ID").map_or("missing", String::as_str);
        match identity.vendor {
            _ if id == expected.os_release_id => {}
            Some(vendor) => {
                let error = refused(&format!("a {vendor} image"), &format!("a {expected} image"));
                let hint = format!("to move the tree to {vendor}, add --brand {}", vendor.id);
                return Err(error.with_hint(hint));
            }
            None => {
                let expected_id = expected.os_release_id;
                return Err(refused("of no known vendor", &format!("a {expected} image"))
                    .with_cause(format!("ID of its lib/os-release is {id}: expected {expected_id}")));
            }
        }
        let Some(release) = identity.release.clone() else {
            return Err(refused("of no known release", "one with a known release")
                .with_cause("its lib/os-release has no VERSION"));
        };
        if let Some(expected) = self.release.as_ref().filter(|expected| **expected != release) {
            let bump = self.context.bump_invocation(&release).fix_command();
            return Err(refused(&format!("release {release}"), &format!("release {expected}"))
                .with_hint(format!("if {release} is what you want: {bump}")));
        }
        match identity.board {
            Some(board) if self.boards.contains(&board) => Ok((board, release)),
            found => Err(self.other_board_error(found, refused)),
        }
    }

    /// The error of an image for none of the requested boards.
    fn other_board_error(&self, found: Option<Board>, refused: impl Fn(&str, &str) -> Error) -> Error {
        let boards = self.boards.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        let Some(board) = found else {
            return refused("for no known board", &boards)
                .with_cause("neither its release files nor its programs identify the board");
        };
        let error = refused(&format!("for {board}"), &boards);
        if self.context.image_args.images.is_empty() {
            // The server chose the image, by the URL, and not the user.
            error.with_hint("the server has another image at this URL: use another mirror (--mirror URL)")
        } else if self.context.sources.boards().contains(&board) {
            error.with_hint(format!("if {board} is what you want: --board {board}"))
        } else {
            let missing = format!("the tree has no manifests for {board}: manifest-{board}.d does not exist");
            error.with_cause(missing).with_hint("use the image of a board that has manifests: --image FILE")
        }
    }
}
