//! Images of a release: from the cache, else from its server.

use std::collections::BTreeMap;

use super::expected::ExpectedImage;
use super::locations::{ReleaseLocations, open_store};
use super::{BoardImage, ImageSet, map_parallel};
use crate::cache::{ImageStore, ReleaseRequest};
use crate::cli::ImageArgs;
use crate::context::Context;
use crate::release_dir::ReleaseDir;
use coreos_types::error::Result;
use coreos_types::release::{Board, Channel, Release};

/// Brings the image of every board, side by side. They are to be on one channel, the first board's: one that was found on
/// another is looked for there once more.
pub(super) fn remote<'t>(
    store: ImageStore<'t>,
    places: &ReleaseLocations<'_>,
    asked: ExpectedImage,
) -> Result<ImageSet<'t>> {
    let release = match &asked.release {
        Some(release) => release.clone(),
        None => latest(&store, places, asked.boards.first().copied().unwrap_or(Board::Amd64))?,
    };
    let search = Search { store: &store, places, asked, release: &release };
    let boards = &search.asked.boards;
    let brought = map_parallel(boards, |board| search.bring(*board, None));
    let mut opened: BTreeMap<Board, BoardImage> = BTreeMap::new();
    let mut channel = None;
    for (&board, mut image) in boards.iter().zip(brought) {
        let found = image.as_ref().map_or(None, |image| image.channel);
        if channel.is_some() && found.is_some() && found != channel {
            image = search.bring(board, channel);
        }
        channel = channel.or(found);
        opened.insert(board, image?);
    }
    Ok(ImageSet { release, channel, store, opened })
}

/// The newest release of a channel, from its `current` directory. Its image is then downloaded from its numbered
/// directory.
pub(super) fn latest(store: &ImageStore<'_>, places: &ReleaseLocations<'_>, board: Board) -> Result<Release> {
    let (release, _) = store.latest(&places.current(board, None)?, places.brand)?;
    store.term.stage("latest", &release);
    Ok(release)
}

/// The newest release of the channel of a run.
///
/// # Errors
/// Its `version.txt` is not available, or not trusted.
pub(crate) fn latest_release(context: &Context<'_>, args: &ImageArgs) -> Result<Release> {
    let board = context.boards(args)?.first().copied().unwrap_or(Board::Amd64);
    latest(&open_store(context, args)?, &ReleaseLocations::new(context, args)?, board)
}

/// One release that is looked for, board by board.
struct Search<'s, 't> {
    store: &'s ImageStore<'t>,
    places: &'s ReleaseLocations<'s>,
    asked: ExpectedImage,
    release: &'s Release,
}

impl Search<'_, '_> {
    /// The image for a board; `channel` is where another board's image was found.
    fn bring(&self, board: Board, channel: Option<Channel>) -> Result<BoardImage> {
        let Search { store, places, release, .. } = *self;
        let first = places.primary(board, release, channel)?;
        let all = places.candidates(&first);
        let wanted =
            ReleaseRequest { brand: places.brand, board, release: release.clone(), places: all.clone() };
        let asked =
            ExpectedImage { release: Some(release.clone()), boards: vec![board], ..self.asked.clone() };
        let found = store.release(&wanted, &|image| asked.check(image).map(drop))?;
        let Some(image) = found else {
            let others: Vec<Board> =
                self.asked.boards.iter().copied().filter(|other| *other != board).collect();
            let urls: Vec<String> = all.iter().map(ReleaseDir::image_url).collect();
            return Err(places.not_found(("image", &urls), release, board, &others));
        };
        let dir = ReleaseDir::from_image_url(&image.origin().source)?;
        if dir != first && store.client.is_offline() {
            places.check_channel(release, &dir)?;
            store.term.stage("kept", format!("{release} from {dir}"));
        } else if dir != first {
            store.term.stage("found", format!("{release} at {dir}, not at {first}"));
        }
        let (_, _, opened) = BoardImage::of(image, &asked)?;
        Ok(BoardImage { channel: dir.channel(), ..opened })
    }
}
