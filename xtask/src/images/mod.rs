//! The images of a run, one per board: opened, verified, and compared with the request.

mod expected_identity;
mod locations;
mod remote;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;

use crate::cache::{ImageHandle, ImageStore, expiry};
use crate::cli::ImageArgs;
use crate::context::Context;
use crate::report::ImageOrigin;
use crate::terminal::Term;
use coreos_types::{Board, Channel, Error, Release, Result, Signer, error::panic_to_error};
use expected_identity::ExpectedImage;
pub(crate) use locations::{ReleaseLocations, open_store};
use manifest::plan::bump::ImageTrees;
use packages::PackageSet;
use pxe_image::spawn_scoped;
pub(crate) use remote::fetch_latest_release;
use remote::open_release_images;
use usr::identity::Identity;

/// The images of a run.
pub(crate) struct ImageSet {
    /// The release of all of them.
    pub(crate) release: Release,
    /// The channel on which the release was found, or the requested one.
    pub(crate) channel: Option<Channel>,
    pub(crate) store: ImageStore,
    pub(crate) opened: BTreeMap<Board, BoardImage>,
}

pub(crate) struct BoardImage {
    pub(crate) image: ImageHandle,
    pub(crate) origin: ImageOrigin,
    /// The channel in the image's URL; `None` if the URL has none.
    channel: Option<Channel>,
}

impl ImageSet {
    /// Opens an image for every board of the run. Without a `release`, it is that of the local images, else the newest.
    /// Once a day, removes the expired images of the cache.
    pub(crate) fn open_and_prune_cache(context: &Context<'_>, release: Option<&Release>) -> Result<ImageSet> {
        let args = &context.image_args;
        let store = open_store(context)?;
        let expected = ExpectedImage { context, release: release.cloned(), boards: context.boards()? };
        let mut images = if args.images.is_empty() {
            let release = release.cloned().map_or_else(|| fetch_latest_release(context, &store), Ok)?;
            context.ensure_vendor_has_release(&release)?;
            open_release_images(store, expected, release)
                .map_err(|error| context.with_closed_server_hint(error))?
        } else {
            open_local_images(store, expected)?
        };
        images.channel = args.channel.map(|spec| spec.channel).or(images.channel);
        for opened in images.opened.values() {
            context.term.stage("verified", describe_signer(&opened.origin));
            opened.log(context.term);
        }
        if args.images.is_empty() && !context.settings.is_cache_expiry_off {
            let in_use: Vec<PathBuf> =
                images.opened.values().map(|opened| opened.image.path().to_owned()).collect();
            expiry::prune_automatically(&images.store, context.pins.release(), &in_use);
        }
        Ok(images)
    }

    /// Opens the images of the pinned release before a bump, for the sizes of a report: from the cache, or with
    /// `download` from the network.
    ///
    /// # Errors
    /// An image is not available; the bump itself does not need it.
    pub(crate) fn open_pinned_before_bump(context: &Context<'_>, download: bool) -> Result<ImageSet> {
        let image_args = ImageArgs {
            offline: context.image_args.offline || !download,
            images: Vec::new(),
            signature: None,
            unsigned: false,
            channel: None,
            brand: None,
            ..context.image_args.clone()
        };
        let context = Context { image_args, ..context.clone() };
        ImageSet::open_and_prune_cache(&context, Some(context.pins.release()))
    }

    /// Checks that all images are on one channel, since the pinned URL has only one.
    pub(crate) fn ensure_one_channel(&self) -> Result<()> {
        let mut channels = self.opened.iter().filter_map(|(board, opened)| Some((board, opened.channel?)));
        let Some((first, channel)) = channels.next() else { return Ok(()) };
        let Some((other, other_channel)) = channels.find(|(_, found)| *found != channel) else {
            return Ok(());
        };
        let found = format!("on {channel} for {first}, and on {other_channel} for {other}");
        let hint =
            format!("use a channel that has both (--channel CHANNEL), or only one board: --board {first}");
        Err(Error::failed(format!("{} is {found}", self.release))
            .with_cause("the URL in coreos-common.mk names one channel for every board")
            .with_hint(hint))
    }

    pub(crate) fn boards(&self) -> Vec<Board> {
        self.opened.keys().copied().collect()
    }

    /// The trees, whose files are read on demand.
    pub(crate) fn trees(&self) -> ImageTrees<'_> {
        self.opened.iter().map(|(&board, opened)| (board, opened.image.tree())).collect()
    }

    /// The packages of a board's image and the files that they own; `None` for a board that is not of this run.
    pub(crate) fn packages(&self, board: Board) -> Option<&PackageSet> {
        Some(self.opened.get(&board)?.image.packages())
    }

    pub(crate) fn origins(&self) -> Vec<ImageOrigin> {
        self.opened.values().map(|opened| opened.origin.clone()).collect()
    }

    /// Reports the first error of reading a file of an image.
    ///
    /// # Errors
    /// That error: results from the trees are then not reliable.
    pub(crate) fn check_read_errors(&self) -> Result<()> {
        self.trees().values().try_for_each(|tree| tree.check_reads())
    }

    /// The path of each image, after another verification of its bytes.
    pub(crate) fn reverify_paths(&self) -> Result<Vec<(Board, PathBuf)>> {
        let path =
            |(&board, opened): (&Board, &BoardImage)| Ok((board, opened.image.reverify_path()?.to_owned()));
        self.opened.iter().map(path).collect()
    }

    /// Writes the only image to `output`, verified while it is copied.
    pub(crate) fn copy_verified(&self, output: &Path) -> Result<Board> {
        if let [board] = self.boards()[..] {
            return self.copy_verified_board(board, output).map(|()| board);
        }
        let boards: Vec<String> = self.opened.keys().map(|board| format!("--board {board}")).collect();
        Err(Error::failed("--output takes one image, and the run has several")
            .with_hint(format!("pass one of: {}", boards.join(", "))))
    }

    /// Writes the image of a board to `output`, verified while it is copied.
    pub(crate) fn copy_verified_board(&self, board: Board, output: &Path) -> Result<()> {
        let opened = self.opened.get(&board);
        let opened = opened.ok_or_else(|| Error::failed(format!("the run has no image of {board}")))?;
        opened.image.copy_verified(output)
    }

    /// Stores the trees with the files that were read, for the next run. Errors are logged only: the cache is optional.
    pub(crate) fn store_trees(self) {
        for opened in self.opened.into_values() {
            match opened.image.store_tree() {
                // The program ends soon: freeing each path takes longer than the search for a missing library.
                Ok(tree) => std::mem::forget(tree),
                Err(error) => self.store.term.detail("cache", error),
            }
        }
    }
}

