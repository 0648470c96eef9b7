//! CycloneDX 1.6 in JSON (ECMA-424 and <https://cyclonedx.org/docs/1.6/json/>).

use coreos_types::Flavor;
use serde_json::{Value, json};
use usr::UsrPath;

use super::{BoardBom, ImageSource, newest_signature_time, package_url, parse_digest};
use crate::Package;

/// The document: the flavors, the images, the packages with their files, and files without an owner.
pub(super) fn document(boards: &[BoardBom<'_>], tool_version: &str) -> Value {
    let mut components: Vec<Value> = Vec::new();
    let mut dependencies: Vec<Value> = Vec::new();
    for bom in boards {
        components.extend(bom.flavors.keys().map(|flavor| flavor_component(bom, flavor)));
        components.push(image_component(&bom.source));
        let owned = bom.packages_with_paths();
        components.extend(owned.values().map(|(package, paths)| package_component(bom, package, paths)));
        let orphans = bom.entries.keys().filter(|path| bom.packages.owner(path).is_none());
        components.extend(orphans.filter_map(|path| file_component(bom, path)));
        dependencies.extend(bom.flavors.keys().map(|flavor| {
            let mut refs = vec![format!("image-{}", bom.source.board)];
            let packages =
                owned.values().filter(|(_, paths)| bom.flavors_taking_any(paths).contains(&flavor));
            refs.extend(packages.map(|(package, _)| package_url(package, bom.source.board)));
            json!({"ref": bom.flavor_name(flavor), "dependsOn": refs})
        }));
    }
    let names = boards.iter().flat_map(|bom| bom.flavors.keys().map(|flavor| bom.flavor_name(flavor)));
    dependencies.push(json!({"ref": "stage1", "dependsOn": names.collect::<Vec<_>>()}));
    let release = boards.first().map_or("", |bom| bom.source.release.as_str());
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": newest_signature_time(boards),
            "tools": {"components": [{"type": "application", "name": "cargo-xtask", "version": tool_version}]},
            "component": {"type": "container", "bom-ref": "stage1", "name": "stage1", "version": release},
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn flavor_component(bom: &BoardBom<'_>, flavor: &Flavor) -> Value {
    json!({
        "type": "container",
        "bom-ref": bom.flavor_name(flavor),
        "name": bom.flavor_name(flavor),
        "version": bom.source.release.as_str(),
    })
}

fn image_component(source: &ImageSource) -> Value {
    let (_, algorithm, hex) = parse_digest(&source.digest);
    let mut properties = vec![property("board", source.board.id())];
    if let Some(signer) = &source.signer {
        properties.push(property("signed-by", &signer.primary));
        properties.push(property("signing-subkey", &signer.signing_key));
        properties.push(property("signed-at", &signer.signed_at));
    }
    json!({
        "type": "operating-system",
        "bom-ref": format!("image-{}", source.board),
        "name": source.vendor,
        "version": source.release.as_str(),
        "hashes": [{"alg": algorithm, "content": hex}],
        "externalReferences": [{"type": "distribution", "url": source.location}],
        "properties": properties,
    })
}

fn property(name: &str, value: &str) -> Value {
    json!({"name": format!("coreos-xtask:{name}"), "value": value})
}

fn package_component(bom: &BoardBom<'_>, package: &Package, paths: &[&UsrPath]) -> Value {
    let files: Vec<Value> = paths.iter().filter_map(|path| file_component(bom, path)).collect();
    let licenses: Vec<Value> =
        package.licenses.iter().map(|name| json!({"license": {"name": name}})).collect();
    let url = package_url(package, bom.source.board);
    let mut component = json!({
        "type": "library",
        "bom-ref": url,
        "name": package.name,
        "version": package.version,
        "purl": url,
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

/// A regular file with the flavors that take it; `None` for a link.
fn file_component(bom: &BoardBom<'_>, path: &UsrPath) -> Option<Value> {
    let hashes = bom.entries.get(path)?.as_ref()?;
    let flavors: Vec<&str> = bom.flavors_taking_any(&[path]).iter().map(|flavor| flavor.as_str()).collect();
    Some(json!({
        "type": "file",
        "bom-ref": format!("file:{}:usr/{path}", bom.source.board),
        "name": format!("usr/{path}"),
        "hashes": [{"alg": "SHA-256", "content": hashes.sha256}],
        "properties": [property("flavors", &flavors.join(","))],
    }))
}
