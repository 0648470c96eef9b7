//! The bumps of the history with manifest changes, in their shapes: the lists before, an image of the lists after.
//!
//! The lists are those of 991.0.0, moved to and fro in time by the versions in their names. The programs of a
//! manifest need every soname that it lists. What a bump makes of the lists before must be the lists after, to the
//! line.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect;
use xtask::coreos::{Board, Brand};
use xtask::demo::example::FILES;
use xtask::demo::factory::image::Image;
use xtask::demo::factory::listed::with_listed;

use super::row::{Row, lines, path_of, shown};

/// The lists of one moment: by board and manifest (`coreos/bash`).
#[derive(Clone)]
pub(super) struct Lists(pub(super) BTreeMap<(Board, String), BTreeSet<String>>);

impl Lists {
    /// The lists of 991.0.0, amd64 alone.
    pub(super) fn of_991() -> Lists {
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

    /// The same with arm64 beside it: no dev links, systemd in `lib`, and the loader in both directories.
    fn with_arm64(mut self) -> Lists {
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

    /// Replaces a part of every name.
    fn but(mut self, from: &str, to: &str) -> Lists {
        for paths in self.0.values_mut() {
            *paths = paths.iter().map(|path| path.replace(from, to)).collect();
        }
        self
    }

    fn with(mut self, board: Board, manifest: &str, paths: &[&str]) -> Lists {
        let list = self.0.get_mut(&(board, manifest.to_owned())).unwrap();
        list.extend(paths.iter().map(|path| (*path).to_owned()));
        self
    }

    fn without(mut self, path: &str) -> Lists {
        self.0.values_mut().for_each(|paths| drop(paths.take(path)));
        self
    }

    fn boards(&self) -> BTreeSet<Board> {
        self.0.keys().map(|(board, _)| *board).collect()
    }

    /// The image that has exactly what is listed for a board.
    fn image(&self, board: Board, systemd: &str) -> Image {
        let mine = || self.0.iter().filter(|((of, _), _)| *of == board).map(|(_, paths)| paths);
        let all: Vec<&str> = mine().flatten().map(String::as_str).collect();
        let image = Image::new(Brand::CoreOs, board, &"1097.0.0".parse().unwrap(), systemd);
        with_listed(image, &all, |path| {
            let library = path.contains(".so");
            let list = mine().find(|paths| !library && paths.contains(path));
            let sonames = list.into_iter().flatten().filter_map(|path| soname(path));
            sonames.map(str::to_owned).chain([String::from("libc.so.6")]).collect()
        })
    }

    pub(super) fn row(&self, images: impl IntoIterator<Item = Image>) -> Row {
        let mut row = Row::empty(images);
        for ((board, manifest), paths) in &self.0 {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            row = row.lists_for(*board, manifest, &paths);
            if let Some(name) = manifest.strip_prefix("coreos/") {
                row = row.kvm_links_for(*board, name);
            }
        }
        row
    }
}

/// The name that a loader asks for, where the path is such a one: `libz.so.1`, `libsystemd-shared-231.so`.
fn soname(path: &str) -> Option<&str> {
    let (_, name) = path.rsplit_once('/')?;
    let (stem, version) = name.split_once(".so")?;
    let numbers = version.split('.').filter(|number| !number.is_empty()).count();
    (numbers == 1 || name == "libcrypto.so.1.0.0" || stem.starts_with("libsystemd-shared")).then_some(name)
}

/// Bumps `before` to an image of `after`, and returns what was done and left where the lists are `after`'s.
fn replay(before: &Lists, after: &Lists, systemd: &str) -> String {
    let images = after.boards().into_iter().map(|board| after.image(board, systemd));
    let bumped = before.row(images).proved();
    for ((board, manifest), paths) in &after.0 {
        let (flavor, name) = manifest.split_once('/').unwrap();
        let left: BTreeSet<&str> = bumped.findings.iter().map(|finding| finding.path.as_str()).collect();
        let written = lines(&bumped.after.manifests[&path_of(*board, flavor, name)]);
        let written: Vec<&str> = written.into_iter().filter(|line| !left.contains(line)).collect();
        assert_eq!(written, paths.iter().map(String::as_str).collect::<Vec<_>>(), "{board} {manifest}");
    }
    shown(&bumped.fixes, &bumped.findings)
}

/// How many lines start so.
fn count(told: &str, start: &str) -> usize {
    told.lines().filter(|line| line.starts_with(start)).count()
}

/// 6e41a1cd, 738.1.0 to 794.1.0: SELinux came, with its libraries and their dev links.
#[test]
fn selinux_came_to_794() {
    let after = Lists::of_991();
    let mut before = after.clone();
    for path in [
        "libselinux.so",
        "libselinux.so.1",
        "libpcre.so",
        "libpcre.so.1",
        "libpcre.so.1.2.4",
        "libaudit.so",
        "libaudit.so.1",
        "libaudit.so.1.0.0",
    ] {
        before = before.without(&format!("lib64/{path}"));
    }
    let told = replay(&before, &after, "222");
    assert_eq!((count(&told, "add"), told.lines().count()), (8, 8), "{told}");
}

/// 453f76b1, 794.1.0 to 991.0.0: glibc, libseccomp, and libgcrypt with a new soname; kvm was forgotten then.
#[test]
fn glibc_and_libgcrypt_moved_on_to_991() {
    let after = Lists::of_991();
    let before = after
        .clone()
        .but("-2.21.so", "-2.20.so")
        .but("libgcrypt.so.20.0.3", "libgcrypt.so.11.8.2")
        .but("libgcrypt.so.20", "libgcrypt.so.11")
        .but("libseccomp.so.2.1.1", "libseccomp.so.2.1.0");
    let told = replay(&before, &after, "225");
    let glibc = after.0.values().flatten().filter(|path| path.ends_with("-2.21.so")).count();
    assert_eq!((count(&told, "rename"), told.lines().count()), (glibc + 3, glibc + 3), "{told}");
    assert_eq!(count(&told, "rename kvm/amd64/sshd"), 6, "{told}");
}

/// 6e65fb02, 1068.0.0 to 1097.0.0: libgcrypt on arm64, and two real files.
#[test]
fn two_boards_moved_on_to_1097() {
    let after = Lists::of_991().with_arm64();
    let mut before = after.clone().but("libseccomp.so.2.1.1", "libseccomp.so.2.0.9");
    for ((board, _), paths) in &mut before.0 {
        if *board == Board::Arm64 {
            *paths = paths
                .iter()
                .map(|path| {
                    path.replace("libgcrypt.so.20.0.3", "libgcrypt.so.11.8.2")
                        .replace("libgcrypt.so.20", "libgcrypt.so.11")
                })
                .collect();
        }
    }
    expect![[r#"
        rename coreos/amd64/systemd lib64/libseccomp.so.2.0.9 -> lib64/libseccomp.so.2.1.1
        rename coreos/arm64/systemd lib64/libgcrypt.so.11 -> lib64/libgcrypt.so.20
        rename coreos/arm64/systemd lib64/libgcrypt.so.11.8.2 -> lib64/libgcrypt.so.20.0.3
        rename coreos/arm64/systemd lib64/libseccomp.so.2.0.9 -> lib64/libseccomp.so.2.1.1
    "#]]
    .assert_eq(&replay(&before, &after, "229"));
}

/// 39de3a1b, 1097.0.0 to 1151.0.0: libsystemd-shared on both boards, Kerberos for kvm's sshd, programs that went
/// and one that came in their stead, which is for a person to see.
#[test]
fn systemd_231_came_with_1151() {
    let gone = ["systemd-activate", "systemd-bootchart", "systemd-bus-proxyd"];
    let before = Lists::of_991().with_arm64();
    let mut after = before.clone();
    for name in gone {
        after = after.without(&format!("lib64/systemd/{name}")).without(&format!("lib/systemd/{name}"));
    }
    after = after
        .but("libz.so.1.2.8", "libz.so.1.2.9")
        .with(Board::Amd64, "coreos/systemd", &["lib64/systemd/libsystemd-shared-231.so"])
        .with(Board::Arm64, "coreos/systemd", &["lib/systemd/libsystemd-shared-231.so"])
        .with(
            Board::Amd64,
            "kvm/sshd",
            &[
                "lib64/libcom_err.so.2",
                "lib64/libcom_err.so.2.1",
                "lib64/libgssapi_krb5.so.2",
                "lib64/libgssapi_krb5.so.2.2",
                "lib64/libk5crypto.so.3",
                "lib64/libk5crypto.so.3.1",
                "lib64/libkrb5.so.3",
                "lib64/libkrb5.so.3.3",
                "lib64/libkrb5support.so.0",
                "lib64/libkrb5support.so.0.1",
            ],
        );
    let told = replay(&before, &after, "231");
    assert_eq!((count(&told, "add"), count(&told, "LEFT   missing")), (12, 6), "{told}");
}

/// e70889ee, 1235.0.0 to 1478.0.0: glibc 2.23, systemd 233 and 35 new libraries, on both boards and flavors.
#[test]
fn everything_moved_on_to_1478() {
    let before = Lists::of_991()
        .with_arm64()
        .with(Board::Amd64, "coreos/systemd", &["lib64/systemd/libsystemd-shared-231.so"])
        .with(Board::Arm64, "coreos/systemd", &["lib/systemd/libsystemd-shared-231.so"]);
    let new = [
        "lib64/libacl.so.1",
        "lib64/libacl.so.1.1.0",
        "lib64/libcryptsetup.so.4",
        "lib64/libcryptsetup.so.4.7.0",
        "lib64/libidn.so.11",
        "lib64/libidn.so.11.6.16",
    ];
    let dev = ["lib64/libacl.so", "lib64/libcryptsetup.so", "lib64/libidn.so"];
    let after = before
        .clone()
        .but("-2.21.so", "-2.23.so")
        .but("libsystemd-shared-231", "libsystemd-shared-233")
        .but("libz.so.1.2.8", "libz.so.1.2.11")
        .but("libpcre.so.1.2.4", "libpcre.so.1.2.8")
        .but("libgcrypt.so.20.0.3", "libgcrypt.so.20.1.6")
        .but("libgpg-error.so.0.10.0", "libgpg-error.so.0.22.0")
        .but("libseccomp.so.2.1.1", "libseccomp.so.2.3.2")
        .but("liblzma.so.5.0.8", "liblzma.so.5.2.3")
        .but("libcap.so.2.24", "libcap.so.2.25")
        .with(Board::Amd64, "coreos/systemd", &new)
        .with(Board::Amd64, "coreos/systemd", &dev)
        .with(Board::Arm64, "coreos/systemd", &new)
        .with(Board::Arm64, "kvm/sshd", &["lib64/libpam.so.0", "lib64/libpam.so.0.84.1"]);
    let told = replay(&before, &after, "233");
    assert_eq!((count(&told, "add"), count(&told, "LEFT")), (17, 0), "{told}");
    assert_eq!(count(&told, "rename") + 17, told.lines().count(), "{told}");
}
