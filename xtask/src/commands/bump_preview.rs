//! `bump-coreos --preview`: plans a bump from a release's signed lists, without its image.

use std::collections::BTreeMap;

use super::downgrade;
use super::manifest_fixes::fill_fixes;
use crate::cache::ImageStore;
use crate::cli::BumpCoreos;
use crate::context::Context;
use crate::http::Client;
use crate::images::{ReleaseLocations, fetch_latest_release, open_store};
use crate::release_url::ReleaseUrl;
use crate::report::Report;
use coreos_types::{Board, Error, ErrorKind, Release, Result, ResultExt, SystemdVersion, Vendor};
use manifest::plan::bump::{BumpOptions, plan_bump};
use manifest::plan::edit_plan::EditPlan;
use manifest::plan::systemd_version_to_pin::choose_systemd_version;
use manifest::rules::lint_and_fix::FixOptions;
use usr::{
    UsrTree, identity,
    published_lists::{parse_contents, systemd_version_from_packages},
};

/// Plans a bump from file and package lists: which listed paths are removed, moved or renamed, and the version of
/// systemd. Nothing is written.
pub(super) fn preview(context: &Context<'_>, flags: &BumpCoreos, report: &mut Report) -> Result<()> {
    if !context.image_args.images.is_empty() {
        return Err(Error::failed("--preview works without an image").with_hint(
            "omit --preview: with --image everything can be checked, and --dry-run writes nothing",
        ));
    }
    if let Some(release) = flags.release.number() {
        context.ensure_vendor_has_release(release)?;
    }
    let store = open_store(context)?;
    let locations = ReleaseLocations::new(context)?;
    let boards = context.boards()?;
    let latest = || fetch_latest_release(context, &store);
    let release = flags.release.number().cloned().map_or_else(latest, Ok)?;
    downgrade::check(context, flags, &release, report)?;
    report.invocation = context.bump_invocation(&release);
    let mut lists: BTreeMap<Board, ReleaseLists> = BTreeMap::new();
    for &board in &boards {
        let list = ReleaseLists::fetch(&store, &locations, board, &release);
        lists.insert(board, list.map_err(|error| context.with_closed_server_hint(error))?);
    }
    let channel = lists.values().find_map(|list| list.release_url.channel(&context.settings.vendors));
    let versions = lists.iter().map(|(&board, list)| (board, list.systemd.clone()));
    let is_known = lists.values().all(|list| list.systemd.is_ok());
    // Different versions of the boards, or of --systemd, mean that the lists are not of this release.
    let kind = if is_known { ErrorKind::Refused } else { ErrorKind::Failed };
    let systemd = Some(
        choose_systemd_version(flags.fix_args.systemd, versions).map_err(|error| Error { kind, ..error })?,
    );
    let vendor = context.requested_vendor();
    let request = BumpOptions {
        release,
        channel,
        vendor,
        systemd,
        min_dlopen_priority: flags.fix_args.dlopen.min_priority(),
        fix_options: FixOptions { drop_missing: flags.fix_args.drop_missing, by_names_only: true },
    };
    let trees = lists.iter().map(|(&board, list)| (board, &list.tree)).collect();
    let bump = plan_bump(&context.sources, &request, &trees)?;
    let after = fill_fixes(context, bump, &boards, &request, report);
    report.plan = EditPlan::between(&context.sources, &after);
    report.channel = channel.or(context.pins.channel());
    report.extra.insert("preview", serde_json::json!(true));
    report.extra.insert("release_proved", serde_json::json!(false));
    report.output.push(NOTICE.to_owned());
    Ok(())
}

const NOTICE: &str = "\
preview from the signed lists of files and packages. The lists do not name
their release, so it is not verified that they are of this one. They contain
only names: dependencies are checked when the image is downloaded, so more lines
may change. Nothing is written.";

/// The published lists of one board's image.
struct ReleaseLists {
    release_url: ReleaseUrl,
    tree: UsrTree,
    /// The version by the file names, else by the package; or the reason why it is not known.
    systemd: std::result::Result<SystemdVersion, String>,
}

