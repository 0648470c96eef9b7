//! Comparison with `unsquashfs -lls` on images made by `mksquashfs`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use pxe_image::{SignatureCheck, TempFileDir, VerifiedImage};
use release_fixture::pack;
use usr::{NodeKind, UsrTree};

use super::output;

/// Mode, and size or target, of each path from `unsquashfs -lls`.
fn list_with_unsquashfs(image: &Path) -> BTreeMap<String, String> {
    let listing = output("unsquashfs", &["-lls", image.to_str().unwrap()]);
    let mut found = BTreeMap::new();
    for line in listing.lines() {
        let mut words = line.split_whitespace();
        let (Some(mode), Some(_owner), Some(size), Some(_date), Some(_time)) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Some((_, path)) = line.split_once("squashfs-root/") else { continue };
        let (path, entry) = match (path.split_once(" -> "), mode.chars().next()) {
            (Some((path, target)), Some('l')) => (path, format!("{mode} {target}")),
            (_, Some('d')) => (path, mode.to_owned()),
            _ => (path, format!("{mode} {size}")),
        };
        found.insert(path.to_owned(), entry);
    }
    found
}

/// Mode, and size or target, of each path of a tree.
fn list(tree: &UsrTree) -> BTreeMap<String, String> {
    let entry = |node: &usr::Node| match &node.kind {
        NodeKind::File { size, .. } => format!("-{} {size}", letters(node.mode)),
        NodeKind::Directory => format!("d{}", letters(node.mode)),
        NodeKind::Symlink(target) => format!("l{} {target}", letters(node.mode)),
        NodeKind::Special => "special".to_owned(),
    };
    tree.iter().map(|(path, node)| (path.to_string(), entry(node))).collect()
}

/// `rwxr-xr-x`, with setuid, setgid and sticky as ls(1) shows them.
fn letters(mode: u16) -> String {
    let one = |shift: u16, special: u16, letter: char| {
        let bits = mode >> shift;
        let last = match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        };
        [if bits & 4 != 0 { 'r' } else { '-' }, if bits & 2 != 0 { 'w' } else { '-' }, last]
    };
    [one(6, 0o4000, 's'), one(3, 0o2000, 's'), one(0, 0o1000, 't')].concat().into_iter().collect()
}

fn files(root: &Path) {
    for number in 0..600 {
        let directory = root.join(format!("lib64/d{}/e{}", number % 7, number % 31));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(format!("file {number} \u{e9}"));
        fs::write(&path, vec![b'x'; number * 73]).unwrap();
        let modes = [0o644, 0o755, 0o4755, 0o2711, 0o1600, 0o000];
        fs::set_permissions(&path, fs::Permissions::from_mode(modes[number % modes.len()])).unwrap();
        symlink(format!("../e{number}/x"), directory.join(format!("link{number}"))).unwrap();
    }
    fs::create_dir(root.join("empty")).unwrap();
    symlink("lib64", root.join("lib")).unwrap();
}

fn list_image(squashfs: &[u8]) -> BTreeMap<String, String> {
    let home = tempfile::tempdir().unwrap();
    let archive = pack::cpio_archive(&[("etc", b""), ("usr.squashfs", squashfs)]).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&archive).unwrap();
    let archive = gzip.finish().unwrap();
    let scratch = TempFileDir::new(home.path());
    let image = VerifiedImage::read_and_verify(
        "a test",
        Cursor::new(archive),
        None,
        SignatureCheck::new(None),
        &scratch,
    )
    .unwrap();
    list(image.open().unwrap().tree())
}

#[test]
#[ignore = "needs mksquashfs and unsquashfs"]
fn tree_matches_unsquashfs_for_each_compressor() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("usr");
    fs::create_dir(&root).unwrap();
    files(&root);
    let options: [&[&str]; 6] = [
        &["-comp", "gzip"],
        &["-comp", "xz"],
        &["-comp", "zstd", "-b", "1M"],
        &["-comp", "lz4", "-no-fragments"],
        &["-comp", "gzip", "-noI", "-noD", "-noF"],
        &["-comp", "gzip", "-b", "4K", "-no-exports", "-always-use-fragments"],
    ];
    for (number, options) in options.iter().enumerate() {
        let image = home.path().join(format!("{number}.squashfs"));
        let mut arguments = vec![root.to_str().unwrap(), image.to_str().unwrap(), "-quiet", "-no-progress"];
        arguments.extend(*options);
        output("mksquashfs", &arguments);
        let expected = list_with_unsquashfs(&image);
        assert!(expected.len() > 1200, "{}", expected.len());
        assert_eq!(list_image(&fs::read(&image).unwrap()), expected, "{options:?}");
    }
}
