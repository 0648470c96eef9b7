//! `sbom`: the software bill of materials of the flavors.

use std::collections::{BTreeMap, BTreeSet};

use checked_sha1::CheckedSha1;
use ring::digest::{Context as Sha256, SHA256};

use crate::cache::ImageHandle;
use crate::cli::Sbom;
use crate::context::Context;
use crate::images::{BoardImage, ImageSet};
use crate::output_file;
use crate::report::{ImageOrigin, Report};
use crate::taken_paths::taken_paths;
use coreos_types::{Board, Error, Flavor, Result};
use packages::sbom::{BoardBom, FileHashes, ImageSource, render};
use usr::{NodeKind, UsrPath};

/// Prints one document for all boards and flavors of the tree, or writes it to a file.
pub(crate) fn sbom(context: &Context<'_>, args: &Sbom, report: &mut Report) -> Result<()> {
    check_flavors(context, args)?;
    args.output.as_deref().map_or(Ok(()), output_file::check_destination)?;
    let pinned = context.pins.release().clone();
    let images = ImageSet::open_and_prune_cache(context, Some(&pinned))?;
    report.images = images.origins();
    report.release = Some((pinned.clone(), pinned));
    let boms = images.opened.iter().map(|(&board, image)| bom(context, args, board, image));
    let boms: Vec<BoardBom<'_>> = boms.collect::<Result<_>>()?;
    images.check_read_errors()?;
    let text = render(&boms, env!("CARGO_PKG_VERSION"), args.sbom_format);
    images.store_trees();
    match &args.output {
        Some(path) => {
            output_file::write(path, &text)?;
            report.output.push(path.display().to_string());
        }
        None => {
            report.extra.insert("sbom", serde_json::from_str(&text).unwrap_or_default());
            report.output.extend(text.lines().map(str::to_owned));
        }
    }
    Ok(())
}

fn check_flavors(context: &Context<'_>, args: &Sbom) -> Result<()> {
    let known: BTreeSet<&str> = context.sources.flavors().into_iter().map(Flavor::as_str).collect();
    match args.flavors.iter().find(|flavor| !known.contains(flavor.as_str())) {
        Some(unknown) => Err(Error::failed(format!("the tree has no flavor {unknown}"))
            .with_hint(format!("--flavor is one of: {}", known.into_iter().collect::<Vec<_>>().join(", ")))),
        None => Ok(()),
    }
}

fn bom<'i>(
    context: &Context<'_>,
    args: &Sbom,
    board: Board,
    BoardImage { image, origin, .. }: &'i BoardImage,
) -> Result<BoardBom<'i>> {
    let mut flavors: BTreeMap<Flavor, BTreeSet<UsrPath>> = BTreeMap::new();
    for (path, takers) in taken_paths(&context.sources, board, image.tree()) {
        let is_requested = |flavor: &&Flavor| {
            args.flavors.is_empty() || args.flavors.iter().any(|name| name == flavor.as_str())
        };
        for flavor in takers.iter().filter(is_requested) {
            flavors.entry(flavor.clone()).or_default().insert(path.clone());
        }
    }
    let packages = image.packages();
    if packages.is_empty() {
        let warning = format!("the image of {board} does not name its packages: the files have no owner");
        context.term.warn(warning);
    }
    let entries = hash_entries(image, &flavors.values().flatten().collect())?;
    Ok(BoardBom { source: source(context, origin), entries, flavors, packages })
}

/// The image of a board as the source of the files.
fn source(context: &Context<'_>, origin: &ImageOrigin) -> ImageSource {
    let location = match origin.source.rsplit_once('/') {
        Some((_, name)) if !origin.source.contains("://") => name,
        _ => &origin.source,
    };
    ImageSource {
        vendor: context.vendor().name.to_owned(),
        release: context.pins.release().clone(),
        board: origin.board,
        location: location.to_owned(),
        digest: origin.digest.clone(),
        signer: origin.signer.clone(),
    }
}

/// The paths that are regular files, with their hashes, or links. Reads the files in one pass over the image's blocks.
fn hash_entries(
    image: &ImageHandle,
    paths: &BTreeSet<&UsrPath>,
) -> Result<BTreeMap<UsrPath, Option<FileHashes>>> {
    let mut hashers: BTreeMap<UsrPath, (Sha256, CheckedSha1)> = BTreeMap::new();
    image.for_each_piece(paths.iter().copied(), |path, piece| {
        let new = || (Sha256::new(&SHA256), CheckedSha1::without_collision_detection());
        let (sha256, sha1) = hashers.entry(path.clone()).or_insert_with(new);
        sha256.update(piece);
        sha1.update(piece);
    })?;
    let hashes = |(sha256, sha1): (Sha256, CheckedSha1)| FileHashes {
        sha256: hex::encode(sha256.finish()),
        sha1: sha1.finish().map(hex::encode).unwrap_or_default(),
    };
    let files = hashers.into_iter().map(|(path, hashers)| (path, Some(hashes(hashers))));
    let is_link = |path: &UsrPath| {
        image.tree().get(path.as_str()).is_some_and(|node| matches!(node.kind, NodeKind::Symlink(_)))
    };
    let links = paths.iter().filter(|path| is_link(path)).map(|path| ((*path).clone(), None));
    Ok(files.chain(links).collect())
}
