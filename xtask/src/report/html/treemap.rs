//! Bytes by file as a treemap.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::escape;
use super::squarify::{Tile, squarify};
use crate::report::sizes::{ManifestSizes, Size, bytes, total};
use crate::report::{Report, short};
use manifest::finding::FixKind;

/// One area per manifest, and in it one per file, as large as the bytes after the change.
pub(super) fn section(report: &Report) -> String {
    let areas = areas(report);
    if areas.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<p class=\"soft\">By bytes after the change. <span class=\"chip good\">added</span> \
         <span class=\"chip info\">renamed or moved</span></p>\n<div class=\"treemap\">\n",
    );
    let mut number = 0;
    for area in &areas {
        let name = escape(&format!("{} {}", short(&area.manifest.file), bytes(area.size)));
        let _ = writeln!(
            out,
            "<div class=\"manifest t{number}\"><b title=\"{name}\">{name}</b><div class=\"inside\">"
        );
        number += 1;
        for (path, size, _) in &area.tiles {
            let kind = area.kinds.get(path).copied().unwrap_or_default();
            let title = escape(&format!("{path} {}", bytes(*size)));
            let label = escape(path.rsplit('/').next().unwrap_or(path));
            let _ = write!(
                out,
                "<div class=\"tile t{number} {kind}\" title=\"{title}\"><span>{label}</span></div>"
            );
            number += 1;
        }
        out.push_str("</div></div>\n");
    }
    out.push_str("</div>\n");
    out
}

/// Position and size of each area, by the number in its class: the page allows no style attributes.
pub(super) fn style(report: &Report) -> String {
    let mut out = String::new();
    let mut number = 0;
    for area in areas(report) {
        let tiles = area.tiles.iter().map(|(_, _, tile)| place(*tile, area.tile));
        for place in [place(area.tile, AREA)].into_iter().chain(tiles) {
            let _ = writeln!(out, ".t{number}{{{place}}}");
            number += 1;
        }
    }
    out
}

/// Shaped for wide screens, and still readable on narrow ones.
const AREA: Tile = Tile { x: 0.0, y: 0.0, width: 160.0, height: 90.0 };

/// The area of a manifest and of its files: path, bytes, tile.
struct Area<'a> {
    manifest: &'a ManifestSizes,
    size: u64,
    tile: Tile,
    tiles: Vec<(&'a str, u64, Tile)>,
    kinds: BTreeMap<&'a str, &'static str>,
}

fn areas(report: &Report) -> Vec<Area<'_>> {
    let mut manifests: Vec<(&ManifestSizes, u64)> = report
        .sizes
        .iter()
        .map(|manifest| (manifest, total(manifest).after.unwrap_or(0)))
        .filter(|(_, size)| *size > 0)
        .collect();
    manifests.sort_by_key(|(manifest, size)| (std::cmp::Reverse(*size), &manifest.file));
    let sizes: Vec<f64> = manifests.iter().map(|(_, size)| *size as f64).collect();
    let tiles = squarify(&sizes, AREA);
    let areas = manifests.into_iter().zip(tiles);
    areas.map(|((manifest, size), tile)| area(report, manifest, size, tile)).collect()
}

fn area<'a>(report: &'a Report, manifest: &'a ManifestSizes, size: u64, tile: Tile) -> Area<'a> {
    let mut paths: Vec<(&str, u64)> = manifest
        .paths
        .iter()
        .filter_map(|size| {
            Some((size.path.as_str(), size.after.map(Size::bytes).filter(|bytes| *bytes > 0)?))
        })
        .collect();
    paths.sort_by_key(|(path, size)| (std::cmp::Reverse(*size), *path));
    let sizes: Vec<f64> = paths.iter().map(|(_, size)| *size as f64).collect();
    let places = squarify(&sizes, Tile { x: 0.0, y: 0.0, ..tile });
    let tiles = paths.into_iter().zip(places).map(|((path, size), tile)| (path, size, tile)).collect();
    let kinds = report
        .fixes
        .iter()
        .filter(|fix| fix.file == manifest.file)
        .filter_map(|fix| {
            let class = match fix.kind {
                FixKind::Add => "added",
                FixKind::Rename | FixKind::Move => "renamed",
                FixKind::Drop | FixKind::Tidy => return None,
            };
            Some((fix.to.as_deref()?, class))
        })
        .collect();
    Area { manifest, size, tile, tiles, kinds }
}

/// A tile in percent of the area around it.
fn place(tile: Tile, area: Tile) -> String {
    format!(
        "left:{:.3}%;top:{:.3}%;width:{:.3}%;height:{:.3}%",
        tile.x / area.width * 100.0,
        tile.y / area.height * 100.0,
        tile.width / area.width * 100.0,
        tile.height / area.height * 100.0
    )
}
