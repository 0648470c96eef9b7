use super::*;

fn packages() -> PackageSet {
    let mut set = PackageSet::new();
    let mut pam = Package::parse_atom("sys-libs/pam-1.6.1+x").unwrap();
    pam.licenses = vec!["BSD".to_owned(), "GPL-2+".to_owned()];
    pam.homepage = Some("https://example.invalid/pam".to_owned());
    set.insert(pam, ["lib64/libpam.so.0", "lib64/libpam.so.0.85.1"].map(|path| UsrPath::new(path).unwrap()));
    set.insert(Package::parse_atom("app-misc/other-1").unwrap(), [UsrPath::new("bin/other").unwrap()]);
    set
}

fn bom(format: Format) -> Value {
    let file = |digit: &str| Some(FileHashes { sha256: digit.repeat(64), sha1: digit.repeat(40) });
    let entries =
        [("bin/own", file("b")), ("lib64/libpam.so.0", None), ("lib64/libpam.so.0.85.1", file("a"))]
            .map(|(path, entry)| (UsrPath::new(path).unwrap(), entry));
    let signer = Signer {
        primary: "F".repeat(40),
        signing_key: "E".repeat(40),
        signed_at: "2026-01-02T03:04:05Z".to_owned(),
        user_id: None,
    };
    let source = ImageSource {
        vendor: "Flatcar Container Linux".to_owned(),
        release: "4593.2.5".parse().unwrap(),
        board: Board::Amd64,
        location: "https://example.invalid/image.cpio.gz".to_owned(),
        digest: format!("sha512:{}", "0".repeat(128)),
        signer: Some(signer),
    };
    let flavor = Flavor::from_dir_name("usr_from_coreos").unwrap();
    let entries: BTreeMap<UsrPath, Option<FileHashes>> = entries.into();
    let flavors = BTreeMap::from([(flavor, entries.keys().cloned().collect())]);
    let board = BoardBom { source, entries, flavors, packages: &packages() };
    let text = render(std::slice::from_ref(&board), "0.1.0", format);
    assert_eq!(text, render(&[board], "0.1.0", format), "deterministic");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn spdx_lists_files_owners_and_licences() {
    let document = bom(Format::Spdx);
    let names = |key: &str, field: &str| -> Vec<String> {
        document[key].as_array().unwrap().iter().map(|v| v[field].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("files", "fileName"), ["./usr/bin/own", "./usr/lib64/libpam.so.0.85.1"]);
    assert_eq!(
        names("packages", "name"),
        ["Flatcar Container Linux amd64-usr image", "stage1-coreos-amd64-usr", "sys-libs/pam"]
    );
    assert_eq!(document["packages"][2]["licenseDeclared"], "LicenseRef-BSD AND LicenseRef-GPL-2--or-later");
    assert_eq!(names("hasExtractedLicensingInfos", "name"), ["BSD", "GPL-2+"]);
    assert_eq!(document["creationInfo"]["created"], "2026-01-02T03:04:05Z");
    let contains = document["relationships"].as_array().unwrap().iter().any(|link| {
        link["spdxElementId"] == "SPDXRef-File-amd64-usr-1"
            && link["relatedSpdxElement"] == "SPDXRef-Package-amd64-usr-0"
    });
    assert!(contains, "the file names its package");
}

#[test]
fn cyclonedx_nests_files_in_packages() {
    let document = bom(Format::CycloneDx);
    let components = document["components"].as_array().unwrap();
    let names: Vec<&str> = components.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["stage1-coreos-amd64-usr", "Flatcar Container Linux", "sys-libs/pam", "usr/bin/own"]);
    assert_eq!(components[2]["purl"], "pkg:ebuild/sys-libs/pam@1.6.1%2Bx?arch=amd64-usr");
    assert_eq!(components[2]["components"][0]["name"], "usr/lib64/libpam.so.0.85.1");
    assert_eq!(components[1]["hashes"][0]["alg"], "SHA-512");
}
