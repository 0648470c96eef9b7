//! Images that are brought: out of the cache, else from where the release lies.

use std::collections::BTreeMap;
use std::thread;

use super::asked::Asked;
use super::places::Places;
use super::{Images, Opened};
use crate::coreos::{Board, Channel, Release};
use crate::edge::cache::{Road, Wanted};
use crate::edge::http::ReleaseDir;
use crate::fault::{Fault, Result};

/// Brings the image of every board. The first board finds the channel, and the others begin there.
pub(super) fn remote<'t>(road: Road<'t>, places: &Places<'_>, asked: Asked) -> Result<Images<'t>> {
    let first = asked.boards.first().copied().unwrap_or(Board::Amd64);
    let release = match &asked.release {
        Some(release) => release.clone(),
        None => latest(&road, places, first)?,
    };
    let search = Search { road: &road, places, asked, release: &release };
    let mut opened = BTreeMap::from([(first, search.bring(first, None)?)]);
    let channel = opened.values().find_map(|one: &Opened| one.channel);
    let rest: Vec<Board> = search.asked.boards.iter().copied().filter(|board| *board != first).collect();
    let brought: Vec<Result<(Board, Opened)>> = thread::scope(|scope| {
        let bring = |board| search.bring(board, channel).map(|opened| (board, opened));
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
    let channel = opened.values().find_map(|one| one.channel);
    Ok(Images { release, channel, road, opened })
}

/// The release that the channel calls current; a release that is there is then taken from its numbered directory.
pub(in crate::cmd) fn latest(road: &Road<'_>, places: &Places<'_>, board: Board) -> Result<Release> {
    let any = places.any_release();
    let release = road.latest(&places.first(board, &any, None)?, places.brand)?;
    road.term.stage("latest", &release);
    Ok(release)
}

/// One release that is looked for, board by board.
struct Search<'s, 't> {
    road: &'s Road<'t>,
    places: &'s Places<'s>,
    asked: Asked,
    release: &'s Release,
}

impl Search<'_, '_> {
    /// The image for a board; `channel` is where another board's image was found.
    fn bring(&self, board: Board, channel: Option<Channel>) -> Result<Opened> {
        let Search { road, places, release, .. } = *self;
        let first = places.first(board, release, channel)?;
        let all = places.all(&first);
        let wanted = Wanted { brand: places.brand, board, release: release.clone(), places: all.clone() };
        let asked = Asked { release: Some(release.clone()), boards: vec![board], ..self.asked.clone() };
        let found = road.release(&wanted, &|image| asked.hold(road, image).map(drop))?;
        let Some(image) = found else {
            let others: Vec<Board> =
                self.asked.boards.iter().copied().filter(|other| *other != board).collect();
            return Err(places.not_there(release, board, &others, &all));
        };
        let dir = ReleaseDir::of_image(&image.origin().source)?;
        if dir != first && road.client.is_offline() {
            places.allows(release, &dir)?;
            road.term.stage("kept", format!("{release} from {dir}"));
        } else if dir != first {
            road.term.stage("found", format!("{release} at {dir}, not at {first}"));
        }
        let (_, _, opened) = Opened::of(image, road, &asked)?;
        Ok(Opened { channel: dir.channel(), ..opened })
    }
}
