//! Bytes by file as a treemap.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::escape;
use super::squarify::{Tile, squarify};
use crate::report::sizes::{ManifestSizes, format_bytes, total};
use crate::report::{Report, short_manifest_name};
use manifest::finding::{Fix, FixKind};

/// The section with one area per manifest and, inside, one tile per file, in proportion to the bytes after the change;
/// and the style with their positions, by the number in the class: the page allows no style attributes.
pub(super) fn render(report: &Report) -> (String, String) {
    let (mut tiles, mut style, mut number) = (String::new(), String::new(), 0);
    let mut class = |position: String| {
        let _ = writeln!(style, ".t{number}{{{position}}}");
        number += 1;
        format!("t{}", number - 1)
    };
    for ManifestArea { manifest, size, tile, tiles: files, kinds } in areas(report) {
        let name = escape(&format!("{} {}", short_manifest_name(&manifest.file), format_bytes(size)));
        let _ = writeln!(
            tiles,
            "<div class=\"manifest {}\"><b title=\"{name}\">{name}</b><div class=\"inside\">",
            class(css_position(tile, AREA))
        );
        for (path, size, inner) in files {
            let kind = kinds.get(path).copied().unwrap_or_default();
            let title = escape(&format!("{path} {}", format_bytes(size)));
            let label = escape(path.rsplit('/').next().unwrap_or(path));
            let _ = write!(
                tiles,
                "<div class=\"tile {} {kind}\" title=\"{title}\"><span>{label}</span></div>",
                class(css_position(inner, tile))
            );
        }
        tiles.push_str("</div></div>\n");
    }
    if tiles.is_empty() {
        return (tiles, style);
    }
    let legend = "<p class=\"soft\">By bytes after the change. <span class=\"chip good\">added</span> \
                  <span class=\"chip info\">renamed or moved</span></p>";
    (format!("{legend}\n<div class=\"treemap\">\n{tiles}</div>\n"), style)
}

/// Shaped for wide screens, and still readable on narrow ones.
const AREA: Tile = Tile { x: 0.0, y: 0.0, width: 160.0, height: 90.0 };

/// The area of a manifest and of its files: path, bytes, tile.
struct ManifestArea<'a> {
    manifest: &'a ManifestSizes,
    size: u64,
    tile: Tile,
    tiles: Vec<(&'a str, u64, Tile)>,
    kinds: BTreeMap<&'a str, &'static str>,
}

fn areas(report: &Report) -> Vec<ManifestArea<'_>> {
    let sizes = report.sizes.iter().map(|manifest| (manifest, total(manifest).after.unwrap_or(0)));
    let mut manifests: Vec<(&ManifestSizes, u64)> = sizes.filter(|(_, size)| *size > 0).collect();
    manifests.sort_by_key(|(manifest, size)| (std::cmp::Reverse(*size), &manifest.file));
    let sizes: Vec<f64> = manifests.iter().map(|(_, size)| *size as f64).collect();
    let tiles = squarify(&sizes, AREA);
    let areas = manifests.into_iter().zip(tiles);
    areas.map(|((manifest, size), tile)| manifest_area(report, manifest, size, tile)).collect()
}

fn manifest_area<'a>(
    report: &'a Report,
    manifest: &'a ManifestSizes,
    size: u64,
    tile: Tile,
) -> ManifestArea<'a> {
    let sizes = manifest.paths.iter().filter_map(|size| Some((size.path.as_str(), size.after?)));
    let mut paths: Vec<(&str, u64)> = sizes.filter(|(_, bytes)| *bytes > 0).collect();
    paths.sort_by_key(|(path, size)| (std::cmp::Reverse(*size), *path));
    let sizes: Vec<f64> = paths.iter().map(|(_, size)| *size as f64).collect();
    let places = squarify(&sizes, Tile { x: 0.0, y: 0.0, ..tile });
    let tiles = paths.into_iter().zip(places).map(|((path, size), tile)| (path, size, tile)).collect();
    let kind = |fix: &'a Fix| {
        let class = match fix.kind {
            FixKind::Add => "added",
            FixKind::Rename | FixKind::Move => "renamed",
            FixKind::Drop | FixKind::Tidy => return None,
        };
        Some((fix.to.as_deref()?, class))
    };
    let fixes = report.fixes.iter().filter(|fix| fix.file == manifest.file);
    ManifestArea { manifest, size, tile, tiles, kinds: fixes.filter_map(kind).collect() }
}

/// A tile in percent of the area around it.
fn css_position(tile: Tile, area: Tile) -> String {
    format!(
        "left:{:.3}%;top:{:.3}%;width:{:.3}%;height:{:.3}%",
        tile.x / area.width * 100.0,
        tile.y / area.height * 100.0,
        tile.width / area.width * 100.0,
        tile.height / area.height * 100.0
    )
}
