//! Sorting the manifests: `sort-manifests`.

use std::collections::{BTreeMap, BTreeSet};

use similar::DiffOp;

use super::edit_plan::compare_lines;
use crate::file::ManifestFile;
use crate::finding::{Fix, FixKind};
use crate::sort_order::{self, SortOrder};
use crate::stage1_sources::Stage1Sources;

/// Sorts every manifest. Returns the new sources and each changed line with its reason.
///
/// Only regular files of a manifest directory are sorted; targets of symlinks elsewhere are skipped.
pub fn plan_sort(sources: &Stage1Sources) -> (Stage1Sources, Vec<Fix>) {
    let mut after = sources.clone();
    let mut fixes = Vec::new();
    let orders = sources.manifests.values().map(|bytes| SortOrder::detect(&ManifestFile::parse(bytes)));
    let common_order = SortOrder::common_to(orders);
    let regular = sources.manifest_refs.iter().filter(|found| found.file == found.directory_entry);
    let regular: BTreeSet<&String> = regular.map(|manifest_ref| &manifest_ref.file).collect();
    for (file, bytes) in &mut after.manifests {
        if !regular.contains(file) || sources.outside.contains_key(file) {
            continue;
        }
        let text = ManifestFile::parse(bytes);
        if let Some((sorted, order)) = sort_order::sort_and_dedup(&text, common_order) {
            fixes.extend(changed_lines(file, &text, &sorted, order));
            *bytes = sorted.to_bytes();
        }
    }
    (after, fixes)
}

/// One fix per line that was moved or removed.
fn changed_lines(file: &str, before: &ManifestFile, after: &ManifestFile, order: SortOrder) -> Vec<Fix> {
    let texts = |text: &ManifestFile| text.lines().iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    let (old, new) = (texts(before), texts(after));
    let (mut removed, mut added) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for op in compare_lines(&old, &new) {
        if !matches!(op, DiffOp::Equal { .. }) {
            removed.extend(&old[op.old_range()]);
            new[op.new_range()].iter().for_each(|line| *added.entry(line).or_default() += 1);
        }
    }
    let fix = |line: &String| {
        let moved = added.get_mut(line.as_str()).filter(|count| **count > 0);
        let (kind, to, reason) = match moved {
            Some(count) => {
                *count -= 1;
                (FixKind::Move, Some(line.clone()), format!("the file is sorted in {}", order.describe()))
            }
            None if line.trim().is_empty() => (FixKind::Tidy, None, "the line is blank".to_owned()),
            None => (FixKind::Tidy, None, "duplicate line".to_owned()),
        };
        Fix { file: file.to_owned(), kind, from: Some(line.clone()), to, reason }
    };
    removed.into_iter().map(fix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage1_sources::ManifestRef;
    use coreos_types::{Board, Flavor};

    #[test]
    fn changed_line_has_reason_and_symlink_is_skipped() {
        let mut sources = Stage1Sources::default();
        let flavor = Flavor::from_dir_name("usr_from_coreos");
        for (directory_entry, file) in [("d/a", "d/a"), ("d/b", "d/b"), ("d/link", "elsewhere")] {
            sources.manifests.insert(file.to_owned(), b"bin/b\nbin/a\n\nbin/b\n".to_vec());
            sources.manifest_refs.extend(flavor.clone().map(|flavor| ManifestRef {
                board: Board::Amd64,
                flavor,
                directory_entry: directory_entry.to_owned(),
                file: file.to_owned(),
            }));
        }
        sources.manifests.insert("d/b".to_owned(), b"bin/a\r\nbin/b".to_vec());
        let (after, fixes) = plan_sort(&sources);
        assert_eq!(after.manifests["d/a"], b"bin/a\nbin/b\n");
        assert_eq!(after.manifests["d/b"], sources.manifests["d/b"]);
        assert_eq!(after.manifests["elsewhere"], sources.manifests["elsewhere"]);
        let summary = |fixes: &[Fix]| -> Vec<_> {
            fixes.iter().map(|fix| (fix.kind, fix.from.clone().unwrap_or_default(), fix.to.clone())).collect()
        };
        assert_eq!(
            summary(&fixes),
            [(FixKind::Tidy, "bin/b".to_owned(), None), (FixKind::Tidy, String::new(), None)]
        );
        let (one, other) = (ManifestFile::parse(b"c\na\nb\n"), ManifestFile::parse(b"a\nb\nc\n"));
        assert_eq!(
            summary(&changed_lines("x", &one, &other, SortOrder::Bytes)),
            [(FixKind::Move, "c".to_owned(), Some("c".to_owned()))]
        );
    }
}
