#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use super::*;
use crate::elf::{DlopenNote, DlopenPriority, ElfInfo, Filtee, FilterKind, VersionNeed};

fn tree(nodes: &[(&str, &str)]) -> UsrTree {
    let mut tree = UsrTree::new();
    for (path, target) in nodes {
        let kind = match *target {
            "" => NodeKind::file(0, FileInfo::Other),
            "/" => NodeKind::Directory,
            target => NodeKind::Symlink(target.to_owned()),
        };
        tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o644, kind });
    }
    tree
}

fn render(resolved: &Resolution) -> String {
    let links: Vec<&str> = resolved.links.iter().map(UsrPath::as_str).collect();
    let end = match &resolved.end {
        ResolutionEnd::Node(path) => path.to_string(),
        ResolutionEnd::Missing(path) => format!("missing {path}"),
        other => format!("{other:?}"),
    };
    format!("[{}] {end}", links.join(" "))
}

#[test]
fn parent_components_apply_after_symlinks() {
    let tree = tree(&[
        ("lib", "lib64"),
        ("lib64/libz.so.1", "libz.so.1.2"),
        ("lib64/libz.so.1.2", ""),
        ("lib64/x86_64-linux-gnu", "."),
        ("lib64/up", "../bin"),
        ("bin/a", ""),
        ("deep/one/two/b", ""),
        ("short", "deep/one/two"),
        ("abs", "/usr/short/../b2"),
        ("deep/one/b2", ""),
        ("over", "../lib64/libz.so.1"),
        ("root", "/lib/libz.so.1.2"),
        ("self", "/usr"),
        ("out", "/etc/passwd"),
        ("loop", "loop"),
        ("bin/dangling", "gone/x"),
    ]);
    for (path, expected) in [
        ("lib/libz.so.1", "[lib lib64/libz.so.1] lib64/libz.so.1.2"),
        ("lib/x86_64-linux-gnu/libz.so.1.2", "[lib lib64/x86_64-linux-gnu] lib64/libz.so.1.2"),
        ("lib/up/a", "[lib lib64/up] bin/a"),
        ("abs", "[abs short] deep/one/b2"),
        ("over", "[over lib64/libz.so.1] lib64/libz.so.1.2"),
        ("root", "[root lib] lib64/libz.so.1.2"),
        ("self/bin/a", "[self] bin/a"),
        ("self", "[self] UsrRoot"),
        ("out", "[out] OutsideUsr"),
        ("bin/dangling", "[bin/dangling] missing bin/gone/x"),
        ("bin/a/b", "[] missing bin/a/b"),
        ("none/x", "[] missing none/x"),
    ] {
        assert_eq!(render(&tree.resolve(&UsrPath::new(path).unwrap())), expected, "{path}");
    }
    assert_eq!(tree.resolve(&UsrPath::new("loop").unwrap()).end, ResolutionEnd::TooManySymlinks);
}

#[test]
fn rootfs_paths_resolve_through_its_symlinks() {
    let tree = tree(&[("lib", "lib64"), ("lib64/ld.so", ""), ("lib64/x/y", "")]);
    for (path, expected) in [
        ("/lib64/ld.so", "[] lib64/ld.so"),
        ("/lib/ld.so", "[lib] lib64/ld.so"),
        ("//usr/./lib/x/../ld.so", "[lib] lib64/ld.so"),
        ("/usr/../lib64/ld.so", "[] lib64/ld.so"),
        ("/../usr/lib64/ld.so", "[] lib64/ld.so"),
        ("/etc/ld.so.cache", "[] OutsideUsr"),
        ("/", "[] OutsideUsr"),
        ("/usr/", "[] UsrRoot"),
    ] {
        assert_eq!(render(&tree.resolve_rootfs(path)), expected, "{path}");
    }
}