/// Calls `open` for each item, with one thread per item if there are several; the results are in the items' order.
fn map_parallel<I: Sync, T: Send>(items: &[I], open: impl Fn(&I) -> Result<T> + Sync) -> Vec<Result<T>> {
    if let [only] = items {
        return vec![open(only)];
    }
    thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| spawn_scoped(scope, || open(item))).collect();
        threads
            .into_iter()
            .map(|thread| panic_to_error("opening an image", thread?.join()).flatten())
            .collect()
    })
}

fn open_local_images(store: ImageStore, mut expected: ExpectedImage<'_>) -> Result<ImageSet> {
    let args = &expected.context.image_args;
    if args.signature.is_some() && args.images.len() > 1 {
        return Err(Error::failed("--signature goes with a single --image")
            .with_hint("put each image's signature next to it, as FILE.sig"));
    }
    let images =
        map_parallel(&args.images, |path| store.open_local(path, args.signature.as_deref(), args.unsigned));
    let mut opened: BTreeMap<Board, BoardImage> = BTreeMap::new();
    for (path, image) in args.images.iter().zip(images) {
        let image = image?;
        let (board, release, identity) = expected.check(&image)?;
        expected.release.get_or_insert(release);
        if let Some(other) = opened.insert(board, BoardImage::new(image, board, identity, None)) {
            let (one, other) = (other.origin.source, path.display());
            return Err(Error::failed(format!("{one} and {other} are both for {board}"))
                .with_hint("use one --image per board: leave one of them out"));
        }
    }
    if let Some(missing) = expected.boards.iter().find(|board| !opened.contains_key(board)) {
        let available = opened.keys().map(|board| format!("--board {board}")).collect::<Vec<_>>().join(" ");
        return Err(Error::failed(format!("{missing} has manifests and no --image"))
            .with_hint(format!("add its image (--image FILE again), or leave it out: {available}")));
    }
    let release = expected.release.ok_or_else(|| Error::failed("--image is required"))?;
    Ok(ImageSet { release, channel: None, store, opened })
}

impl BoardImage {
    /// Logs the digest and the signer of the image.
    fn log(&self, term: &Term) {
        let ImageOrigin { board, digest, signer, .. } = &self.origin;
        term.detail("image", format!("{board}: {digest}, {} nodes", self.image.tree().len()));
        if let Some(signer) = signer {
            let Signer { primary, signing_key, signed_at, .. } = signer;
            term.detail("signed", format!("{signed_at} by {primary}, {} {signing_key}", signer.key_kind()));
        }
    }

    fn new(image: ImageHandle, board: Board, identity: Identity, channel: Option<Channel>) -> BoardImage {
        let provenance = image.provenance().clone();
        let origin = ImageOrigin {
            board,
            source: provenance.source,
            digest: provenance.digest.to_string(),
            signer: provenance.signer,
            os_release: identity.os_release,
        };
        BoardImage { image, origin, channel }
    }
}

fn describe_signer(origin: &ImageOrigin) -> String {
    let Some(signer) = &origin.signer else {
        return format!("{}: not signed (accepted because of --unsigned)", origin.source);
    };
    let Signer { primary, signing_key, signed_at, user_id } = signer;
    let name = user_id.as_deref().unwrap_or(primary);
    let on = signed_at.get(..10).unwrap_or(signed_at);
    format!("{}: {name}, signed {on} by {} {signing_key}", origin.source, signer.key_kind())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::report::fixtures;

    #[test]
    fn signer_is_described_with_its_key_type() {
        let mut text = String::new();
        for mut origin in fixtures::bump().images {
            text += &(describe_signer(&origin) + "\n");
            if let Some(signer) = &mut origin.signer {
                signer.signing_key = signer.primary.clone();
            }
            text += &(describe_signer(&origin) + "\n");
        }
        expect![[r#"
            https://alpha.release.core-os.net/amd64-usr/1032.0.0/x.cpio.gz: CoreOS Buildbot <buildbot@coreos.com>, signed 2016-04-28 by subkey DBFC52DBB963767AD20BA90807FA9ED31CB5FA26
            https://alpha.release.core-os.net/amd64-usr/1032.0.0/x.cpio.gz: CoreOS Buildbot <buildbot@coreos.com>, signed 2016-04-28 by primary key 04127D0BFABEC8871FFB2CCE50E0885593D2DCB4
        "#]].assert_eq(&text);
    }
}
