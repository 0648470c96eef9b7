//! The images of a run, one a board: brought, proved, and held against what was asked for.

mod asked;
mod places;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use super::context::Context;
use crate::coreos::{Board, Channel, Release};
use crate::edge::cache::{Image, Road, Wanted as WantedImage};
use crate::edge::http::ReleaseDir;
use crate::fault::{Fault, Result};
use crate::flags::{ImageFlags, Wanted};
use crate::plan::bump::{Trees, Unread};
use crate::report::{ImageOrigin, Signer};
use crate::usr::identity::{self, Identity};
use asked::Asked;
pub(super) use places::{Places, road};

/// More rounds of reading than any chain of needs is deep.
const MAX_ROUNDS: usize = 64;

/// The images of a run.
pub(super) struct Images<'t> {
    /// The release that every one of them is.
    pub(super) release: Release,
    /// The channel it was found on, or asked for from.
    pub(super) channel: Option<Channel>,
    road: Road<'t>,
    opened: BTreeMap<Board, Opened>,
}

struct Opened {
    image: Image,
    origin: ImageOrigin,
}

impl<'t> Images<'t> {
    /// Brings an image for every board of the run.
    ///
    /// # Errors
    /// An image is not to be had, is not trusted, or is not of the release, brand or board that was asked for.
    pub(super) fn open(context: &Context<'t>, flags: &ImageFlags, wanted: &Wanted) -> Result<Images<'t>> {
        let road = road(context, flags)?;
        let boards = context.boards(flags)?;
        let release = match wanted {
            Wanted::Number(release) => Some(release.clone()),
            Wanted::Latest => None,
        };
        let asked = Asked { brand: context.brand(flags), release, boards };
        let mut images = if flags.images.is_empty() {
            remote(road, &Places::of(context, flags), asked)?
        } else {
            local(road, flags, asked)?
        };
        images.channel = flags.channel.or(images.channel);
        for opened in images.opened.values() {
            context.term.stage("verified", sentence(&opened.origin));
        }
        Ok(images)
    }

    /// The images that the tree pins before a bump, where the cache has them: for a report's sizes, so none is worth
    /// a download, and none is an error.
    pub(super) fn before(context: &Context<'t>, flags: &ImageFlags, now: &Release) -> Option<Images<'t>> {
        let pinned = context.pins.release();
        if pinned == now {
            return None;
        }
        let flags = ImageFlags {
            offline: true,
            images: Vec::new(),
            signature: None,
            unsigned: false,
            channel: None,
            brand: None,
            ..flags.clone()
        };
        Images::open(context, &flags, &Wanted::Number(pinned.clone())).ok()
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
                    opened.image.read_facts(&self.road, paths)?;
                }
            }
        }
        Err(Fault::failed(format!("the needs of the listed files do not end after {MAX_ROUNDS} rounds")))
    }

    /// The path of each image, proved once more from the bytes that lie there.
    ///
    /// # Errors
    /// An image is no longer what was proved.
    pub(super) fn hand_on(&self) -> Result<Vec<(Board, PathBuf)>> {
        let paths = self
            .opened
            .iter()
            .map(|(&board, opened)| Ok((board, opened.image.hand_on(&self.road)?.to_owned())));
        paths.collect()
    }

    /// Keeps what was read of the images for the next run. A cache that takes nothing costs time, not the result.
    pub(super) fn keep(self) {
        for opened in self.opened.into_values() {
            if let Err(fault) = opened.image.finish(&self.road) {
                self.road.term.detail("cache", fault);
            }
        }
    }
}

/// Opens every `--image`.
fn local<'t>(road: Road<'t>, flags: &ImageFlags, mut asked: Asked) -> Result<Images<'t>> {
    if flags.signature.is_some() && flags.images.len() > 1 {
        return Err(Fault::failed("--signature goes with a single --image")
            .hint("lay each image's signature beside it, as FILE.sig"));
    }
    let mut opened: BTreeMap<Board, Opened> = BTreeMap::new();
    for path in &flags.images {
        let image = road.local(path, flags.signature.as_deref(), flags.unsigned)?;
        let (board, release, image) = Opened::of(image, &road, &asked)?;
        asked.release.get_or_insert(release);
        if let Some(other) = opened.insert(board, image) {
            return Err(Fault::failed(format!(
                "{} and {} are both for {board}",
                other.origin.source,
                path.display()
            )));
        }
    }
    if let Some(lacking) = asked.boards.iter().find(|board| !opened.contains_key(board)) {
        let there = opened.keys().map(|board| format!("--board {board}")).collect::<Vec<_>>().join(" ");
        return Err(Fault::failed(format!("{lacking} has manifests and no --image"))
            .hint(format!("give its image too (--image FILE again), or leave it out: {there}")));
    }
    let release = asked.release.ok_or_else(|| Fault::failed("no --image was given"))?;
    Ok(Images { release, channel: None, road, opened })
}

