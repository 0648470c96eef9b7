//! Tables of images, listed paths and the replacement that is found.
#![allow(clippy::unwrap_used)]

use super::*;
use usr::{FileInfo, Node, UsrTree};

/// An image of these paths: `a -> b` is a symlink, `a = text` is a file that is not ELF, the rest are ELF files.
fn image(paths: &[&str]) -> UsrTree {
    let mut tree = UsrTree::new();
    for line in paths {
        let elf = NodeKind::file(1, FileInfo::Elf(Box::default()));
        let (path, kind) = match (line.split_once(" -> "), line.split_once(" = ")) {
            (Some((path, target)), _) => (path, NodeKind::Symlink(target.to_owned())),
            (None, Some((path, _))) => (path, NodeKind::file(1, FileInfo::Other)),
            (None, None) => (*line, elf),
        };
        let mut above = String::new();
        for part in path.split('/').take(path.matches('/').count()) {
            above += part;
            let directory = Node { mode: 0o755, kind: NodeKind::Directory };
            tree.insert(UsrPath::new(&above).unwrap(), directory);
            above.push('/');
        }
        tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
    }
    tree
}

/// The outcome for `path` in a manifest that lists `others` too.
fn outcome(paths: &[&str], others: &[&str], path: &str) -> String {
    let tree = image(paths);
    let index = ImageIndex::new(&tree, None);
    let sonames = BTreeSet::new();
    let lines = others.iter().copied().chain([path]);
    let mut context = ReplacementContext::new(lines, &index, &sonames);
    context.set_manifest(&ManifestFile::parse(others.join("\n").as_bytes()));
    let texts = |paths: Vec<UsrPath>| paths.iter().map(UsrPath::to_string).collect::<Vec<_>>().join(" ");
    match context.find_replacement(&UsrPath::new(path).unwrap()).map(|found| found.outcome) {
        None => "in the image".to_owned(),
        Some(ReplacementOutcome::Renamed(to)) => format!("renamed {to}"),
        Some(ReplacementOutcome::Moved(to)) => format!("moved {to}"),
        Some(ReplacementOutcome::Redundant) => "redundant".to_owned(),
        Some(ReplacementOutcome::Ambiguous(candidates)) => format!("ambiguous {}", texts(candidates)),
        Some(ReplacementOutcome::NotFound(candidates)) => {
            format!("not found {}", texts(candidates)).trim_end().to_owned()
        }
    }
}

#[test]
fn move_requires_directories_of_the_same_use() {
    for (image, others, path, expected) in [
        (&["sbin/mount"][..], &[][..], "bin/mount", "moved sbin/mount"),
        (&["lib/klibc/bin/mount", "bin/sh"], &[], "bin/mount", "not found lib/klibc/bin/mount"),
        (&["lib64/klibc/bin/mount"], &[], "lib/foo/bin/mount", "not found lib64/klibc/bin/mount"),
        (&["lib64/systemd/systemd-x"], &[], "lib/systemd/systemd-x", "moved lib64/systemd/systemd-x"),
        (&["lib64/libz.so.1"], &[], "lib64/app/libz.so.1", "moved lib64/libz.so.1"),
        (&["lib64/app/libz.so.1", "lib64/x"], &[], "lib64/libz.so.1", "not found lib64/app/libz.so.1"),
        (&["lib64/app/libz.so.1.3", "lib64/x"], &[], "lib64/libz.so.1.2", "not found lib64/app/libz.so.1.3"),
        (&["libexec/openssh/helper"], &[], "lib64/openssh/helper", "moved libexec/openssh/helper"),
        (&["lib/foo-2.0/helper"], &[], "lib/foo-1.4/helper", "moved lib/foo-2.0/helper"),
        (&["lib/gcc/13/liba.so.1"], &[], "lib/gcc/4.9.3/liba.so.1", "moved lib/gcc/13/liba.so.1"),
        (&["lib/bar/13/helper"], &[], "lib/foo/4.9.3/helper", "not found lib/bar/13/helper"),
        (&["lib/bar/helper"], &[], "lib/foo/helper", "not found lib/bar/helper"),
        (&["lib/bar/helper", "lib/bar/other"], &["lib/foo/other"], "lib/foo/helper", "moved lib/bar/helper"),
        (&["lib/bar/helper", "lib/foo/x"], &["lib/foo/other"], "lib/foo/helper", "not found lib/bar/helper"),
        (&["share/x/tool"], &[], "bin/tool", "not found"),
    ] {
        assert_eq!(outcome(image, others, path), expected, "{path} with {others:?} in {image:?}");
    }
}

#[test]
fn replacement_is_an_elf_file_of_the_same_kind() {
    let gdb = &["lib/libx.so.6 -> libx.so.6.3", "lib/libx.so.6.3", "lib/libx.so.6.3-gdb.py = x"];
    let script = &["lib/libx.so.6.3 = GROUP", "lib/libx.so.6 = GROUP"];
    let family = &["lib/libcrypt.so.1", "lib/libz.so.1", "lib/libkeyutils.so.1"];
    let nsl = &["lib/libnsl.so.1"];
    let dev_link = &["lib/libn.so -> libn.so.2", "lib/libn.so.2"];
    let pthread = &["lib/libpthread.so.0"];
    let glib =
        &["lib/libglib-2.0.so.0 -> libglib-2.0.so.0.8", "lib/libglib-2.0.so.0.8", "lib/libglib-3.0.so"];
    let two = &[
        "lib/libn.so.2 -> libn.so.2.5",
        "lib/libn.so.2.5",
        "lib/libn.so.3 -> libn.so.3.1",
        "lib/libn.so.3.1",
    ];
    for (image, others, path, expected) in [
        (&gdb[..], &[][..], "lib/libx.so.6.2", "renamed lib/libx.so.6.3"),
        (gdb, &["lib/libx.so.6.3"], "lib/libx.so.6.2", "redundant"),
        (script, &[], "lib/libx.so.6.2", "not found"),
        (family, &[], "lib/libcrypto.so.1", "not found"),
        (family, &[], "lib/libargon2.so.1", "not found"),
        (nsl, &["lib/libnsl.so.1"], "lib/libnsl.so.2.0.1", "not found lib/libnsl.so.1"),
        (nsl, &[], "lib/libnsl.so.2", "not found lib/libnsl.so.1"),
        (nsl, &["lib/libnsl.so.1"], "lib/libnsl.so.0.9.1", "redundant"),
        (nsl, &[], "lib/libnsl.so.0.9.1", "not found lib/libnsl.so.1"),
        (dev_link, &["lib/libn.so.2"], "lib/libn.so.1.2", "redundant"),
        (two, &["lib/libn.so.2.5"], "lib/libn.so.1.2.3-4", "ambiguous lib/libn.so.2.5 lib/libn.so.3.1"),
        (pthread, &["lib/libpthread.so.0"], "lib/libpthread-2.31.so", "redundant"),
        (glib, &[], "lib/libglib-2.0.so", "redundant"),
        (two, &[], "lib/libn.so.2.4", "ambiguous lib/libn.so.2.5 lib/libn.so.3.1"),
        (two, &["lib/libn.so.2"], "lib/libn.so.2.4", "renamed lib/libn.so.2.5"),
        (two, &["lib/libn.so.3"], "lib/libn.so.2.4", "renamed lib/libn.so.3.1"),
    ] {
        assert_eq!(outcome(image, others, path), expected, "{path} with {others:?} in {image:?}");
    }
}
