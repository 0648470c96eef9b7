//! Where the files of a release lie, as the pinned URL, the flags and the settings have it.

use crate::cache::{Cache, ImageStore};
use crate::cli::ImageArgs;
use crate::context::Context;
use crate::http::ClientConfig;
use crate::release_dir::ReleaseDir;
use crate::report::invocation::Invocation;
use crate::verbose::{client, log_keys};
use coreos_types::error::{Error, Result};
use coreos_types::release::{Board, Brand, Channel, Release};
use manifest::common_mk::CommonMk;
use manifest::suggestion::Suggestion;

/// The road to images for a command that works on a tree.
pub(crate) fn road<'t>(context: &Context<'t>, flags: &ImageArgs) -> Result<ImageStore<'t>> {
    let cache = match &context.cache {
        Some(cache) => cache.clone(),
        None => Cache::of_environment()?,
    };
    let rules = ClientConfig {
        insecure_http: flags.insecure_http,
        offline: flags.offline,
        ..ClientConfig::from_env()
    };
    let brand = Some(context.brand(flags));
    let keyring =
        context.settings.keyring(brand, flags.signing_key.as_deref(), Some(cache.certificates()))?;
    context.term.detail("cache", cache.root().display());
    log_keys(context.term, &keyring);
    Ok(ImageStore { cache, client: client(context.term, rules), keyring, term: context.term })
}

/// Where the releases of a run lie.
pub(crate) struct ReleaseLocations<'a> {
    pins: &'a CommonMk,
    pub(crate) brand: Brand,
    mirror: Option<String>,
    channel: Option<Channel>,
    /// The tree goes to another vendor than its URL names.
    moves: bool,
    /// How the run was called, which the hints repeat.
    again: Invocation,
}

impl<'a> ReleaseLocations<'a> {
    pub(crate) fn of(context: &'a Context<'_>, flags: &ImageArgs) -> ReleaseLocations<'a> {
        ReleaseLocations {
            pins: &context.pins,
            brand: context.brand(flags),
            mirror: flags.mirror.clone().or_else(|| context.settings.mirror.clone()),
            channel: flags.channel,
            moves: flags.brand.is_some_and(|asked| context.pins.brand() != Some(asked)),
            again: context.replay(&["bump-coreos"]),
        }
    }

    /// The directory of a release for a board, where it is looked for first. `found` is the channel that another
    /// board's image was found on.
    pub(crate) fn first(
        &self,
        board: Board,
        release: &Release,
        found: Option<Channel>,
    ) -> Result<ReleaseDir> {
        if let Some(mirror) = &self.mirror {
            let hint = "pass the directory that has the boards: --mirror https://HOST/DIRECTORY";
            return ReleaseDir::from_mirror(mirror, board, release, self.brand.pxe_image())
                .map_err(|error| Error { hint: Some(hint.to_owned()), ..error });
        }
        let channel = self.channel.or(found);
        if self.moves {
            let channel = channel.unwrap_or(release.likely_channel());
            return ReleaseDir::from_vendor(self.brand, channel, board, release);
        }
        let mut pins = self.pins.clone();
        pins.set_release(release)?;
        let pinned = ReleaseDir::from_image_url(&pins.url(board)?)?;
        Ok(channel.and_then(|channel| pinned.with_channel(channel)).unwrap_or(pinned))
    }

    /// A release whose directory has the others beside it.
    pub(crate) fn any_release(&self) -> Release {
        self.pins.release().clone()
    }

    /// The first directory, and where `--channel` and `--mirror` leave it open, the same on the other channels.
    pub(crate) fn all(&self, first: &ReleaseDir) -> Vec<ReleaseDir> {
        let mut places = vec![first.clone()];
        if self.channel.is_none()
            && self.mirror.is_none()
            && let Some(asked) = first.channel()
        {
            let others = self.brand.channels().iter().filter(|other| **other != asked);
            places.extend(others.filter_map(|other| first.with_channel(*other)));
        }
        places
    }

    /// That an image which was kept may stand for one from the channel that was asked for.
    pub(super) fn allows(&self, release: &Release, kept: &ReleaseDir) -> Result<()> {
        let Some(asked) = self.channel.filter(|_| self.mirror.is_none()) else { return Ok(()) };
        if kept.channel().is_none_or(|channel| channel == asked) {
            return Ok(());
        }
        Err(Error::failed(format!("{release} is kept from {kept}, and {asked} was asked for"))
            .with_hint("leave --channel out, or run it once without --offline"))
    }

    /// None of `urls` has what is wanted of the release for this board; `others` are the further boards of the run.
    pub(crate) fn not_there(
        &self,
        (wanted, urls): (&str, &[String]),
        release: &Release,
        board: Board,
        others: &[Board],
    ) -> Error {
        let asked = urls.iter().map(|url| format!("{url} is not there"));
        let fault = Error::failed(format!("there is no {wanted} of {release} for {board}"));
        let way_on = match (&self.mirror, self.channel) {
            (Some(_), _) => "check the mirror's layout: MIRROR/BOARD/RELEASE/FILE".to_owned(),
            (None, Some(channel)) => {
                format!("{channel} may not have it: leave --channel out to ask them all")
            }
            (None, None) => {
                let newest = self.again.hint(&Suggestion::OtherRelease);
                format!("check the number, or ask for the newest one: {newest}")
            }
        };
        let rest: String = others.iter().map(|other| format!(" --board {other}")).collect();
        asked.fold(fault, Error::with_cause).with_hint(match rest.is_empty() {
            true => way_on,
            false => format!("leave {board} out with{rest}, or {way_on}"),
        })
    }
}
