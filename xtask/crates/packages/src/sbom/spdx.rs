//! SPDX 2.3 in JSON (ISO/IEC 5962 and <https://spdx.github.io/spdx-spec/v2.3/>).

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};

use super::{Bom, Entry, package_url, split_digest};
use crate::Package;

/// The document: the stage1 as a package that contains files, the image that it was cut out of, and the packages
/// that own the files.
pub(super) fn document(bom: &Bom<'_>) -> Value {
    let owned = bom.owned();
    let mut files = Vec::new();
    let mut links = vec![
        relationship("SPDXRef-DOCUMENT", "DESCRIBES", ROOT),
        relationship(ROOT, "GENERATED_FROM", IMAGE),
    ];
    let mut ids = std::collections::BTreeMap::new();
    for (number, (path, entry)) in bom.entries.iter().enumerate() {
        let Entry::File { sha256, sha1 } = entry else { continue };
        let id = format!("SPDXRef-File-{number}");
        files.push(json!({
            "SPDXID": id,
            "fileName": format!("./usr/{path}"),
            "checksums": [checksum("SHA1", sha1), checksum("SHA256", sha256)],
            "licenseConcluded": "NOASSERTION",
            "licenseInfoInFiles": ["NOASSERTION"],
            "copyrightText": "NOASSERTION",
        }));
        links.push(relationship(ROOT, "CONTAINS", &id));
        ids.insert(path, id);
    }
    let mut packages = vec![root(bom), image(bom)];
    let mut licenses = std::collections::BTreeSet::new();
    for (number, (package, paths)) in owned.iter().enumerate() {
        let id = format!("SPDXRef-Package-{number}");
        packages.push(component(bom, package, &id));
        links.push(relationship(ROOT, "CONTAINS", &id));
        links.extend(
            paths.iter().filter_map(|path| Some(relationship(ids.get(*path)?, "GENERATED_FROM", &id))),
        );
        licenses.extend(package.licenses.iter().cloned());
    }
    let licenses: Vec<Value> = licenses
        .iter()
        .map(|name| json!({"licenseId": license_ref(name), "name": name, "extractedText": extracted_text(name)}))
        .collect();
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": bom.name(),
        "documentNamespace": namespace(bom),
        "creationInfo": {
            "created": bom.created(),
            "creators": [format!("Tool: cargo-xtask-{}", bom.tool_version)],
        },
        "packages": packages,
        "files": files,
        "relationships": links,
    });
    if !licenses.is_empty() {
        document["hasExtractedLicensingInfos"] = licenses.into();
    }
    document
}

const ROOT: &str = "SPDXRef-Stage1";
const IMAGE: &str = "SPDXRef-Image";

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

fn checksum(algorithm: &str, value: &str) -> Value {
    json!({"algorithm": algorithm, "checksumValue": value})
}

/// A namespace that no other document shares: it names the image by its digest.
fn namespace(bom: &Bom<'_>) -> String {
    let (_, _, hex) = split_digest(&bom.source.digest);
    format!("urn:coreos-xtask:{}:{}:{hex}", bom.name(), bom.source.release)
}

fn root(bom: &Bom<'_>) -> Value {
    json!({
        "SPDXID": ROOT,
        "name": bom.name(),
        "versionInfo": bom.source.release.as_str(),
        "supplier": "Organization: local build",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": true,
        "packageVerificationCode": {"packageVerificationCodeValue": verification_code(bom)},
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER",
    })
}

fn image(bom: &Bom<'_>) -> Value {
    let source = bom.source;
    let (algorithm, _, hex) = split_digest(&source.digest);
    let is_url = source.location.starts_with("https://") || source.location.starts_with("http://");
    let mut image = json!({
        "SPDXID": IMAGE,
        "name": format!("{} {} image", source.vendor, source.board),
        "versionInfo": source.release.as_str(),
        "supplier": format!("Organization: {}", source.vendor),
        "downloadLocation": if is_url { source.location.as_str() } else { "NOASSERTION" },
        "filesAnalyzed": false,
        "checksums": [checksum(algorithm, hex)],
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "OPERATING-SYSTEM",
    });
    if let Some(signer) = &source.signer {
        image["comment"] =
            format!("signed {} by key {} of primary key {}", signer.signed_at, signer.subkey, signer.primary)
                .into();
    }
    image
}

/// SHA-1 over the sorted SHA-1 values of all files (SPDX 2.3, section 7.9).
fn verification_code(bom: &Bom<'_>) -> String {
    let mut sums: Vec<&str> = bom
        .entries
        .values()
        .filter_map(|entry| match entry {
            Entry::File { sha1, .. } => Some(sha1.as_str()),
            Entry::Symlink(_) => None,
        })
        .collect();
    sums.sort_unstable();
    let code = digest(&SHA1_FOR_LEGACY_USE_ONLY, sums.concat().as_bytes());
    code.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn component(bom: &Bom<'_>, package: &Package, id: &str) -> Value {
    let declared: Vec<String> = package.licenses.iter().map(|name| license_ref(name)).collect();
    let declared = if declared.is_empty() { "NOASSERTION".to_owned() } else { declared.join(" AND ") };
    let mut component = json!({
        "SPDXID": id,
        "name": package.name,
        "versionInfo": package.version,
        "supplier": format!("Organization: {}", bom.source.vendor),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": declared,
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": package_url(package),
        }],
    });
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

fn extracted_text(name: &str) -> String {
    format!("The distribution calls this licence {name}; its text is in share/licenses/common of the image.")
}
