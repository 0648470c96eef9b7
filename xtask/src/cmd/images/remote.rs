//! Images from a release server: which directory, which channel, and the one pass that proves what comes.

use std::collections::BTreeMap;

use super::local::sentence;
use super::{Asked, Images, Opened};
use crate::cmd::context::Context;
use crate::coreos::{BadWord, Board, Brand, Channel, Release};
use crate::edge::http::{Client, MOST_IMAGE, MOST_LIST, MOST_SIGNATURE, ReleaseDir, Rules};
use crate::edge::image::{Scratch, VerifiedImage};
use crate::edge::openpgp::{DetachedSignature, Keyring, Verification};
use crate::fault::{Fault, Result};
use crate::flags::{ImageFlags, Wanted};
use crate::usr::identity::parse_os_release;

/// Downloads an image for every board.
pub(super) fn open(
    context: &Context<'_>,
    flags: &ImageFlags,
    wanted: &Wanted,
    boards: &[Board],
) -> Result<Images> {
    let road = Road::of(context, flags)?;
    let (release, mut channel) = match wanted {
        Wanted::Number(release) => (release.clone(), None),
        Wanted::Latest => road.latest(boards)?,
    };
    let asked = Asked { brand: road.brand, release: Some(release.clone()), boards: boards.to_vec() };
    let mut opened = BTreeMap::new();
    for &board in boards {
        let (image, found_on) = road.image(board, &release, channel)?;
        channel = channel.or(found_on);
        let only = Asked { boards: vec![board], ..asked.clone() };
        let (board, _, image) = Opened::of(image, &only)?;
        opened.insert(board, image);
    }
    Ok(Images { release, channel: flags.channel.or(channel), opened })
}

/// How the files of a release are got, and who may have signed them.
struct Road<'a> {
    context: &'a Context<'a>,
    client: Client,
    keyring: Keyring,
    brand: Brand,
    mirror: Option<String>,
    channel: Option<Channel>,
    moves: bool,
}

