//! Images of a release, from the cache or from its server.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::expected_identity::ExpectedImage;
use super::locations::ReleaseLocations;
use super::{BoardImage, ImageSet, map_parallel};
use crate::cache::{ImageHandle, ImageStore, ReleaseCache};
use crate::context::Context;
use crate::release_url::ReleaseUrl;
use coreos_types::{Board, Channel, Release, Result};

/// Opens the images of all boards, in parallel. All must be on one channel, that of the first board: an image that was
/// found on another channel is requested from that one.
pub(super) fn open_release_images(
    store: ImageStore,
    expected: ExpectedImage<'_>,
    release: Release,
) -> Result<ImageSet> {
    let locations = &ReleaseLocations::new(expected.context)?;
    let search = Search { store: &store, locations, expected, release: &release };
    let boards = &search.expected.boards;
    let images = map_parallel(boards, |board| search.open_board_image(*board, None));
    let mut opened: BTreeMap<Board, BoardImage> = BTreeMap::new();
    let mut channel = None;
    for (&board, mut image) in boards.iter().zip(images) {
        let found = image.as_ref().map_or(None, |image| image.channel);
        if channel.is_some() && found.is_some() && found != channel {
            image = search.open_board_image(board, channel);
        }
        channel = channel.or(found);
        opened.insert(board, image?);
    }
    Ok(ImageSet { release, channel, store, opened })
}

/// Reads the newest release of the channel of a run from the `current` directory of the first board. The image is then
/// downloaded from the release's own directory.
pub(crate) fn fetch_latest_release(context: &Context<'_>, store: &ImageStore) -> Result<Release> {
    let locations = ReleaseLocations::new(context)?;
    let board = context.boards()?.first().copied().unwrap_or(Board::Amd64);
    let latest = store.fetch_latest_release(&locations.latest_release_url(board)?, locations.vendor);
    let (release, _) = latest.map_err(|error| context.with_closed_server_hint(error))?;
    context.term.stage("latest", &release);
    Ok(release)
}

/// The search for the images of one release.
struct Search<'s> {
    store: &'s ImageStore,
    locations: &'s ReleaseLocations<'s>,
    expected: ExpectedImage<'s>,
    release: &'s Release,
}

impl Search<'_> {
    /// Opens the image of a board. `channel` is the one on which another board's image was found.
    fn open_board_image(&self, board: Board, channel: Option<Channel>) -> Result<BoardImage> {
        let Search { store, locations, release, .. } = *self;
        let candidates = locations.candidates(board, release, channel)?;
        let urls: Vec<String> = candidates.iter().map(ReleaseUrl::image_url).collect();
        let cache = ReleaseCache::new(&store.cache, locations.vendor, board, release)?;
        let expected =
            ExpectedImage { release: Some(release.clone()), boards: vec![board], ..self.expected.clone() };
        let identity = Cell::new(None);
        let check = |image: &ImageHandle| expected.check(image).map(|found| identity.set(Some(found)));
        let found = store.open_release(&cache, &urls, &check)?;
        let Some((image, (_, _, identity))) = found.zip(identity.take()) else {
            return Err(locations.not_found_error("image", &urls, release, board));
        };
        let (first, release_url) = (&candidates[0], ReleaseUrl::from_image_url(&image.provenance().source)?);
        if release_url != *first && store.client.is_offline() {
            locations.check_channel(release, &release_url)?;
            store.term.stage("cached", format!("{release} from {release_url}"));
        } else if release_url != *first {
            store.term.stage("found", format!("{release} at {release_url}, not at {first}"));
        }
        Ok(BoardImage::new(image, board, identity, release_url.channel(locations.vendors())))
    }
}
