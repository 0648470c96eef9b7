//! The lists of 991.0.0, with other versions in the file names for earlier and later releases.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use coreos_types::{Board, Vendor};
use release_fixture::image_spec::ImageSpec;
use release_fixture::infer_from_paths::with_inferred_files;
use xtask::demo::example::FILES;

use super::row::Row;

/// The lists of one release by board and manifest (`coreos/bash`).
#[derive(Clone)]
pub(super) struct Lists(pub(super) BTreeMap<(Board, String), BTreeSet<String>>);

impl Lists {
    /// The lists of 991.0.0 for amd64 only.
    pub(super) fn release_991() -> Lists {
        let mut lists = BTreeMap::new();
        for (path, content) in FILES {
            let Some((flavor, name)) = path
                .strip_prefix("stage1/usr_from_")
                .and_then(|path| path.split_once("/manifest-amd64-usr.d/"))
            else {
                continue;
            };
            let manifest = format!("{flavor}/{}", name.strip_suffix(".manifest").unwrap());
            lists.insert((Board::Amd64, manifest), content.lines().map(str::to_owned).collect());
        }
        Lists(lists)
    }

    /// Adds lists for arm64: no dev links, systemd in `lib`, and the loader in both directories.
    pub(super) fn with_arm64(mut self) -> Lists {
        for ((_, manifest), paths) in self.0.clone() {
            let mut paths: BTreeSet<String> = paths
                .iter()
                .filter(|path| {
                    *path != "lib"
                        && !(path.starts_with("lib64/lib") && path.ends_with(".so") && !path.contains('-'))
                })
                .map(|path| {
                    path.replace("lib64/systemd/", "lib/systemd/")
                        .replace("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1")
                })
                .collect();
            if paths.contains("lib64/ld-linux-aarch64.so.1") {
                paths.insert(String::from("lib/ld-linux-aarch64.so.1"));
            }
            self.0.insert((Board::Arm64, manifest), paths);
        }
        self
    }

    /// Replaces a part of each path.
    pub(super) fn with_replaced(mut self, from: &str, to: &str) -> Lists {
        for paths in self.0.values_mut() {
            *paths = paths.iter().map(|path| path.replace(from, to)).collect();
        }
        self
    }

    pub(super) fn with(mut self, board: Board, manifest: &str, paths: &[&str]) -> Lists {
        let list = self.0.get_mut(&(board, manifest.to_owned())).unwrap();
        list.extend(paths.iter().map(|path| (*path).to_owned()));
        self
    }

    pub(super) fn without(mut self, path: &str) -> Lists {
        self.0.values_mut().for_each(|paths| drop(paths.take(path)));
        self
    }

    /// Removes all lines of a library.
    pub(super) fn without_library(mut self, stem: &str) -> Lists {
        let is_library =
            |path: &String| path.contains(&format!("/{stem}.so")) || path.contains(&format!("/{stem}-2."));
        self.0.values_mut().for_each(|paths| paths.retain(|path| !is_library(path)));
        self
    }

    pub(super) fn boards(&self) -> BTreeSet<Board> {
        self.0.keys().map(|(board, _)| *board).collect()
    }

    /// An image with exactly the listed files of a board.
    pub(super) fn image(&self, board: Board, systemd: &str) -> ImageSpec {
        let lists = || self.0.iter().filter(|((other, _), _)| *other == board).map(|(_, paths)| paths);
        let all: Vec<&str> = lists().flatten().map(String::as_str).collect();
        let image = ImageSpec::new(Vendor::COREOS, board, &"1097.0.0".parse().unwrap(), systemd);
        with_inferred_files(image, &all, |path| {
            let library = path.contains(".so");
            let list = lists().find(|paths| !library && paths.contains(path));
            let sonames = list.into_iter().flatten().filter_map(|path| soname(path));
            sonames.map(str::to_owned).chain([String::from("libc.so.6")]).collect()
        })
    }

    pub(super) fn row(
        &self,
        images: impl IntoIterator<Item = ImageSpec>,
        order: fn(&str, &str) -> Ordering,
    ) -> Row {
        let mut row = Row::empty(images);
        for ((board, manifest), paths) in &self.0 {
            row = row.with_manifest_for(*board, manifest, &sort_paths(paths, order));
            if let Some(name) = manifest.strip_prefix("coreos/") {
                row = row.with_kvm_link_for(*board, name);
            }
        }
        row
    }
}

/// The soname in a path, for example `libz.so.1` or `libsystemd-shared-231.so`; `None` for other paths.
fn soname(path: &str) -> Option<&str> {
    let (_, name) = path.rsplit_once('/')?;
    let (stem, version) = name.split_once(".so")?;
    let numbers = version.split('.').filter(|number| !number.is_empty()).count();
    (numbers == 1 || name == "libcrypto.so.1.0.0" || stem.starts_with("libsystemd-shared")).then_some(name)
}

/// Paths sorted in an order.
pub(super) fn sort_paths(paths: &BTreeSet<String>, order: fn(&str, &str) -> Ordering) -> Vec<&str> {
    let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    paths.sort_by(|one, other| order(one, other));
    paths
}
