//! Locations of a release's files, from the pinned URL, the options and the configuration.

use crate::cache::{Cache, ImageStore};
use crate::config::is_own_workspace;
use crate::context::Context;
use crate::http::{ClientConfig, Url};
use crate::release_url::ReleaseUrl;
use crate::verbose_log::log_keys;
use coreos_types::{Board, Channel, Error, Release, Result, Vendor, Vendors};
use manifest::suggestion::Suggestion;

/// Opens the image store of a command that works on a tree.
pub(crate) fn open_store(context: &Context<'_>) -> Result<ImageStore> {
    let args = &context.image_args;
    let cache = match &context.cache {
        Some(cache) => cache.clone(),
        None => Cache::from_env(Some(context.tree.root()))?,
    };
    let mirror = context.settings.mirror.as_deref();
    if let Some(mirror) = mirror {
        // Also for local images: hints repeat the URL, so it must not have a secret.
        ReleaseUrl::from_mirror(mirror, Vendor::COREOS, Board::Amd64, context.pins.release())
            .map_err(with_mirror_hint)?;
    }
    let config = ClientConfig {
        insecure_http: args.insecure_http,
        offline: args.offline,
        trusted_hosts: allowed_hosts(context)?.filter(|_| mirror.is_none()),
        ..ClientConfig::from_env()
    };
    let vendor = Some(context.vendor());
    let keyring = context.settings.keyring(vendor, args.signing_key.as_deref(), cache.certificates_dir())?;
    context.term.detail("cache", cache.configured_root().display());
    log_keys(context.term, &keyring);
    Ok(ImageStore::new(cache, config, keyring, context.term))
}

fn with_mirror_hint(error: Error) -> Error {
    let hint = "pass the directory that has the boards: --mirror https://HOST/DIRECTORY";
    Error { hint: Some(hint.to_owned()), ..error }
}

/// The hosts, in addition to the vendors', that the tree's URL may have; `None` is any host, for a tree without
/// `--repo` and for the workspace of this program.
fn allowed_hosts(context: &Context<'_>) -> Result<Option<Vec<String>>> {
    if context.repo.is_none() || is_own_workspace(context.tree.root()) {
        return Ok(None);
    }
    let parse = |host: &String| {
        // An IPv6 address may have no brackets.
        let is_bare = host.matches(':').count() > 1 && !host.starts_with('[');
        let host_part = if is_bare { format!("[{host}]") } else { host.clone() };
        let url =
            Url::parse(&format!("https://{host_part}")).ok().filter(|_| !host.contains(['/', '?', '#']));
        let error = || {
            Error::failed(format!("{host} is not a host"))
                .with_hint("pass a host or an IP address: --allow-host HOST")
        };
        url.map(|url| url.host().to_owned()).ok_or_else(error)
    };
    context.settings.allow_hosts.iter().map(parse).collect::<Result<_>>().map(Some)
}

pub(crate) struct ReleaseLocations<'a> {
    context: &'a Context<'a>,
    pub(crate) vendor: &'static Vendor,
    /// Hosts that the tree's URL may name; see [`allowed_hosts`].
    allowed_hosts: Option<Vec<String>>,
}