#[test]
fn text_form_round_trips() {
    let mut tree =
        tree(&[("lib", "lib64"), ("lib64/odd\tname\n\\", ""), ("lib64/x", "/usr/a\\b"), ("empty", "/")]);
    let elf = ElfInfo {
        is_64: true,
        machine: 62,
        has_dynamic_section: true,
        interp: Some("/lib64/ld.so".into()),
        needed: vec!["libc.so.6".into(), "li\\b".into()],
        runpath: Some(vec![String::new(), "/usr/lib".into()]),
        filters: vec![
            Filtee { name: "libf.so".into(), kind: FilterKind::Filter, position: 1 },
            Filtee { name: "a b\t".into(), kind: FilterKind::Auxiliary, position: 0 },
        ],
        unloadable_reason: Some("why".into()),
        searches_legacy_hwcaps: true,
        verneed: ["a", "a", "b"]
            .into_iter()
            .map(|library| VersionNeed {
                library: library.into(),
                version: "V_1".into(),
                weak: library == "b",
            })
            .collect(),
        verdef: vec!["X".into()],
        dlopen_notes: vec![DlopenNote {
            sonames: vec!["libq.so".into()],
            feature: "f".into(),
            description: "a\tb".into(),
            priority: DlopenPriority::Recommended,
        }],
        ..ElfInfo::default()
    };
    let infos = [
        FileInfo::Elf(Box::new(elf)),
        FileInfo::Elf(Box::default()),
        FileInfo::Elf(Box::new(ElfInfo { runpath: Some(Vec::new()), ..ElfInfo::default() })),
        FileInfo::Script("/bin/sh".into()),
        FileInfo::Text("[Unit]\n".into()),
        FileInfo::MalformedElf("why".into()),
    ];
    for (at, info) in infos.into_iter().enumerate() {
        let kind = NodeKind::file(1 << 40, info);
        tree.insert(UsrPath::new(&format!("bin/{at}")).unwrap(), Node { mode: 0o4755, kind });
    }
    let unread = Node { mode: 0o644, kind: NodeKind::unread_file(7) };
    tree.insert(UsrPath::new("bin/unread").unwrap(), unread);
    tree.insert(UsrPath::new("dev").unwrap(), Node { mode: 0o600, kind: NodeKind::Special });
    let text = tree.to_text();
    assert_eq!(UsrTree::from_text(text.as_bytes()).as_ref(), Ok(&tree));
    assert_eq!(UsrTree::from_text(UsrTree::new().to_text().as_bytes()), Ok(UsrTree::new()));
}

/// Appends the checksum to a body.
fn with_checksum(body: &str) -> Vec<u8> {
    let text = format!("usr-tree 5\n{body}");
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{text}sha256 {hex}\n").into_bytes()
}

#[test]
fn malformed_text_is_an_error_with_the_line() {
    let error = |bytes: &[u8]| UsrTree::from_text(bytes).unwrap_err();
    assert_eq!(error(b""), "it does not start with \"usr-tree 5\"");
    assert_eq!(error(b"usr-tree 5\n"), "it ends before its checksum");
    let mut flipped = tree(&[("bin/a", "")]).to_text().into_bytes();
    flipped[20] ^= 1;
    assert_eq!(error(&flipped), "its checksum does not match");
    for (body, why) in [
        ("d755\t0\tb\nd755\t0\ta\n", "line 3: \"a\" is out of order"),
        ("d755\t0\tb\nd755\t1\t\n", "line 3: \"b\" is out of order"),
        ("d755\t0\t\u{e9}\nd755\t1\ta\n", "line 3: the path has no part of the last one"),
        ("d755\t1\ta\n", "line 2: the path has no part of the last one"),
        ("d755\ta\n", "line 2: the path has no part of the last one"),
        ("f644\t0\tbin/a\t1\tp\n", "line 2: the directory of \"bin/a\" is missing"),
        ("f644\t0\ta\t1\tp\nf644\t1\t/b\t1\tp\n", "line 3: the directory of \"a/b\" is missing"),
        ("d755\t0\ta\nd755\t1\t/b\nd755\t3\t/..\n", "line 4: \"a/b/..\" is not a normalised path"),
        ("d755\t0\ta\nd755\t1\t/b\nd755\t2\tc\nd755\t3\t/\n", "line 5: \"a/c/\" is not a normalised path"),
        ("d755\t0\ta\nd755\t1\t/b\nd755\t0\tb/b\n", "line 4: the directory of \"b/b\" is missing"),
        ("d755\t0\ta/../b\n", "line 2: the directory of \"a/../b\" is missing"),
        ("d755\t0\t/a\n", "line 2: \"/a\" is not a normalised path"),
        ("d9\t0\ta\n", "line 2: the mode is not an octal number up to 7777"),
        ("d755\t0\ta\tx\n", "line 2: \"x\" is one field too many"),
        ("q755\t0\ta\n", "line 2: \"q\" is not a kind of node"),
        ("\n", "line 2: the line is empty"),
        ("f644\t0\ta\t1\te\t64l62\tAx\n", "line 2: a part of a dlopen note comes before the note"),
        ("f644\t0\ta\t1\te\t64l62\t\u{e9}\n", "line 2: \"\u{e9}\" is not an ELF field"),
        ("f644\t0\ta\t1\te\t64l62\tL\u{e9}\n", "line 2: \"\u{e9}\" starts with no priority"),
        ("l777\t0\ta\tx\\\n", "line 2: a backslash escapes nothing"),
    ] {
        assert_eq!(error(&with_checksum(body)), why, "{body:?}");
    }
}