/// Gets the images from the cache, else from where they lie.
fn remote<'t>(road: Road<'t>, places: &Places<'_>, asked: Asked) -> Result<Images<'t>> {
    let first_board = asked.boards.first().copied().unwrap_or(Board::Amd64);
    let release = match &asked.release {
        Some(release) => release.clone(),
        None => latest(&road, places, first_board)?,
    };
    let asked = Asked { release: Some(release.clone()), ..asked };
    let (first, channel) = found(&road, places, first_board, &release, None)?;
    let mut opened = BTreeMap::from([(first_board, Opened::only(first, &road, &asked, first_board)?)]);
    let rest: Vec<Board> = asked.boards.iter().copied().filter(|board| *board != first_board).collect();
    let brought: Vec<Result<(Board, Opened)>> = thread::scope(|scope| {
        let bring = |board| {
            let (image, _) = found(&road, places, board, &release, channel)?;
            Opened::only(image, &road, &asked, board).map(|opened| (board, opened))
        };
        let threads: Vec<_> = rest.iter().map(|&board| scope.spawn(move || bring(board))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(Fault::failed("a thread panicked"))))
            .collect()
    });
    for one in brought {
        let (board, image) = one?;
        opened.insert(board, image);
    }
    Ok(Images { release, channel, road, opened })
}

/// The release that the channel calls current; a release that is there is then taken from its numbered directory.
pub(super) fn latest(road: &Road<'_>, places: &Places<'_>, board: Board) -> Result<Release> {
    let any = places.any_release();
    let release = road.latest(&places.first(board, &any, None)?, places.brand)?;
    road.term.stage("latest", &release);
    Ok(release)
}

/// The image of a release, and the channel that it was found on.
fn found(
    road: &Road<'_>,
    places: &Places<'_>,
    board: Board,
    release: &Release,
    channel: Option<Channel>,
) -> Result<(Image, Option<Channel>)> {
    let first = places.first(board, release, channel)?;
    let all = places.all(&first);
    for dir in &all {
        let wanted = WantedImage { brand: places.brand, board, release: release.clone(), dir: dir.clone() };
        if let Some(image) = road.release(&wanted)? {
            told_elsewhere(road, release, &first, dir);
            return Ok((image, dir.channel()));
        }
    }
    Err(places.not_there(release, &all))
}

fn told_elsewhere(road: &Road<'_>, release: &Release, first: &ReleaseDir, found: &ReleaseDir) {
    if found != first {
        road.term.stage("found", format!("{release} at {found}, not at {first}"));
    }
}

impl Opened {
    /// Reads what an image says of itself, and holds it against what was asked for.
    fn of(mut image: Image, road: &Road<'_>, asked: &Asked) -> Result<(Board, Release, Opened)> {
        let files = identity::files_to_read(image.tree());
        image.read_facts(road, &files)?;
        let identity = Identity::of(image.tree());
        let told = image.origin().clone();
        let (board, release) = asked.judge(&told.source, &identity)?;
        let origin = ImageOrigin {
            board,
            source: told.source,
            digest: told.digest.to_string(),
            signature: told.signer,
            os_release: identity.os_release,
        };
        Ok((board, release, Opened { image, origin }))
    }

    fn only(image: Image, road: &Road<'_>, asked: &Asked, board: Board) -> Result<Opened> {
        let asked = Asked { boards: vec![board], ..asked.clone() };
        Opened::of(image, road, &asked).map(|(_, _, opened)| opened)
    }
}

/// Who signed an image, for people.
fn sentence(origin: &ImageOrigin) -> String {
    let Some(Signer { primary, subkey, signed_at, name }) = &origin.signature else {
        return format!("{}: not signed, and --unsigned accepts that", origin.source);
    };
    let name = name.as_deref().unwrap_or(primary);
    let short = subkey.get(subkey.len().saturating_sub(8)..).unwrap_or(subkey);
    let on = signed_at.get(..10).unwrap_or(signed_at);
    format!("{}: {name}, signed {on} by subkey {short}", origin.source)
}
