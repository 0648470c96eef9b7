//! `plan::bump` over made images.

use std::collections::BTreeMap;

use xtask::coreos::Board;
use xtask::demo::example;
use xtask::manifest::mend::Reach;
use xtask::manifest::stage::Listing;
use xtask::plan::bump::{Request, bump};
use xtask::plan::edit::EditPlan;
use xtask::plan::sources::Stage1Sources;
use xtask::usr::elf::DlopenPriority;

fn sources_of_this_repository() -> Stage1Sources {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut manifests = BTreeMap::new();
    let mut listings = Vec::new();
    for (flavor, name, real) in [
        ("coreos", "bash", "coreos"),
        ("coreos", "journald", "coreos"),
        ("coreos", "systemd", "coreos"),
        ("kvm", "bash", "coreos"),
        ("kvm", "journald", "coreos"),
        ("kvm", "systemd", "coreos"),
        ("kvm", "ip", "kvm"),
        ("kvm", "sshd", "kvm"),
    ] {
        let path = |flavor: &str| format!("stage1/usr_from_{flavor}/manifest-amd64-usr.d/{name}.manifest");
        manifests.insert(path(real), std::fs::read(root.join(path(real))).unwrap());
        listings.push(Listing {
            board: Board::Amd64,
            flavor: xtask::coreos::Flavor::of_directory(&format!("usr_from_{flavor}")).unwrap(),
            listed_as: path(flavor),
            file: path(real),
        });
    }
    let common_mk = std::fs::read(root.join("stage1/usr_from_coreos/coreos-common.mk")).unwrap();
    Stage1Sources { common_mk, manifests, listings, ..Stage1Sources::default() }
}

#[test]
fn the_guides_example() {
    let sources = sources_of_this_repository();
    let tree = example::image_after().unwrap().tree();
    let request = Request {
        release: "1032.0.0".parse().unwrap(),
        channel: None,
        brand: None,
        systemd: None,
        reach: Reach { dlopen: Some(DlopenPriority::Required), drop_missing: false, by_names_only: false },
    };
    let trees = BTreeMap::from([(Board::Amd64, &tree)]);
    let bump = bump(&sources, &request, &trees).unwrap();
    let edits = EditPlan::between(&sources, &bump.after).edits;
    let changed: Vec<String> = edits
        .iter()
        .flat_map(|edit| edit.diff().lines().skip(2).map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.starts_with(['+', '-']))
        .collect();
    assert_eq!(
        changed,
        [
            "-CCN_SYSTEMD_VERSION := v225",
            "+CCN_SYSTEMD_VERSION := v229",
            "-CCN_IMG_RELEASE := 991.0.0",
            "+CCN_IMG_RELEASE := 1032.0.0",
            "+lib64/libpam.so",
            "+lib64/libpam.so.0",
            "+lib64/libpam.so.0.84.1",
        ]
    );
    assert_eq!(bump.findings, []);
    assert!(bump.unread.is_empty());
}
