//! `bump-coreos --preview`: plans a bump from a release's signed lists, without its image.

use std::collections::BTreeMap;

use crate::cache::ImageStore;
use crate::cli::{BumpCoreos, ReleaseSpec};
use crate::context::Context;
use crate::images::{ReleaseLocations, latest, road};
use crate::release_dir::ReleaseDir;
use crate::report::Report;
use coreos_types::error::{Error, Result};
use coreos_types::release::{Board, Release, SystemdVersion};
use manifest::plan::bump::{BumpOptions, bump, relocated};
use manifest::plan::file_edits::EditPlan;
use manifest::plan::systemd_version::agreed;
use manifest::rules::driver::FixOptions;
use usr::contents_list::{parse_contents, systemd_version_from_packages};
use usr::identity;
use usr::tree::UsrTree;

/// Plans a bump from file and package lists: which listed paths are removed, moved or renamed, and the version of
/// systemd. Nothing is written.
///
/// # Errors
/// The lists are not available, or not trusted.
pub(super) fn preview(context: &Context<'_>, flags: &BumpCoreos, report: &mut Report) -> Result<()> {
    if !flags.image.images.is_empty() {
        return Err(Error::failed("--preview works without an image").with_hint(
            "omit --preview: with --image everything can be checked, and --dry-run writes nothing",
        ));
    }
    report.dry_run = true;
    if let ReleaseSpec::Number(release) = &flags.release {
        context.ensure_possible(&flags.image, release)?;
    }
    let (road, places) = (road(context, &flags.image)?, ReleaseLocations::of(context, &flags.image));
    let boards = context.boards(&flags.image)?;
    let release = match &flags.release {
        ReleaseSpec::Number(release) => release.clone(),
        ReleaseSpec::Latest => latest(&road, &places, boards.first().copied().unwrap_or(Board::Amd64))?,
    };
    report.again = context.replay_bump(&release);
    let mut lists: BTreeMap<Board, Lists> = BTreeMap::new();
    for &board in &boards {
        let others: Vec<Board> = boards.iter().copied().filter(|other| *other != board).collect();
        let list = Lists::get(&road, &places, board, &others, &release);
        lists.insert(board, list.map_err(|error| context.with_offline_hint(error))?);
    }
    let channel = lists.values().find_map(|list| list.dir.channel());
    let told = lists.iter().map(|(&board, list)| (board, list.systemd.clone()));
    let systemd = Some(agreed(flags.fix_args.systemd, told)?);
    let reach = FixOptions { by_names_only: true, ..flags.fix_args.to_options() };
    let request = BumpOptions { release, channel, brand: flags.image.brand, systemd, reach };
    let trees = lists.iter().map(|(&board, list)| (board, &list.tree)).collect();
    let bump = bump(&context.sources, &request, &trees)?;
    report.channel = channel.or(context.pins.channel());
    report.release = Some(bump.release);
    report.systemd = Some(bump.systemd);
    report.plan = EditPlan::between(&context.sources, &bump.after);
    report.fixes = bump.fixes;
    report.findings = relocated(bump.findings, &bump.after, &context.sources);
    report.extra.insert("preview", serde_json::json!(true));
    report.output.push(LIMITS.to_owned());
    Ok(())
}

const LIMITS: &str = "\
preview from the signed lists of files and packages, which contain only names: dependencies are checked when
the image is downloaded, so more lines may change. Nothing is written.";

/// What a release publishes of one board's image.
struct Lists {
    dir: ReleaseDir,
    tree: UsrTree,
    /// From the names of its files, else from the package; or why it cannot be detected.
    systemd: std::result::Result<SystemdVersion, String>,
}

impl Lists {
    fn get(
        road: &ImageStore<'_>,
        places: &ReleaseLocations<'_>,
        board: Board,
        others: &[Board],
        release: &Release,
    ) -> Result<Lists> {
        let all = places.all(&places.first(board, release, None)?);
        let urls: Vec<String> = all.iter().map(|dir| dir.file_url(places.brand.contents_list())).collect();
        for (dir, url) in all.iter().zip(&urls) {
            let Some((contents, signer)) = road.list(url)? else { continue };
            let packages = road.list(&dir.file_url(places.brand.packages_list()))?;
            road.term.stage("verified", format!("{url}: signed {} by {}", signer.signed_at, signer.subkey));
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let tree = parse_contents(&text(&contents));
            let package =
                || packages.and_then(|(packages, _)| systemd_version_from_packages(&text(&packages)));
            let systemd = identity::systemd_version(&tree).or_else(|why| package().ok_or(why));
            return Ok(Lists { dir: dir.clone(), tree, systemd });
        }
        let fault = places.not_there(("list of contents", &urls), release, board, others);
        let hint = fault.hint.map(|hint| format!("omit --preview to use the image, or {hint}"));
        Err(Error { hint, ..fault })
    }
}
