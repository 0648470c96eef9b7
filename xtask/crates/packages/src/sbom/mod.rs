//! Bill of materials of one flavor: what it is made of, where that came from, and under which licences.

mod cyclonedx;
mod spdx;

use std::collections::BTreeMap;

use coreos_types::provenance::Signer;
use coreos_types::release::{Board, Flavor, Release};
use serde_json::Value;
use usr::path::UsrPath;

use crate::{Package, PackageSet};

/// A format of a bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// SPDX 2.3 in JSON.
    Spdx,
    /// CycloneDX 1.6 in JSON.
    CycloneDx,
}

/// The image that a flavor is cut out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
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

/// A file of the flavor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// A regular file and the hex SHA-256 of its content.
    File {
        /// 64 lower-case hex digits.
        sha256: String,
        /// Hex SHA-1, which SPDX 2.3 requires of each file.
        sha1: String,
    },
    /// A symbolic link and its target.
    Symlink(String),
}

/// Everything that a bill of materials of one flavor says.
#[derive(Debug, Clone)]
pub struct Bom<'a> {
    /// The flavor of the stage1.
    pub flavor: &'a Flavor,
    /// The image.
    pub source: &'a Source,
    /// The files and links that the flavor takes.
    pub entries: &'a BTreeMap<UsrPath, Entry>,
    /// The packages of the image, with owners.
    pub packages: &'a PackageSet,
    /// Version of this tool.
    pub tool_version: &'a str,
}

/// Renders a bill of materials; the same input gives the same bytes, and the text ends in a newline.
///
/// The creation time is that of the image's signature, or the start of 1970 for an unsigned image.
pub fn render(bom: &Bom<'_>, format: Format) -> String {
    let document: Value = match format {
        Format::Spdx => spdx::document(bom),
        Format::CycloneDx => cyclonedx::document(bom),
    };
    format!("{document:#}\n")
}

impl Bom<'_> {
    fn created(&self) -> &str {
        self.source.signer.as_ref().map_or("1970-01-01T00:00:00Z", |signer| signer.signed_at.as_str())
    }

    /// Name of the document and of the root component, `stage1-coreos-amd64-usr`.
    fn name(&self) -> String {
        format!("stage1-{}-{}", self.flavor, self.source.board)
    }

    /// The packages of which the flavor takes a path, sorted, each with these paths.
    fn owned(&self) -> BTreeMap<&Package, Vec<&UsrPath>> {
        let mut owned: BTreeMap<&Package, Vec<&UsrPath>> = BTreeMap::new();
        for path in self.entries.keys() {
            if let Some(package) = self.packages.owner(path) {
                owned.entry(package).or_default().push(path);
            }
        }
        owned
    }
}

/// Algorithm name for SPDX (`SHA256`) or CycloneDX (`SHA-256`), and the hex value, of `sha256:HEX`.
fn split_digest(digest: &str) -> (&'static str, &'static str, &str) {
    match digest.split_once(':') {
        Some(("sha512", hex)) => ("SHA512", "SHA-512", hex),
        Some((_, hex)) => ("SHA256", "SHA-256", hex),
        None => ("SHA256", "SHA-256", digest),
    }
}

/// The part of a package URL for a package of the image (purl specification, type `ebuild`).
fn package_url(package: &Package) -> String {
    let encode = |text: &str| {
        let mut encoded = String::new();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'/' => {
                    encoded.push(byte.into())
                }
                _ => encoded.push_str(&format!("%{byte:02X}")),
            }
        }
        encoded
    };
    format!("pkg:ebuild/{}@{}", encode(&package.name), encode(&package.version))
}

#[cfg(test)]
mod tests;
