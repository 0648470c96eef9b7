//! Where the bytes are: by manifest and flavor as a table, by path as a treemap.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::escape;
use super::table::{Cell, number, table, text};
use super::treemap::{Tile, squarify};
use crate::report::sizes::{ManifestSizes, Total, bytes, change, maybe, rootfs, total};
use crate::report::{Report, short};
use manifest::finding::FixKind;

/// The table by manifest and flavor, and the treemap.
pub(super) fn section(report: &Report) -> String {
    if report.sizes.is_empty() {
        return String::new();
    }
    let row = |what: &str, board: &str, total: Total| {
        let difference =
            total.after.zip(total.before).map(|(after, before)| i128::from(after) - i128::from(before));
        vec![
            text(what),
            text(board),
            number(&maybe(total.before), total.before.map(i128::from)),
            number(&maybe(total.after), total.after.map(i128::from)),
            number(&change(total.before, total.after), difference),
        ]
    };
    let manifests =
        report.sizes.iter().map(|manifest| row(&short(&manifest.file), manifest.board.id(), total(manifest)));
    let flavors = rootfs(report)
        .into_iter()
        .map(|(board, flavor, total)| row(&format!("root filesystem of {flavor}"), board.id(), total));
    let rows: Vec<Vec<Cell>> = manifests.chain(flavors).collect();
    format!(
        "{}<h2>Where the bytes are</h2>\n<p class=\"soft\">Each manifest with its paths, by bytes after. \
         <span class=\"chip good\">added</span> <span class=\"chip info\">renamed or moved</span></p>\n{}",
        table(&["manifest", "board", "before", "after", "change"], &rows),
        tiles(report)
    )
}

/// Wide areas look right on wide screens and bearable on narrow ones.
const AREA: Tile = Tile { x: 0.0, y: 0.0, width: 160.0, height: 90.0 };

fn tiles(report: &Report) -> String {
    let kinds: BTreeMap<&str, &str> = report
        .fixes
        .iter()
        .filter_map(|fix| {
            let class = match fix.kind {
                FixKind::Add => "added",
                FixKind::Rename | FixKind::Move => "renamed",
                FixKind::Drop | FixKind::Tidy => return None,
            };
            Some((fix.to.as_deref()?, class))
        })
        .collect();
    let mut manifests: Vec<(&ManifestSizes, u64)> = report
        .sizes
        .iter()
        .map(|manifest| (manifest, total(manifest).after.unwrap_or(0)))
        .filter(|(_, size)| *size > 0)
        .collect();
    manifests.sort_by_key(|(manifest, size)| (std::cmp::Reverse(*size), &manifest.file));
    let sizes: Vec<f64> = manifests.iter().map(|(_, size)| *size as f64).collect();
    let mut out = String::from("<div class=\"treemap\">\n");
    for ((manifest, size), tile) in manifests.iter().zip(squarify(&sizes, AREA)) {
        let name = escape(&format!("{} {}", short(&manifest.file), bytes(*size)));
        let _ = writeln!(
            out,
            "<div class=\"manifest\" style=\"{}\"><b title=\"{name}\">{name}</b><div class=\"inside\">",
            place(tile, AREA)
        );
        inside(&mut out, manifest, tile, &kinds);
        out.push_str("</div></div>\n");
    }
    out.push_str("</div>\n");
    out
}

fn inside(out: &mut String, manifest: &ManifestSizes, area: Tile, kinds: &BTreeMap<&str, &str>) {
    let mut paths: Vec<(&str, u64)> = manifest
        .paths
        .iter()
        .filter_map(|size| Some((size.path.as_str(), size.after.filter(|s| *s > 0)?)))
        .collect();
    paths.sort_by_key(|(path, size)| (std::cmp::Reverse(*size), *path));
    let sizes: Vec<f64> = paths.iter().map(|(_, size)| *size as f64).collect();
    let origin = Tile { x: 0.0, y: 0.0, ..area };
    for ((path, size), tile) in paths.into_iter().zip(squarify(&sizes, origin)) {
        let class = kinds.get(path).copied().unwrap_or_default();
        let (shown, name) =
            (escape(&format!("{path} {}", bytes(size))), path.rsplit('/').next().unwrap_or(path));
        // A name that cannot be read only adds to the page.
        let label = if tile.width > 7.0 && tile.height > 3.0 { escape(name) } else { String::new() };
        let style = place(tile, area);
        let _ = write!(out, "<div class=\"tile {class}\" title=\"{shown}\" style=\"{style}\">{label}</div>");
    }
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
