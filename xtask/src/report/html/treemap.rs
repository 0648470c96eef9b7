//! Bytes by file as a treemap.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::escape;
use super::squarify::{Tile, squarify};
use crate::report::sizes::{format_bytes, total};
use crate::report::{Report, file_name, short_manifest_name};
use manifest::finding::{Fix, FixKind};

/// The section with one area per manifest and, inside, one tile per file, in proportion to the bytes after the change;
/// and the style with their positions, by the number in the class: the page allows no style attributes.
pub(super) fn render(report: &Report) -> (String, String) {
    let (mut tiles, mut style, mut number) = (String::new(), String::new(), 0);
    let mut class = |tile: Tile, area: Tile| {
        let _ = writeln!(style, ".t{number}{{{}}}", css_position(tile, area));
        number += 1;
        format!("t{}", number - 1)
    };
    let manifests = report.sizes.iter().map(|manifest| (&*manifest.file, total(manifest).after, manifest));
    for (file, bytes, manifest, area) in divide(manifests, AREA) {
        let name = escape(&format!("{} {}", short_manifest_name(file), format_bytes(bytes)));
        let _ = writeln!(
            tiles,
            "<div class=\"manifest {}\"><b title=\"{name}\">{name}</b><div class=\"inside\">",
            class(area, AREA)
        );
        let kinds = fix_kinds(report, file);
        let paths = manifest.paths.iter().map(|size| (&*size.path, size.after, ()));
        for (path, bytes, (), tile) in divide(paths, Tile { x: 0.0, y: 0.0, ..area }) {
            let kind = kinds.get(path).copied().unwrap_or_default();
            let title = escape(&format!("{path} {}", format_bytes(bytes)));
            let label = escape(file_name(path));
            let _ = write!(
                tiles,
                "<div class=\"tile {} {kind}\" title=\"{title}\"><span>{label}</span></div>",
                class(tile, area)
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

/// Divides an area among items with a name and bytes, the largest first; those without bytes are left out.
fn divide<'n, T>(
    items: impl Iterator<Item = (&'n str, Option<u64>, T)>,
    area: Tile,
) -> Vec<(&'n str, u64, T, Tile)> {
    let with_bytes =
        items.filter_map(|(name, bytes, item)| Some((name, bytes.filter(|&bytes| bytes > 0)?, item)));
    let mut items: Vec<(&str, u64, T)> = with_bytes.collect();
    items.sort_by_key(|(name, bytes, _)| (std::cmp::Reverse(*bytes), *name));
    let sizes: Vec<f64> = items.iter().map(|(_, bytes, _)| *bytes as f64).collect();
    let tiles = squarify(&sizes, area);
    items.into_iter().zip(tiles).map(|((name, bytes, item), tile)| (name, bytes, item, tile)).collect()
}

/// The classes of the paths of a manifest that were added, renamed or moved.
fn fix_kinds<'r>(report: &'r Report, file: &str) -> BTreeMap<&'r str, &'static str> {
    let kind = |fix: &'r Fix| {
        let class = match fix.kind {
            FixKind::Add => "added",
            FixKind::Rename | FixKind::Move => "renamed",
            FixKind::Drop | FixKind::Tidy => return None,
        };
        Some((fix.to.as_deref()?, class))
    };
    report.fixes.iter().filter(|fix| fix.file == file).filter_map(kind).collect()
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
