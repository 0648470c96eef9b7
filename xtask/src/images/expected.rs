//! The identity that an image must have: a wrong image may be signed as well as any.

use crate::cache::ImageHandle;
use crate::report::invocation::Invocation;
use coreos_types::error::{Error, Result};
use coreos_types::release::{Board, Brand, Release};
use usr::identity::{self, Identity};

/// The requested image.
#[derive(Debug, Clone)]
pub(super) struct ExpectedImage {
    pub(super) brand: Brand,
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
        tree.read_ahead(&identity::identity_files(tree));
        let identity = Identity::of(tree);
        tree.read_error()?;
        let (board, release) = self.check_identity(&image.origin().source, &identity)?;
        Ok((board, release, identity))
    }

    fn check_identity(&self, source: &str, told: &Identity) -> Result<(Board, Release)> {
        let refused =
            |found: &str, asked: &str| Error::refused(format!("{source} is {found}: {asked} was asked for"));
        match told.brand {
            Some(brand) if brand == self.brand => {}
            Some(brand) => {
                let error = refused(&format!("a {brand} image"), &format!("a {} image", self.brand));
                return Err(
                    error.with_hint(format!("to move the tree to {brand}, add --brand {}", brand.id()))
                );
            }
            None => {
                let error = refused("of no known vendor", &format!("a {} image", self.brand));
                return Err(error.with_cause("ID of its lib/os-release is neither coreos nor flatcar"));
            }
        }
        let Some(release) = told.release.clone() else {
            return Err(refused("of no known release", "one that says which it is")
                .with_cause("its lib/os-release has no VERSION"));
        };
        if let Some(asked) = self.release.as_ref().filter(|asked| **asked != release) {
            return Err(refused(&format!("release {release}"), &format!("release {asked}"))
                .with_hint(format!("if {release} is what you want: {}", self.again.bump_command(&release))));
        }
        match told.board {
            Some(board) if self.boards.contains(&board) => Ok((board, release)),
            found => {
                let boards = self.boards.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
                let found =
                    found.map_or_else(|| "for no known board".to_owned(), |board| format!("for {board}"));
                Err(self.with_hint_for(refused(&found, &boards), told.board))
            }
        }
    }

    fn with_hint_for(&self, error: Error, found: Option<Board>) -> Error {
        match found {
            None => error.with_cause("neither its release files nor its programs tell the board"),
            Some(_) if self.remote => error
                .with_hint("the server has another image in this place: name another mirror (--mirror URL)"),
            Some(board) if self.listed.contains(&board) => {
                error.with_hint(format!("if {board} is what you want: --board {board}"))
            }
            Some(board) => error
                .with_cause(format!("the tree has no manifests for {board}: there is no manifest-{board}.d"))
                .with_hint("name the image of a board that has manifests: --image FILE"),
        }
    }
}