impl<'a> Road<'a> {
    fn of(context: &'a Context<'a>, flags: &ImageFlags) -> Result<Road<'a>> {
        let brand = context.brand(flags);
        let rules =
            Rules { insecure_http: flags.insecure_http, offline: flags.offline, ..Rules::from_environment() };
        Ok(Road {
            context,
            client: Client::new(rules),
            keyring: context.settings.keyring(Some(brand), flags.signing_key.as_deref(), None)?,
            brand,
            mirror: flags.mirror.clone().or_else(|| context.settings.mirror.clone()),
            channel: flags.channel,
            moves: flags.brand.is_some_and(|asked| context.pins.brand() != Some(asked)),
        })
    }

    /// The directory of a release for a board, where it is looked for first.
    fn directory(&self, board: Board, release: &Release, channel: Option<Channel>) -> Result<ReleaseDir> {
        if let Some(mirror) = &self.mirror {
            return ReleaseDir::below(mirror, board, release, self.brand.pxe_image());
        }
        let channel = self.channel.or(channel);
        if self.moves {
            return ReleaseDir::of_vendor(
                self.brand,
                channel.unwrap_or(release.usual_channel()),
                board,
                release,
            );
        }
        let mut pins = self.context.pins.clone();
        pins.set_release(release)?;
        let pinned = ReleaseDir::of_image(&pins.url(board)?)?;
        Ok(channel.and_then(|channel| pinned.on_channel(channel)).unwrap_or(pinned))
    }

    /// The image, and the channel that it was found on, where its host names one. Without `--channel`, the others
    /// are asked where the first does not have it.
    fn image(
        &self,
        board: Board,
        release: &Release,
        channel: Option<Channel>,
    ) -> Result<(VerifiedImage, Option<Channel>)> {
        let first = self.directory(board, release, channel)?;
        let mut places = vec![first.clone()];
        if self.channel.is_none()
            && self.mirror.is_none()
            && let Some(asked) = first.channel()
        {
            let others = self.brand.channels().iter().filter(|other| **other != asked);
            places.extend(others.filter_map(|other| first.on_channel(*other)));
        }
        for place in &places {
            if let Some(image) = self.prove(place)? {
                if *place != first {
                    self.context.term.stage("found", format!("{release} at {place}, not at {first}"));
                }
                return Ok((image, place.channel()));
            }
        }
        Err(self.not_there(release, &places))
    }

    fn not_there(&self, release: &Release, places: &[ReleaseDir]) -> Fault {
        let asked = places.iter().map(|place| format!("{} is not there", place.image()));
        let fault =
            asked.fold(Fault::failed(format!("there is no release {release} to be had")), Fault::because);
        match (self.channel, &self.mirror) {
            (_, Some(_)) => fault.hint("check the mirror's layout: MIRROR/BOARD/RELEASE/FILE"),
            (Some(channel), _) => {
                fault.hint(format!("{channel} may not have it: leave --channel out to ask them all"))
            }
            _ => fault.hint("check the number, or ask for the newest one: cargo xtask bump-coreos latest"),
        }
    }

    /// Streams an image through its proof; `None` where the server has no such file.
    fn prove(&self, place: &ReleaseDir) -> Result<Option<VerifiedImage>> {
        let url = place.image();
        let Some(signature) = self.client.get_small(&format!("{url}.sig"), MOST_SIGNATURE)? else {
            return match self.client.get(&url, MOST_IMAGE, None, &crate::edge::term::Silent)? {
                None => Ok(None),
                Some(_) => Err(unsigned(&url)),
            };
        };
        let proof = self.verification(&signature, &format!("{url}.sig"))?;
        let progress = self.context.term.progress("fetching", None);
        let Some(stream) = self.client.get(&url, MOST_IMAGE, None, &*progress)? else { return Ok(None) };
        let image = VerifiedImage::prove(&url, stream, proof, &Scratch::in_folder(&std::env::temp_dir()))?;
        progress.finish();
        if let Some(signer) = image.signer() {
            self.context.term.stage("verified", sentence(&url, signer));
        }
        Ok(Some(image))
    }

    fn verification(&self, signature: &[u8], source: &str) -> Result<Verification> {
        let signature = DetachedSignature::parse(signature, source)?;
        let fetch = |url: &str| self.client.get_certificate(url);
        self.keyring.open(&signature, Some(&fetch))
    }

    /// The release that a channel calls current. Only its signed `version.txt` is believed, and only for the number:
    /// the image is then taken from the numbered directory.
    fn latest(&self, boards: &[Board]) -> Result<(Release, Option<Channel>)> {
        let board = boards.first().copied().unwrap_or(Board::Amd64);
        let here = self.directory(board, self.context.pins.release(), None)?.current();
        let url = here.file("version.txt");
        let text = self.small(&url)?;
        let variables = parse_os_release(&String::from_utf8_lossy(&text));
        let key = |name: &str| format!("{}_{name}", self.brand.variable_prefix());
        let found = variables.get(&key("VERSION_ID")).or_else(|| variables.get(&key("VERSION")));
        let number = found.ok_or_else(|| Fault::failed(format!("{url} has no {}", key("VERSION_ID"))))?;
        let release = number
            .parse()
            .map_err(|why: BadWord| Fault::failed(format!("{url} is no version file")).because(why))?;
        self.context.term.stage("latest", format!("{release}, says {url}"));
        Ok((release, here.channel()))
    }

    /// A small file of a release, proved.
    fn small(&self, url: &str) -> Result<Vec<u8>> {
        let missing = |url: &str| Fault::failed(format!("{url} is not there"));
        let bytes = self.client.get_small(url, MOST_LIST)?.ok_or_else(|| missing(url))?;
        let signature =
            self.client.get_small(&format!("{url}.sig"), MOST_SIGNATURE)?.ok_or_else(|| unsigned(url))?;
        let mut proof = self.verification(&signature, &format!("{url}.sig"))?;
        proof.update(&bytes);
        proof.finish().into_signer().map_err(|fault| fault.while_doing(format!("cannot use {url}")))?;
        Ok(bytes)
    }
}

fn unsigned(url: &str) -> Fault {
    Fault::refused(format!("{url} has no signature"))
        .because(format!("{url}.sig is not there"))
        .hint("take the file from a server that has its signature: --mirror URL")
}
