//! The graph of new dependencies as SVG: dependents on the left, dependencies on the right.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::escape;
use crate::report::added_dependents::DependencyEdge;

/// Width of a monospaced letter of 12 px.
const LETTER: usize = 8;
const ROW: usize = 30;
const BOX: usize = 22;
const GAP: usize = 90;

/// The drawing in its natural size: it scrolls, so that letters stay legible.
pub(super) fn svg(needs: &[DependencyEdge]) -> String {
    let columns = columns(needs);
    let mut places: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    let mut x = 1;
    for column in &columns {
        let width = column.iter().map(|node| node.chars().count()).max().unwrap_or(0) * LETTER + 16;
        for (row, node) in column.iter().enumerate() {
            places.insert(node, (x, row * ROW + 1, width));
        }
        x += width + GAP;
    }
    let width = x.saturating_sub(GAP) + 1;
    let height = columns.iter().map(Vec::len).max().unwrap_or(0) * ROW;
    let mut out = format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"New dependencies\">\n<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" \
         markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path class=\"head\" d=\"M0 0 8 4 0 8z\"/></marker></defs>\n"
    );
    for need in needs {
        if let (Some(from), Some(to)) = (places.get(need.from.as_str()), places.get(need.to.as_str())) {
            edge(&mut out, need, *from, *to);
        }
    }
    for (node, (x, y, width)) in &places {
        let is_needed = needs.iter().any(|need| need.to == **node);
        let class = if is_needed { "added" } else { "needs" };
        let _ = writeln!(
            out,
            "<g class=\"{class}\"><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\" rx=\"4\"/>\
             <text x=\"{}\" y=\"{}\">{}</text></g>",
            x + 8,
            y + 15,
            escape(node)
        );
    }
    out.push_str("</svg>\n");
    out
}

fn edge(out: &mut String, need: &DependencyEdge, from: (usize, usize, usize), to: (usize, usize, usize)) {
    let (x1, y1) = (from.0 + from.2, from.1 + BOX / 2);
    let (x2, y2) = (to.0, to.1 + BOX / 2);
    let middle = (x1 + x2) / 2;
    let class = if need.name == "link" { "link" } else { "need" };
    let _ = writeln!(
        out,
        "<path class=\"{class}\" marker-end=\"url(#arrow)\" d=\"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}\">\
         <title>{} → {} ({})</title></path>",
        escape(&need.from),
        escape(&need.to),
        escape(&need.name)
    );
}

/// The nodes by their distance from those without dependents; within a column, near their dependents.
fn columns(needs: &[DependencyEdge]) -> Vec<Vec<&str>> {
    let mut depth: BTreeMap<&str, usize> = BTreeMap::new();
    for need in needs {
        depth.insert(&need.from, 0);
        depth.insert(&need.to, 0);
    }
    // Each pass fixes one more column; the number of nodes bounds the passes and the depth, also in a cycle.
    let nodes = depth.len();
    for _ in 0..nodes {
        for need in needs.iter().filter(|need| need.from != need.to) {
            let least = depth.get(need.from.as_str()).map_or(0, |depth| depth + 1).min(nodes - 1);
            depth.entry(&need.to).and_modify(|depth| *depth = least.max(*depth));
        }
    }
    let mut columns: Vec<Vec<&str>> = vec![Vec::new(); depth.values().max().map_or(0, |max| max + 1)];
    for (node, depth) in depth {
        columns[depth].push(node);
    }
    columns.retain(|column| !column.is_empty());
    for right in 1..columns.len() {
        let order: BTreeMap<&str, usize> =
            columns[right - 1].iter().enumerate().map(|(row, node)| (*node, row)).collect();
        columns[right].sort_by_key(|node| {
            let dependents = needs.iter().filter(|need| need.to == **node);
            dependents.filter_map(|need| order.get(need.from.as_str())).min()
        });
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use coreos_types::Board;

    fn need(from: &str, to: &str) -> DependencyEdge {
        DependencyEdge { board: Board::Amd64, from: from.into(), to: to.into(), name: "x".into() }
    }

    #[test]
    fn dependency_is_right_of_its_dependents() {
        let needs = [
            need("systemd", "libpam.so.0"),
            need("libpam.so.0", "libpam.so.0.84"),
            need("su", "libpam.so.0"),
        ];
        assert_eq!(columns(&needs), [vec!["su", "systemd"], vec!["libpam.so.0"], vec!["libpam.so.0.84"]]);
    }

    #[test]
    fn cyclic_graph_terminates() {
        let needs = [need("a", "b"), need("b", "a"), need("a", "a")];
        let nodes: usize = columns(&needs).iter().map(Vec::len).sum();
        assert_eq!(nodes, 2);
        assert!(svg(&needs).contains("</svg>"));
    }
}
