//! The images of a run, one a board: brought, proved, and held against what was asked for.

mod local;
mod remote;

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use crate::coreos::{Board, Brand, Channel, Release};
use crate::edge::image::{UsrImage, VerifiedImage};
use crate::fault::{Fault, Result};
use crate::flags::{ImageFlags, Wanted};
use crate::plan::bump::{Trees, Unread};
use crate::report::ImageOrigin;
use crate::usr::identity::{self, Identity};

/// More rounds of reading than any chain of needs is deep.
const MAX_ROUNDS: usize = 64;

/// The images of a run.
pub(super) struct Images {
    /// The release that every one of them is.
    pub(super) release: Release,
    /// The channel it was found on.
    pub(super) channel: Option<Channel>,
    opened: BTreeMap<Board, Opened>,
}

struct Opened {
    image: UsrImage,
    origin: ImageOrigin,
}

impl Images {
    /// Brings an image for every board of the run.
    ///
    /// # Errors
    /// An image is not to be had, is not trusted, or is not of the release, brand or board that was asked for.
    pub(super) fn open(context: &Context<'_>, flags: &ImageFlags, wanted: &Wanted) -> Result<Images> {
        let boards = context.boards(flags)?;
        if flags.images.is_empty() {
            return remote::open(context, flags, wanted, &boards);
        }
        local::open(context, flags, wanted, &boards)
    }

    /// The trees as far as they were read.
    pub(super) fn trees(&self) -> Trees<'_> {
        self.opened.iter().map(|(&board, opened)| (board, opened.image.tree())).collect()
    }

    /// Where each image came from.
    pub(super) fn origins(&self) -> Vec<ImageOrigin> {
        self.opened.values().map(|opened| opened.origin.clone()).collect()
    }

    /// Looks at the trees again and again, and reads in between what the look could not do without.
    ///
    /// # Errors
    /// Those of the look; an image that is broken where a file lies.
    pub(super) fn settle<T>(&mut self, mut look: impl FnMut(&Trees<'_>) -> Result<(T, Unread)>) -> Result<T> {
        for _ in 0..MAX_ROUNDS {
            let (seen, unread) = look(&self.trees())?;
            if unread.is_empty() {
                return Ok(seen);
            }
            for (board, paths) in &unread {
                if let Some(opened) = self.opened.get_mut(board) {
                    opened.image.read_facts(paths)?;
                }
            }
        }
        Err(Fault::failed(format!("the needs of the listed files do not end after {MAX_ROUNDS} rounds")))
    }
}

/// What an image has to be.
#[derive(Debug, Clone)]
struct Asked {
    brand: Brand,
    /// `None` takes any release.
    release: Option<Release>,
    boards: Vec<Board>,
}

impl Opened {
    /// Opens a proved image and holds it against what was asked for: a wrong image may be signed as well as any.
    fn of(image: VerifiedImage, asked: &Asked) -> Result<(Board, Release, Opened)> {
        let (source, digest, signature) =
            (image.source().to_owned(), image.digest().to_string(), image.signer().cloned());
        let mut image = image.open()?;
        let files = identity::files_to_read(image.tree());
        image.read_facts(&files)?;
        let identity = Identity::of(image.tree());
        let (board, release) = asked.judge(&source, &identity)?;
        let origin = ImageOrigin { board, source, digest, signature, os_release: identity.os_release };
        Ok((board, release, Opened { image, origin }))
    }
}

impl Asked {
    fn judge(&self, source: &str, told: &Identity) -> Result<(Board, Release)> {
        let refused = |found: String, asked: String| {
            Fault::refused(format!("{source} is {found}, not {asked} that was asked for"))
        };
        match told.brand {
            Some(brand) if brand != self.brand => {
                return Err(refused(format!("a {brand} image"), format!("the {} image", self.brand))
                    .hint(format!("to move the tree to {brand}, add --brand {}", brand.id())));
            }
            None => {
                return Err(refused(
                    "an image of no known vendor".into(),
                    format!("the {} image", self.brand),
                ));
            }
            Some(_) => {}
        }
        let Some(release) = told.release.clone() else {
            return Err(refused("an image that does not say its release".into(), "the release".into())
                .because("lib/os-release has no VERSION"));
        };
        if let Some(asked) = self.release.as_ref().filter(|asked| **asked != release) {
            return Err(refused(format!("release {release}"), format!("release {asked}"))
                .hint(format!("if {release} is wanted: cargo xtask bump-coreos {release}")));
        }
        match told.board {
            Some(board) if self.boards.contains(&board) => Ok((board, release)),
            Some(board) => {
                let boards = self.boards.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
                Err(refused(format!("for the board {board}"), format!("for {boards}")))
            }
            None => Err(refused("for no known board".into(), "for a board".into())),
        }
    }
}

/// Every board has an image, or the run is refused before anything is compared.
fn ensure_all(boards: &[Board], opened: &BTreeMap<Board, Opened>) -> Result<()> {
    let lacking: BTreeSet<Board> =
        boards.iter().copied().filter(|board| !opened.contains_key(board)).collect();
    let Some(first) = lacking.first() else { return Ok(()) };
    let there = opened.keys().map(|board| format!("--board {board}")).collect::<Vec<_>>().join(" ");
    Err(Fault::failed(format!("{first} has manifests and no --image"))
        .hint(format!("give its image too (--image FILE again), or leave it out: {there}")))
}
