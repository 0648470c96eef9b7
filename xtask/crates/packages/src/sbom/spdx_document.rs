//! SPDX 2.3 in JSON (ISO/IEC 5962 and <https://spdx.github.io/spdx-spec/v2.3/>).

use std::collections::{BTreeMap, BTreeSet};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};

use coreos_types::Flavor;
use usr::UsrPath;

use super::{BoardBom, ImageSource, newest_signature_time, package_url, parse_digest};
use crate::Package;

/// The document: each flavor as a package that contains files, the image that it is taken from, and the packages that
/// the files come from.
pub(super) fn document(boards: &[BoardBom<'_>], tool_version: &str) -> Value {
    let mut parts = DocumentParts::default();
    boards.iter().for_each(|board| parts.add_board(board));
    let licenses: Vec<Value> = parts
        .licenses
        .iter()
        .map(|name| json!({"licenseId": license_ref(name), "name": name, "extractedText": placeholder_license_text(name)}))
        .collect();
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "stage1",
        "documentNamespace": namespace(boards),
        "creationInfo": {
            "created": newest_signature_time(boards),
            "creators": [format!("Tool: cargo-xtask-{tool_version}")],
        },
        "packages": parts.packages,
        "files": parts.files,
        "relationships": parts.relationships,
    });
    if !licenses.is_empty() {
        document["hasExtractedLicensingInfos"] = licenses.into();
    }
    document
}

#[derive(Default)]
struct DocumentParts {
    packages: Vec<Value>,
    files: Vec<Value>,
    relationships: Vec<Value>,
    licenses: BTreeSet<String>,
}

impl DocumentParts {
    fn add_board(&mut self, bom: &BoardBom<'_>) {
        let board = bom.source.board;
        let image_id = format!("SPDXRef-Image-{board}");
        self.packages.push(image_package(&bom.source, &image_id));
        let mut ids: BTreeMap<&UsrPath, String> = BTreeMap::new();
        for (path, hashes) in &bom.entries {
            let Some(hashes) = hashes else { continue };
            let id = format!("SPDXRef-File-{board}-{}", ids.len());
            self.files.push(json!({
                "SPDXID": id,
                "fileName": format!("./usr/{path}"),
                "checksums": [checksum("SHA1", &hashes.sha1), checksum("SHA256", &hashes.sha256)],
                "licenseConcluded": "NOASSERTION",
                "licenseInfoInFiles": ["NOASSERTION"],
                "copyrightText": "NOASSERTION",
            }));
            ids.insert(path, id);
        }
        for (flavor, taken) in &bom.flavors {
            let id = format!("SPDXRef-{}", bom.flavor_name(flavor));
            self.packages.push(flavor_package(bom, flavor, taken, &id));
            self.relationships.push(relationship("SPDXRef-DOCUMENT", "DESCRIBES", &id));
            self.relationships.push(relationship(&id, "GENERATED_FROM", &image_id));
            let files = taken.iter().filter_map(|path| ids.get(path));
            self.relationships.extend(files.map(|file| relationship(&id, "CONTAINS", file)));
        }
        for (number, (package, paths)) in bom.packages_with_paths().into_values().enumerate() {
            let id = format!("SPDXRef-Package-{board}-{number}");
            self.packages.push(distro_package(&bom.source, package, &id));
            self.licenses.extend(package.licenses.iter().cloned());
            let flavors = bom.flavors_taking_any(&paths).into_iter();
            let flavors = flavors.map(|flavor| format!("SPDXRef-{}", bom.flavor_name(flavor)));
            self.relationships.extend(flavors.map(|flavor| relationship(&flavor, "CONTAINS", &id)));
            let files = paths.iter().filter_map(|path| ids.get(*path));
            self.relationships.extend(files.map(|file| relationship(file, "GENERATED_FROM", &id)));
        }
    }
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

fn checksum(algorithm: &str, value: &str) -> Value {
    json!({"algorithm": algorithm, "checksumValue": value})
}

/// A namespace that no other document shares: it names the images by their digests and the flavors.
fn namespace(boards: &[BoardBom<'_>]) -> String {
    let parts = boards.iter().map(|bom| {
        let names: Vec<String> = bom.flavors.keys().map(|flavor| bom.flavor_name(flavor)).collect();
        format!("{}:{}", names.join("+"), parse_digest(&bom.source.digest).2)
    });
    format!("urn:coreos-xtask:{}", parts.collect::<Vec<_>>().join(":"))
}

/// A package without further information.
fn new_package(id: &str, name: &str, version: &str, supplier: &str) -> Value {
    json!({
        "SPDXID": id,
        "name": name,
        "versionInfo": version,
        "supplier": format!("Organization: {supplier}"),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    })
}

fn flavor_package(bom: &BoardBom<'_>, flavor: &Flavor, taken: &BTreeSet<UsrPath>, id: &str) -> Value {
    let mut package = new_package(id, &bom.flavor_name(flavor), bom.source.release.as_str(), "local build");
    package["filesAnalyzed"] = true.into();
    package["packageVerificationCode"] =
        json!({"packageVerificationCodeValue": verification_code(bom, taken)});
    package["primaryPackagePurpose"] = "CONTAINER".into();
    package
}

fn image_package(source: &ImageSource, id: &str) -> Value {
    let (algorithm, _, hex) = parse_digest(&source.digest);
    let name = format!("{} {} image", source.vendor, source.board);
    let mut image = new_package(id, &name, source.release.as_str(), &source.vendor);
    // The specification's grammar of locations has no ports; a plain http mirror is on loopback anyway.
    if source.location.strip_prefix("https://").is_some_and(|rest| !rest.contains(':')) {
        image["downloadLocation"] = source.location.as_str().into();
    }
    image["checksums"] = json!([checksum(algorithm, hex)]);
    image["primaryPackagePurpose"] = "OPERATING-SYSTEM".into();
    if let Some(signer) = &source.signer {
        image["comment"] = format!(
            "signed {} by key {} of primary key {}",
            signer.signed_at, signer.signing_key, signer.primary
        )
        .into();
    }
    image
}

/// SHA-1 over the sorted SHA-1 values of the files of a flavor (SPDX 2.3, section 7.9).
fn verification_code(bom: &BoardBom<'_>, taken: &BTreeSet<UsrPath>) -> String {
    let hashes = taken.iter().filter_map(|path| bom.entries.get(path)?.as_ref());
    let mut sums: Vec<&str> = hashes.map(|hashes| hashes.sha1.as_str()).collect();
    sums.sort_unstable();
    hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, sums.concat().as_bytes()))
}

fn distro_package(source: &ImageSource, package: &Package, id: &str) -> Value {
    let mut component = new_package(id, &package.name, &package.version, &source.vendor);
    let declared: Vec<String> = package.licenses.iter().map(|name| license_ref(name)).collect();
    if !declared.is_empty() {
        component["licenseDeclared"] = declared.join(" AND ").into();
    }
    component["externalRefs"] = json!([{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": package_url(package, source.board),
    }]);
    if let Some(homepage) = &package.homepage {
        component["homepage"] = homepage.as_str().into();
    }
    component
}

/// A licence of the distribution as an SPDX reference: its names are not those of the SPDX licence list.
fn license_ref(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    format!("LicenseRef-{plain}{}", if name.contains('+') { "-or-later" } else { "" })
}

fn placeholder_license_text(name: &str) -> String {
    format!("The distribution calls this licence {name}; its text is in share/licenses/common of the image.")
}
