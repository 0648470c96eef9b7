//! Bill of materials of the flavors: their files and packages, the images that these are from, and the licences.

mod cyclonedx_document;
mod spdx_document;

use std::collections::{BTreeMap, BTreeSet};

use coreos_types::{Board, Flavor, Release, Signer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use usr::UsrPath;

use crate::{Package, PackageSet};

/// A format of a bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// SPDX 2.3 in JSON.
    Spdx,
    /// CycloneDX 1.6 in JSON.
    CycloneDx,
}

/// The image that the files of a flavor are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    /// Vendor's name, `Flatcar Container Linux`.
    pub vendor: String,
    /// Release of the image.
    pub release: Release,
    /// Board of the image.
    pub board: Board,
    /// URL of the image, or its file name if it is local.
    pub location: String,
    /// SHA-256 or SHA-512 of the image, `sha256:HEX`.
    pub digest: String,
    /// Signer of the image; `None` for an unsigned one.
    pub signer: Option<Signer>,
}

/// The hashes of a file's content in lower-case hex.
#[derive(Debug, Clone)]
pub struct FileHashes {
    /// SHA-256.
    pub sha256: String,
    /// SHA-1, which SPDX 2.3 requires of each file.
    pub sha1: String,
}

/// The part of a bill of materials that is from one image.
#[derive(Debug, Clone)]
pub struct BoardBom<'a> {
    /// The image.
    pub source: ImageSource,
    /// The regular files that any flavor takes; `None` for a symbolic link.
    pub entries: BTreeMap<UsrPath, Option<FileHashes>>,
    /// The paths that each flavor takes.
    pub flavors: BTreeMap<Flavor, BTreeSet<UsrPath>>,
    /// The packages of the image, with owners.
    pub packages: &'a PackageSet,
}

/// Renders a bill of materials of the flavors of all boards; the same input gives the same bytes, and the text ends in
/// a newline. `tool_version` is the version of this tool.
///
/// The creation time is that of the newest signature of an image, or the start of 1970 without any.
pub fn render(boards: &[BoardBom<'_>], tool_version: &str, format: Format) -> String {
    let document: Value = match format {
        Format::Spdx => spdx_document::document(boards, tool_version),
        Format::CycloneDx => cyclonedx_document::document(boards, tool_version),
    };
    format!("{document:#}\n")
}

fn newest_signature_time<'a>(boards: &'a [BoardBom<'_>]) -> &'a str {
    let signed = boards.iter().filter_map(|board| Some(board.source.signer.as_ref()?.signed_at.as_str()));
    signed.max().unwrap_or("1970-01-01T00:00:00Z")
}

impl BoardBom<'_> {
    /// Name of a flavor's component, `stage1-coreos-amd64-usr`.
    fn flavor_name(&self, flavor: &Flavor) -> String {
        format!("stage1-{flavor}-{}", self.source.board)
    }

    /// The packages of which any flavor takes a path, by name and version, each with these paths.
    fn packages_with_paths(&self) -> BTreeMap<(&str, &str), (&Package, Vec<&UsrPath>)> {
        let mut owned: BTreeMap<_, (&Package, Vec<&UsrPath>)> = BTreeMap::new();
        for path in self.entries.keys() {
            if let Some(package) = self.packages.owner(path) {
                let key = (package.name.as_str(), package.version.as_str());
                owned.entry(key).or_insert_with(|| (package, Vec::new())).1.push(path);
            }
        }
        owned
    }

    fn flavors_taking_any(&self, paths: &[&UsrPath]) -> Vec<&Flavor> {
        let takes = |taken: &BTreeSet<UsrPath>| paths.iter().any(|path| taken.contains(*path));
        self.flavors.iter().filter(|(_, taken)| takes(taken)).map(|(flavor, _)| flavor).collect()
    }
}

/// Algorithm name for SPDX (`SHA256`) or CycloneDX (`SHA-256`), and the hex value, of `sha256:HEX`.
fn parse_digest(digest: &str) -> (&'static str, &'static str, &str) {
    match digest.split_once(':') {
        Some(("sha512", hex)) => ("SHA512", "SHA-512", hex),
        Some((_, hex)) => ("SHA256", "SHA-256", hex),
        None => ("SHA256", "SHA-256", digest),
    }
}

/// The characters that are encoded in the name and version of a package URL.
const PURL_ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'/');

/// The part of a package URL for a package of the image (purl specification, type `ebuild`).
fn package_url(package: &Package, board: Board) -> String {
    let encode = |text| utf8_percent_encode(text, PURL_ENCODED);
    format!("pkg:ebuild/{}@{}?arch={board}", encode(&package.name), encode(&package.version))
}

#[cfg(test)]
mod tests;