impl ReleaseLists {
    fn fetch(
        store: &ImageStore,
        locations: &ReleaseLocations<'_>,
        board: Board,
        release: &Release,
    ) -> Result<ReleaseLists> {
        let all = locations.candidates(board, release, None)?;
        let urls: Vec<String> =
            all.iter().map(|release_url| release_url.file_url(locations.vendor.contents_list)).collect();
        for (release_url, url) in all.iter().zip(&urls) {
            let Some((contents, signer)) = store.fetch_signed(url, Client::get_bytes)? else { continue };
            let packages = store
                .fetch_signed(&release_url.file_url(locations.vendor.packages_list), Client::get_bytes)?;
            store
                .term
                .stage("verified", format!("{url}: signed {} by {}", signer.signed_at, signer.signing_key));
            let tree = parse_contents(&String::from_utf8_lossy(&contents)).with_context(|| url)?;
            let packages = packages
                .and_then(|(packages, _)| systemd_version_from_packages(&String::from_utf8_lossy(&packages)));
            let expected = ExpectedLists { url, vendor: locations.vendor, board, release };
            expected.check_board_and_vendor(&tree)?;
            expected.check_version_txt(store, release_url)?;
            let systemd = match (identity::systemd_version(&tree), packages) {
                (Ok(by_name), Some(by_package)) if by_name != by_package => {
                    return Err(expected.refused_error(&format!(
                        "its files are of systemd {by_name}, and the list of packages has {by_package}"
                    )));
                }
                (by_name, by_package) => by_name.or_else(|why| by_package.ok_or(why)),
            };
            return Ok(ReleaseLists { release_url: release_url.clone(), tree, systemd });
        }
        let error = locations.not_found_error("list of contents", &urls, release, board);
        let hint = error.hint.map(|hint| format!("omit --preview to use the image, or {hint}"));
        Err(Error { hint, ..error })
    }
}

/// The request that lists are compared with.
struct ExpectedLists<'a> {
    url: &'a str,
    vendor: &'static Vendor,
    board: Board,
    release: &'a Release,
}

impl ExpectedLists<'_> {
    /// Refuses lists of another board or vendor, by the names of files that only one has.
    fn check_board_and_vendor(&self, tree: &UsrTree) -> Result<()> {
        let has_loader =
            |board: Board| tree.iter().any(|(path, _)| path.as_str().ends_with(board.loader_name()));
        let other = Board::ALL.into_iter().find(|board| has_loader(*board));
        if let Some(other) = other.filter(|_| !has_loader(self.board)) {
            return Err(self.refused_error(&format!("it has the loader of {other}")));
        }
        let has_vendor = |vendor: &Vendor| tree.get(&format!("share/{}", vendor.os_release_id)).is_some();
        // Flatcar keeps share/coreos for compatibility; other vendors may keep those of both.
        let is_other = match self.vendor.id {
            "coreos" => has_vendor(Vendor::FLATCAR),
            "flatcar" => !has_vendor(Vendor::FLATCAR) && has_vendor(Vendor::COREOS),
            _ => false,
        };
        if is_other { Err(self.refused_error("it is of another vendor")) } else { Ok(()) }
    }

    /// Refuses a directory with a signed version.txt of another release. A missing version.txt is not an error.
    fn check_version_txt(&self, store: &ImageStore, release_url: &ReleaseUrl) -> Result<()> {
        match store.fetch_version_txt(&release_url.file_url("version.txt"), self.vendor) {
            Ok(Some((found, _))) if !self.release.as_str().starts_with(found.as_str()) => {
                Err(self.refused_error(&format!("the version.txt next to it names {found}")))
            }
            Err(error) => {
                store.term.detail("version", format!("not known: {error}"));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn refused_error(&self, why: &str) -> Error {
        let ExpectedLists { url, vendor, board, release } = self;
        Error::refused(format!("{url} is not of {vendor} {release} for {board}"))
            .with_cause(why)
            .with_hint("omit --preview to check the image itself, or use another mirror: --mirror URL")
    }
}