impl<'a> ReleaseLocations<'a> {
    /// Reads the tree's URL, the options and the configuration.
    pub(crate) fn new(context: &'a Context<'_>) -> Result<ReleaseLocations<'a>> {
        Ok(ReleaseLocations { context, vendor: context.vendor(), allowed_hosts: allowed_hosts(context)? })
    }

    /// The first directory to try for a release and board. `found` is the channel on which another board's image was
    /// found.
    pub(crate) fn first_candidate(
        &self,
        board: Board,
        release: &Release,
        found: Option<Channel>,
    ) -> Result<ReleaseUrl> {
        if let Some(mirror) = &self.context.settings.mirror {
            return ReleaseUrl::from_mirror(mirror, self.vendor, board, release).map_err(with_mirror_hint);
        }
        let channel = self.context.image_args.channel.map(|spec| spec.channel).or(found);
        let requested_vendor = self.context.requested_vendor();
        if requested_vendor.is_some() && requested_vendor != self.context.pins.vendor() {
            let likely =
                Some(release.likely_flatcar_channel()).filter(|one| self.vendor.channels.contains(one));
            let channel = channel.or(likely).or(self.vendor.channels.first().copied());
            let channel = channel.unwrap_or(Channel::Alpha);
            return Ok(ReleaseUrl::from_vendor(self.vendor, channel, board, release));
        }
        let mut pins = self.context.pins.clone();
        pins.set_release(release)?;
        let pinned = ReleaseUrl::from_image_url(&pins.url(board)?)?.with_board_name(self.vendor, board);
        self.check_host(&pinned)?;
        let moved = channel.and_then(|channel| pinned.with_channel(channel, self.vendors()));
        if moved.is_none()
            && let Some(requested) = self.context.image_args.channel
        {
            let message = format!("{pinned} names no channel, so --channel {requested} has no effect");
            return Err(Error::failed(message)
                .with_hint("omit --channel, or pass the server of that channel: --mirror URL"));
        }
        let release_url = moved.unwrap_or(pinned);
        self.check_host(&release_url)?;
        Ok(release_url)
    }

    /// The directory of the newest release on the channel of the run.
    pub(crate) fn latest_release_url(&self, board: Board) -> Result<ReleaseUrl> {
        let release_url = self.first_candidate(board, self.context.pins.release(), None)?;
        Ok(release_url.sibling_current(self.context.image_args.channel.and_then(|spec| spec.year)))
    }

    /// The known vendors.
    pub(crate) fn vendors(&self) -> &Vendors {
        &self.context.settings.vendors
    }

    /// Checks that a URL of the tree has an allowed host.
    fn check_host(&self, release_url: &ReleaseUrl) -> Result<()> {
        let Some(allowed) = &self.allowed_hosts else { return Ok(()) };
        let host = release_url.host()?;
        if release_url.is_vendor_url(self.vendors()) || allowed.contains(&host) {
            return Ok(());
        }
        let rule = format!("CCN_IMG_URL of a tree selected by --repo may not name the host {host}");
        let allowed =
            "allowed are hosts of the vendors, and hosts in --allow-host, XTASK_ALLOW_HOSTS and allow-hosts";
        let hint = self.context.rerun_command(&["--allow-host", &host], &[]);
        Err(Error::failed(format!("refusing {release_url}: {rule}"))
            .with_cause(allowed)
            .with_hint(format!("if you trust that host: {hint}")))
    }

    /// [`ReleaseLocations::first_candidate`] and, without `--channel` and `--mirror`, the same directory on the other
    /// channels.
    pub(crate) fn candidates(
        &self,
        board: Board,
        release: &Release,
        found: Option<Channel>,
    ) -> Result<Vec<ReleaseUrl>> {
        let mut candidates = vec![self.first_candidate(board, release, found)?];
        if self.context.image_args.channel.is_none() && self.context.settings.mirror.is_none() {
            for &channel in self.vendor.channels {
                let other = candidates[0].with_channel(channel, self.vendors());
                let is_new = |other: &ReleaseUrl| *other != candidates[0] && self.check_host(other).is_ok();
                candidates.extend(other.filter(is_new));
            }
        }
        Ok(candidates)
    }

    /// Checks that a cached image is from the requested channel.
    pub(super) fn check_channel(&self, release: &Release, cached: &ReleaseUrl) -> Result<()> {
        let requested = self.context.image_args.channel.map(|spec| spec.channel);
        let requested = requested.filter(|_| self.context.settings.mirror.is_none());
        if let Some((requested, found)) = requested.zip(cached.channel(self.vendors()))
            && requested != found
        {
            let message = format!("{release} is cached from {cached}, and {requested} was requested");
            return Err(Error::failed(message).with_hint("omit --channel, or run it once without --offline"));
        }
        Ok(())
    }

    /// The error of a file (`kind`) of a release that none of `urls` has for this board.
    pub(crate) fn not_found_error(
        &self,
        kind: &str,
        urls: &[String],
        release: &Release,
        board: Board,
    ) -> Error {
        let causes = urls.iter().map(|url| format!("{url}: not found"));
        let error = Error::failed(format!("there is no {kind} of {release} for {board}"));
        let hint = match (&self.context.settings.mirror, self.context.image_args.channel) {
            (Some(mirror), _) => {
                format!("check the number: {mirror} needs the file BOARD/RELEASE/{}", self.vendor.pxe_image)
            }
            (None, Some(channel)) => {
                format!("{channel} may not have it: omit --channel to try all channels")
            }
            (None, None) => {
                let newest =
                    self.context.command_invocation(&["bump-coreos"]).hint(&Suggestion::ChangeRelease);
                format!("check the number, or use the newest release: {newest}")
            }
        };
        let boards = self.context.boards().unwrap_or_default().into_iter();
        let rest: String =
            boards.filter(|other| *other != board).map(|other| format!(" --board {other}")).collect();
        let other = if rest.is_empty() { rest } else { format!("leave {board} out with{rest}, or ") };
        causes.fold(error, Error::with_cause).with_hint(format!("{other}{hint}"))
    }
}