/// A reader that returns files that need `libz.so.1` and records the batches; `bin/broken` is an error.
#[derive(Default)]
struct CountingReader(Mutex<Vec<Vec<String>>>);

impl FileInfoReader for CountingReader {
    fn read_infos(&self, paths: &[UsrPath]) -> Result<Vec<(UsrPath, FileInfo)>> {
        self.0.lock().unwrap().push(paths.iter().map(ToString::to_string).collect());
        if paths.iter().any(|path| path.name() == "broken") {
            return Err(Error::failed("the image is broken"));
        }
        let needed = vec!["libz.so.1".to_owned()];
        let info = FileInfo::Elf(Box::new(ElfInfo { needed, ..ElfInfo::default() }));
        Ok(paths.iter().map(|path| (path.clone(), info.clone())).collect())
    }
}

fn unread_tree() -> (UsrTree, Arc<CountingReader>) {
    let mut tree = UsrTree::new();
    for path in ["bin/a", "bin/b", "bin/broken", "lib64/libz.so.1.3"] {
        let node = Node { mode: 0o755, kind: NodeKind::unread_file(1) };
        tree.insert(UsrPath::new(path).unwrap(), node);
    }
    let link = Node { mode: 0o777, kind: NodeKind::Symlink("libz.so.1.3".to_owned()) };
    tree.insert(UsrPath::new("lib64/libz.so.1").unwrap(), link);
    let reader = Arc::new(CountingReader::default());
    (tree.with_reader(reader.clone()), reader)
}

#[test]
fn files_are_read_once_and_with_their_libraries() {
    let (tree, reader) = unread_tree();
    assert_eq!(tree.known_file_info("bin/a"), None);
    assert_eq!(tree.read_file_info("lib64/libz.so.1"), None, "a symlink has no content");
    let paths = ["bin/a", "bin/b", "lib64", "none"].map(|path| UsrPath::new(path).unwrap());
    tree.read_ahead(&paths);
    tree.read_ahead(&paths);
    assert!(tree.read_file_info("bin/a").is_some() && tree.read_file_info("lib64/libz.so.1.3").is_some());
    assert_eq!(*reader.0.lock().unwrap(), [vec!["bin/a", "bin/b"], vec!["lib64/libz.so.1.3"]]);
    let cached = UsrTree::from_text(tree.to_text().as_bytes()).unwrap();
    assert_eq!(cached.known_file_info("bin/a"), tree.known_file_info("bin/a"));
    assert_eq!(cached.known_file_info("bin/broken"), None);
}

#[test]
fn first_read_error_is_kept() {
    let (tree, reader) = unread_tree();
    assert_eq!(tree.check_reads(), Ok(()));
    assert_eq!(tree.read_file_info("bin/broken"), Some(&FileInfo::Other));
    assert_eq!(tree.read_file_info("bin/a"), Some(&FileInfo::Other));
    assert_eq!(tree.check_reads(), Err(Error::failed("the image is broken")));
    assert_eq!(reader.0.lock().unwrap().len(), 1, "nothing is read after an error");
    assert_eq!(tree.known_file_info("bin/broken"), None, "a cache does not keep what could not be read");
}

#[test]
fn text_of_more_nodes_than_an_image_is_refused() {
    let special = Node { mode: 0o644, kind: NodeKind::Special };
    let nodes = (0..=MAX_NODES).map(|at| (UsrPath::new(&format!("{at:06}")).unwrap(), special.clone()));
    let tree = UsrTree::from_nodes(nodes.collect());
    let error = UsrTree::from_text(tree.to_text().as_bytes()).unwrap_err();
    assert_eq!(error, format!("line {}: it has more than {MAX_NODES} nodes", MAX_NODES + 2));
}

#[test]
fn text_of_longer_paths_than_an_image_is_refused() {
    // Each line repeats the long path of the line before.
    let long = format!("d755\t0\t{}\n", "x".repeat(1 << 20));
    let lines: String = (0..64).map(|at| format!("d755\t{}\tx\n", (1 << 20) + at)).collect();
    let error = UsrTree::from_text(&with_checksum(&(long + &lines))).unwrap_err();
    assert_eq!(error, format!("line 33: the paths have more than {MAX_PATH_BYTES} bytes"));
}
