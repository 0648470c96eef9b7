//! Areas in proportion to sizes, as square as they can be (Bruls, Huizing, van Wijk: "Squarified Treemaps", 2000).

/// A rectangle; all four in the unit of the area that was divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tile {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Divides an area among `sizes`, which are in falling order and positive. The tiles are in the order of the sizes.
pub(super) fn squarify(sizes: &[f64], area: Tile) -> Vec<Tile> {
    let total: f64 = sizes.iter().sum();
    let scale = area.width * area.height / total;
    let areas: Vec<f64> = sizes.iter().map(|size| size * scale).collect();
    let (mut tiles, mut rest, mut from) = (Vec::new(), area, 0);
    while from < areas.len() {
        let side = rest.width.min(rest.height);
        let mut to = from + 1;
        while to < areas.len()
            && worst_aspect_ratio(&areas[from..=to], side) <= worst_aspect_ratio(&areas[from..to], side)
        {
            to += 1;
        }
        rest = place_row(&areas[from..to], rest, &mut tiles);
        from = to;
    }
    tiles
}

/// The largest ratio of long to short side among the tiles of a row along `side`.
fn worst_aspect_ratio(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let thickness = sum / side;
    row.iter()
        .map(|area| (area / thickness / thickness).max(thickness * thickness / area))
        .fold(0.0, f64::max)
}

/// Places a row along the short side of `rest`, and returns the remaining area.
fn place_row(row: &[f64], rest: Tile, tiles: &mut Vec<Tile>) -> Tile {
    // The row is placed along the left side; a tall area is transposed for it, and back.
    let is_tall = rest.width < rest.height;
    let transpose = |tile: Tile| match is_tall {
        true => Tile { x: tile.y, y: tile.x, width: tile.height, height: tile.width },
        false => tile,
    };
    let rest = transpose(rest);
    let width = row.iter().sum::<f64>() / rest.height;
    let mut offset = 0.0;
    for area in row {
        let height = area / width;
        tiles.push(transpose(Tile { x: rest.x, y: rest.y + offset, width, height }));
        offset += height;
    }
    transpose(Tile { x: rest.x + width, width: (rest.width - width).max(0.0), ..rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Tile = Tile { x: 0.0, y: 0.0, width: 6.0, height: 4.0 };

    #[test]
    fn tile_areas_are_proportional_and_fill_the_area() {
        let sizes = [6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0];
        let tiles = squarify(&sizes, AREA);
        for (size, tile) in sizes.iter().zip(&tiles) {
            assert!((tile.width * tile.height - size).abs() < 1e-9, "{size} {tile:?}");
            assert!(tile.x + tile.width < 6.0 + 1e-9 && tile.y + tile.height < 4.0 + 1e-9, "{tile:?}");
        }
        let flattest = tiles.iter().map(|t| (t.width / t.height).max(t.height / t.width)).fold(0.0, f64::max);
        assert!(flattest < 3.0, "{flattest}");
    }

    #[test]
    fn one_size_fills_the_area() {
        assert_eq!(squarify(&[5.0], AREA), [AREA]);
        assert_eq!(squarify(&[], AREA), []);
    }
}
