//! A small image and one manifest, for the tables of the rules' tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::lint_and_fix::{FixOptions, fix, lint};
use crate::finding::Finding;
use crate::image_index::ImageIndex;
use crate::selection::ManifestRef;
use crate::stage1_sources::Stage1Sources;
use coreos_types::{Board, Flavor};
use usr::{
    DlopenPriority, ElfInfo, FileInfo, Node, NodeKind, UsrPath, UsrTree,
    elf::{DlopenNote, VersionNeed},
    file_info::inspect,
};

/// Creates an image from one path per line:
///
/// - `bin/x`: an ELF file for the board. Words after the path are what it needs; `NAME@VERSION` is a symbol version that it
///   needs, `+VERSION` one that it defines, `?NAME` a `.note.dlopen` entry of priority `recommended`, `interp=PATH` its
///   interpreter, `arm64` another machine.
/// - `lib/a -> b`: a symlink.
/// - `lib/a = text`: a file with this text, `\n` for a line end.
pub(crate) fn image(paths: &[&str]) -> UsrTree {
    let mut nodes = Vec::new();
    for line in paths {
        let (path, kind) = match (line.split_once(" -> "), line.split_once(" = ")) {
            (Some((path, target)), _) => (path, NodeKind::Symlink(target.to_owned())),
            (None, Some((path, text))) => {
                let info = inspect(&UsrPath::new(path).unwrap(), text.replace("\\n", "\n").as_bytes());
                (path, NodeKind::file(1, info))
            }
            (None, None) => {
                let (path, words) = line.split_once(' ').unwrap_or((line, ""));
                (path, NodeKind::file(1, FileInfo::Elf(Box::new(elf(path, words)))))
            }
        };
        nodes.push((UsrPath::new(path).unwrap(), Node { mode: 0o755, kind }));
    }
    UsrTree::from_nodes(nodes)
}

fn elf(path: &str, words: &str) -> ElfInfo {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut elf = ElfInfo {
        is_64: true,
        has_dynamic_section: true,
        machine: Board::Amd64.elf_machine(),
        soname: name.contains(".so").then(|| name.to_owned()),
        interp: None,
        ..ElfInfo::default()
    };
    for word in words.split_whitespace() {
        match (word.split_once('@'), word.strip_prefix('+'), word.strip_prefix('?')) {
            (Some((library, version)), ..) => {
                elf.needed.push(library.to_owned());
                let (library, version) = (library.to_owned(), version.to_owned());
                elf.verneed.push(VersionNeed { library, version, weak: false });
            }
            (_, Some(version), _) => elf.verdef.push(version.to_owned()),
            (_, _, Some(name)) => elf.dlopen_notes.push(DlopenNote {
                sonames: vec![name.to_owned()],
                feature: "feature".to_owned(),
                description: String::new(),
                priority: DlopenPriority::Recommended,
            }),
            _ if word.starts_with("interp=") => elf.interp = word.strip_prefix("interp=").map(str::to_owned),
            _ if word == "arm64" => elf.machine = Board::Arm64.elf_machine(),
            _ => elf.needed.push(word.to_owned()),
        }
    }
    elf
}

/// The results of a check and a fix of one manifest.
pub(super) struct CheckAndFixResult {
    /// `severity kind line path` of each finding.
    pub(super) findings: Vec<String>,
    /// The message of the first finding.
    pub(super) message: String,
    /// The manifest after a fix.
    pub(super) fixed: String,
    /// The findings after the fix.
    pub(super) remaining: Vec<String>,
}

/// Checks and fixes the manifest `m` of a flavor that also has an empty manifest `z`.
pub(super) fn check_and_fix(paths: &[&str], manifest: &str) -> CheckAndFixResult {
    check_and_fix_with(paths, manifest, false)
}

/// As [`check_and_fix`], with `--drop-missing` or not.
pub(super) fn check_and_fix_with(paths: &[&str], manifest: &str, drop_missing: bool) -> CheckAndFixResult {
    let tree = image(paths);
    let index = ImageIndex::new(&tree, Some(DlopenPriority::Required));
    let indexes = BTreeMap::from([(Board::Amd64, index)]);
    let manifest_ref = |name: &str| ManifestRef {
        board: Board::Amd64,
        flavor: Flavor::from_dir_name("usr_from_coreos").unwrap(),
        directory_entry: name.to_owned(),
        file: name.to_owned(),
    };
    let text = manifest.as_bytes().to_vec();
    let mut sources = Stage1Sources {
        manifests: BTreeMap::from([("m".to_owned(), text), ("z".to_owned(), Vec::new())]),
        manifest_refs: vec![manifest_ref("m"), manifest_ref("z")],
        ..Stage1Sources::default()
    };
    let show = |one: &Finding| {
        format!("{} {} {} {}", one.severity.id(), one.kind.id(), one.line.unwrap_or(0), one.path)
    };
    let findings = lint(&sources, &indexes);
    fix(&mut sources, &indexes, FixOptions { drop_missing, by_names_only: false });
    CheckAndFixResult {
        findings: findings.iter().map(show).collect(),
        message: findings.first().map_or(String::new(), |finding| finding.message.clone()),
        remaining: lint(&sources, &indexes).iter().map(show).collect(),
        fixed: String::from_utf8(sources.manifests["m"].clone()).unwrap(),
    }
}

/// A row of a table: the image, the manifest, the findings before, the manifest after a fix, the findings that remain.
pub(super) type Row<'r> = (&'r [&'r str], &'r str, &'r [&'r str], &'r str, &'r [&'r str]);

/// Compares each row.
pub(super) fn check_rows(rows: &[Row<'_>]) {
    for (paths, manifest, findings, fixed, remaining) in rows {
        let outcome = check_and_fix(paths, manifest);
        let context = format!("{manifest:?} in {paths:?}: {}", outcome.message);
        assert_eq!(outcome.findings, *findings, "{context}");
        assert_eq!(outcome.fixed, *fixed, "{context}");
        assert_eq!(outcome.remaining, *remaining, "{context}");
    }
}
