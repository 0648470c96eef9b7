//! CycloneDX 1.6 in JSON (ECMA-424 and <https://cyclonedx.org/docs/1.6/json/>).

use serde_json::{Value, json};
use usr::path::UsrPath;

use super::{Bom, Entry, package_url, split_digest};
use crate::Package;

/// The document: the stage1 as the root component, its packages with their files, and files without an owner.
pub(super) fn document(bom: &Bom<'_>) -> Value {
    let owned = bom.owned();
    let mut components: Vec<Value> = vec![image(bom)];
    components.extend(owned.iter().map(|(package, paths)| component(bom, package, paths)));
    let orphans = bom.entries.keys().filter(|path| bom.packages.owner(path).is_none());
    components.extend(orphans.filter_map(|path| file(bom, path)));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": bom.created(),
            "tools": {"components": [{"type": "application", "name": "cargo-xtask", "version": bom.tool_version}]},
            "component": {
                "type": "container",
                "bom-ref": "stage1",
                "name": bom.name(),
                "version": bom.source.release.as_str(),
            },
        },
        "components": components,
        "dependencies": dependencies(&owned),
    })
}

/// The stage1 depends on its image and on the packages that it takes files of.
fn dependencies(owned: &std::collections::BTreeMap<&Package, Vec<&UsrPath>>) -> Value {
    let mut refs = vec!["image".to_owned()];
    refs.extend(owned.keys().map(|package| package_url(package)));
    json!([{"ref": "stage1", "dependsOn": refs}])
}

fn image(bom: &Bom<'_>) -> Value {
    let source = bom.source;
    let (_, algorithm, hex) = split_digest(&source.digest);
    let mut image = json!({
        "type": "operating-system",
        "bom-ref": "image",
        "name": source.vendor,
        "version": source.release.as_str(),
        "hashes": [{"alg": algorithm, "content": hex}],
        "externalReferences": [{"type": "distribution", "url": source.location}],
        "properties": [{"name": "coreos-xtask:board", "value": source.board.id()}],
    });
    if let (Some(signer), Some(properties)) = (&source.signer, image["properties"].as_array_mut()) {
        let property =
            |name: &str, value: &str| json!({"name": format!("coreos-xtask:{name}"), "value": value});
        properties.push(property("signed-by", &signer.primary));
        properties.push(property("signing-subkey", &signer.subkey));
        properties.push(property("signed-at", &signer.signed_at));
    }
    image
}

fn component(bom: &Bom<'_>, package: &Package, paths: &[&UsrPath]) -> Value {
    let files: Vec<Value> = paths.iter().filter_map(|path| file(bom, path)).collect();
    let licenses: Vec<Value> =
        package.licenses.iter().map(|name| json!({"license": {"name": name}})).collect();
    let mut component = json!({
        "type": "library",
        "bom-ref": package_url(package),
        "name": package.name,
        "version": package.version,
        "purl": package_url(package),
    });
    if !licenses.is_empty() {
        component["licenses"] = licenses.into();
    }
    if let Some(homepage) = &package.homepage {
        component["externalReferences"] = json!([{"type": "website", "url": homepage}]);
    }
    if !files.is_empty() {
        component["components"] = files.into();
    }
    component
}

/// A regular file; `None` for a link.
fn file(bom: &Bom<'_>, path: &UsrPath) -> Option<Value> {
    match bom.entries.get(path)? {
        Entry::File { sha256, .. } => Some(json!({
            "type": "file",
            "bom-ref": format!("file:usr/{path}"),
            "name": format!("usr/{path}"),
            "hashes": [{"alg": "SHA-256", "content": sha256}],
        })),
        Entry::Symlink(_) => None,
    }
}
