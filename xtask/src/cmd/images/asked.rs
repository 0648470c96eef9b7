//! What an image has to be: a wrong image may be signed as well as any.

use crate::coreos::{Board, Brand, Release};
use crate::fault::{Fault, Result};
use crate::usr::identity::Identity;

/// The image that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) brand: Brand,
    /// `None` takes any release.
    pub(super) release: Option<Release>,
    pub(super) boards: Vec<Board>,
}

impl Asked {
    /// Holds what an image says of itself against what was asked for.
    pub(super) fn judge(&self, source: &str, told: &Identity) -> Result<(Board, Release)> {
        let refused =
            |found: &str, asked: &str| Fault::refused(format!("{source} is {found}: {asked} was asked for"));
        match told.brand {
            Some(brand) if brand == self.brand => {}
            Some(brand) => {
                let fault = refused(&format!("a {brand} image"), &format!("a {} image", self.brand));
                return Err(fault.hint(format!("to move the tree to {brand}, add --brand {}", brand.id())));
            }
            None => {
                let fault = refused("of no known vendor", &format!("a {} image", self.brand));
                return Err(fault.because("ID of its lib/os-release is neither coreos nor flatcar"));
            }
        }
        let Some(release) = told.release.clone() else {
            return Err(refused("of no known release", "one that says which it is")
                .because("its lib/os-release has no VERSION"));
        };
        if let Some(asked) = self.release.as_ref().filter(|asked| **asked != release) {
            return Err(refused(&format!("release {release}"), &format!("release {asked}"))
                .hint(format!("if {release} is what you want: cargo xtask bump-coreos {release}")));
        }
        match told.board {
            Some(board) if self.boards.contains(&board) => Ok((board, release)),
            found => {
                let boards = self.boards.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
                let found =
                    found.map_or_else(|| "for no known board".to_owned(), |board| format!("for {board}"));
                Err(refused(&found, &boards).hint("name the board that the image is for: --board BOARD"))
            }
        }
    }
}
