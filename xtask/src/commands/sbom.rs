//! `sbom`: the software bill of materials of the flavors.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest::{Context as Hash, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use crate::atomic_file;
use crate::cache::report_files;
use crate::cli::{Sbom, SbomFormat};
use crate::context::Context;
use crate::images::ImageSet;
use crate::report::Report;
use crate::taken_paths::taken_paths;
use coreos_types::error::{Error, Result, ResultExt};
use coreos_types::release::{Board, Flavor};
use packages::sbom::{BoardBom, Entry, Format, Source, render};
use usr::path::UsrPath;
use usr::tree::{NodeKind, UsrTree};

struct BoardPart {
    board: Board,
    source: Source,
    entries: BTreeMap<UsrPath, Entry>,
    flavors: BTreeMap<Flavor, BTreeSet<UsrPath>>,
}

/// Prints one document for all boards and flavors of the tree, or writes it to a file.
///
/// # Errors
/// An image is not available or not trusted, a flavor is unknown, or the file cannot be written.
pub fn sbom(context: &Context<'_>, args: &Sbom, report: &mut Report) -> Result<()> {
    check_flavors(context, args)?;
    args.output.as_deref().map_or(Ok(()), report_files::check_destination)?;
    let pinned = context.pins.release().clone();
    let images = ImageSet::open(context, &args.image, Some(&pinned))?;
    report.images = images.origins();
    report.release = Some((pinned.clone(), pinned));
    let parts: Vec<BoardPart> = images
        .trees()
        .into_iter()
        .map(|(board, tree)| board_part(context, args, &images, board, tree))
        .collect::<Result<_>>()?;
    images.read_error()?;
    let boards: Vec<BoardBom<'_>> = parts
        .iter()
        .filter_map(|part| {
            let packages = images.packages(part.board)?;
            if packages.is_empty() {
                context.term.warn(format!(
                    "the image of {} does not name its packages: the files have no owner",
                    part.board
                ));
            }
            Some(BoardBom { source: &part.source, entries: &part.entries, flavors: &part.flavors, packages })
        })
        .collect();
    let format = match args.sbom_format {
        SbomFormat::Spdx => Format::Spdx,
        SbomFormat::Cyclonedx => Format::CycloneDx,
    };
    let text = render(&boards, env!("CARGO_PKG_VERSION"), format);
    images.store_trees();
    match &args.output {
        Some(path) => {
            atomic_file::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
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
    let known: BTreeSet<&str> =
        context.sources.listings.iter().map(|listing| listing.flavor.as_str()).collect();
    match args.flavors.iter().find(|flavor| !known.contains(flavor.as_str())) {
        Some(unknown) => Err(Error::failed(format!("the tree has no flavor {unknown}"))
            .with_hint(format!("--flavor is one of: {}", known.into_iter().collect::<Vec<_>>().join(", ")))),
        None => Ok(()),
    }
}

fn board_part(
    context: &Context<'_>,
    args: &Sbom,
    images: &ImageSet<'_>,
    board: Board,
    tree: &UsrTree,
) -> Result<BoardPart> {
    let mut flavors: BTreeMap<Flavor, BTreeSet<UsrPath>> = BTreeMap::new();
    for (path, takers) in taken_paths(&context.sources, board, tree) {
        let is_requested = |flavor: &&Flavor| {
            args.flavors.is_empty() || args.flavors.iter().any(|name| name == flavor.as_str())
        };
        for flavor in takers.iter().filter(is_requested) {
            flavors.entry(flavor.clone()).or_default().insert(path.clone());
        }
    }
    let paths: BTreeSet<&UsrPath> = flavors.values().flatten().collect();
    let entries = entries(images, board, tree, &paths)?;
    Ok(BoardPart { board, source: source(context, args, images, board), entries, flavors })
}

/// The image of a board as the source of the files.
fn source(context: &Context<'_>, args: &Sbom, images: &ImageSet<'_>, board: Board) -> Source {
    let origin = images.origins().into_iter().find(|origin| origin.board == board);
    let location = origin.as_ref().map(|origin| origin.source.clone()).unwrap_or_default();
    let is_url = location.contains("://");
    let file_name = location.rsplit('/').next().unwrap_or_default().to_owned();
    Source {
        vendor: context.vendor(&args.image).name.to_owned(),
        release: images.release.clone(),
        board,
        location: if is_url { location } else { file_name },
        digest: origin.as_ref().map(|origin| origin.digest.clone()).unwrap_or_default(),
        signer: origin.and_then(|origin| origin.signature),
    }
}

/// Hashes the regular files of an image, in one pass over its blocks.
fn entries(
    images: &ImageSet<'_>,
    board: Board,
    tree: &UsrTree,
    paths: &BTreeSet<&UsrPath>,
) -> Result<BTreeMap<UsrPath, Entry>> {
    let mut hashes: BTreeMap<UsrPath, (Hash, Hash)> = BTreeMap::new();
    images.for_each_piece(board, paths.iter().copied(), |path, piece| {
        let new = || (Hash::new(&SHA256), Hash::new(&SHA1_FOR_LEGACY_USE_ONLY));
        let (sha256, sha1) = hashes.entry(path.clone()).or_insert_with(new);
        sha256.update(piece);
        sha1.update(piece);
    })?;
    let mut entries = BTreeMap::new();
    for (path, (sha256, sha1)) in hashes {
        let hex = |hash: Hash| hex::encode(hash.finish());
        entries.insert(path, Entry::File { sha256: hex(sha256), sha1: hex(sha1) });
    }
    for path in paths {
        if let Some(NodeKind::Symlink(target)) = tree.get(path.as_str()).map(|node| &node.kind) {
            entries.insert((*path).clone(), Entry::Symlink(target.clone()));
        }
    }
    Ok(entries)
}
