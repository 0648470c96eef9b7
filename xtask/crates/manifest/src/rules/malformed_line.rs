//! Rule: a line is a path of the image in the form that the build expects. Other spellings of a path are rewritten;
//! comments, blank and repeated lines are removed. rkt's build joins the manifests with `cat` and `sort -u`, and
//! compares each line with the image's paths (`comm`).

use std::collections::HashSet;

use super::fix_state::Fixer;
use super::lint_state::Lint;
use crate::file::{BYTE_ORDER_MARK, ManifestFile};
use crate::finding::{Finding, FindingKind, FixKind};
use crate::image_index::{ImageIndex, is_program_directory};
use crate::selection::Location;
use crate::suggestion::Suggestion;
use usr::{LibraryName, UsrPath};

const CRLF: &str = "lines end in CRLF: the build reads the carriage return as a part of the path";
const NO_FINAL_NEWLINE: &str = "the file has no newline at its end: the build joins its last line with the first one of the next manifest";

const BACKUP_NAME: &str = "the name is that of a backup or of an editor's file, and the build reads every file of this directory that is not hidden";

/// Whether a file name is that of a backup by an editor, patch(1) or a package manager.
fn is_backup_name(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let is_of_backup = |extension: &str| {
        ["bak", "backup", "old", "orig", "rej", "save", "swp", "tmp", "dpkg-old", "rpmsave"]
            .contains(&extension)
    };
    name.ends_with(['~', '#']) || name.starts_with('#') || extension.is_some_and(is_of_backup)
}

/// Reports malformed lines, line ends, and backup files.
pub(super) fn check(lint: &mut Lint<'_, '_>) {
    let selection = lint.selection;
    let names = selection.manifest_set.directory_entries().map(|(entry, _)| entry);
    for file in names.filter(|name| is_backup_name(name)) {
        let (site, suggestion) = (lint.site(file, None), Suggestion::HideFile(file.to_owned()));
        lint.emit(Finding::new(FindingKind::Advice, site, file, BACKUP_NAME.to_owned(), suggestion));
    }
    for (&file, text) in &selection.manifest_files {
        let finding = |lint: &Lint<'_, '_>, at: usize, message: String| {
            let location = Location { file, line: at + 1 };
            lint.finding(FindingKind::Tidy, location, &text.lines()[at].text, message, Suggestion::RunFix)
        };
        let lines = text.lines().iter().enumerate();
        let crlf: Vec<usize> = lines.filter(|(_, line)| line.ends_in_crlf()).map(|(at, _)| at).collect();
        if let Some(first) = crlf.first() {
            lint.emit(finding(lint, *first, format!("{} {CRLF}", crlf.len())));
        }
        if text.has_no_final_newline() && selection.manifest_set.is_followed_by_manifest(file) {
            lint.emit(finding(lint, text.lines().len() - 1, NO_FINAL_NEWLINE.to_owned()));
        }
        for malformed in find(text, lint.index) {
            let path = malformed.replacement.and_then(|line| UsrPath::new(&line).ok());
            lint.emit(finding(lint, malformed.index, malformed.reason.to_owned()).candidates(path));
        }
    }
}

/// Rewrites malformed lines and line ends.
pub(super) fn fix(fixer: &mut Fixer<'_>) {
    let (accepted, flavors) = (fixer.accepted, fixer.flavors);
    for file in &fixer.files {
        let Some(editor) = fixer.editors.get_mut(file) else { continue };
        let is_accepted = |line: &str| accepted.prevents_fix(FindingKind::Tidy, flavors, file, line);
        let lines = editor.edited_file().lines();
        let mut crlf = lines.iter().filter(|line| line.ends_in_crlf());
        let keeps_crlf = crlf.next().is_some_and(|line| is_accepted(&line.text));
        let keeps_end = lines.last().is_some_and(|line| is_accepted(&line.text));
        if !keeps_crlf {
            editor.convert_to_lf(CRLF);
        }
        if !keeps_end && flavors.iter().any(|flavor| flavor.is_followed_by_manifest(file)) {
            editor.add_final_newline(NO_FINAL_NEWLINE);
        }
        let mut malformed = find(editor.edited_file(), fixer.index);
        malformed.retain(|line| !is_accepted(&line.line));
        // Rewriting moves lines, so it comes last.
        let removed = malformed.iter().filter(|line| line.replacement.is_none());
        editor.remove_at(removed.map(|line| (line.index, line.reason)));
        for line in &malformed {
            if let Some(replacement) = &line.replacement {
                editor.rename(&line.line, replacement, FixKind::Tidy, line.reason);
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MalformedLine {
    /// The line's index, counted from 0.
    pub(super) index: usize,
    /// The line verbatim.
    line: String,
    /// The corrected line; `None` for a line that is removed.
    replacement: Option<String>,
    reason: &'static str,
}

/// Finds the malformed lines of a manifest: with a byte-order mark, a comment, blank, repeated, with a leading slash or
/// blanks around the path, or without the directory of the path.
pub(super) fn find(text: &ManifestFile, index: &ImageIndex<'_>) -> Vec<MalformedLine> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut malformed = Vec::new();
    for (at, line) in text.lines().iter().enumerate() {
        let (replacement, reason) = match line.text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => {
                let path = || normal_form_if_different(rest, index).map_or(rest.to_owned(), |(path, _)| path);
                let is_empty = rest.trim().is_empty() || rest.trim().starts_with('#');
                (
                    (!is_empty).then(path),
                    "it starts with a byte-order mark (EF BB BF), which is not part of a path",
                )
            }
            None if line.is_blank() => (None, "the line is blank"),
            None if !line.is_entry() => {
                (None, "a manifest cannot have comments: the build reads every line as a path")
            }
            None if !seen.insert(&line.text) => (None, "duplicate line"),
            None => match normal_form_if_different(&line.text, index) {
                Some((path, why)) => (Some(path), why),
                None => continue,
            },
        };
        malformed.push(MalformedLine { index: at, line: line.text.clone(), replacement, reason });
    }
    malformed
}

/// The normal form of a path, and the reason for the difference; `None` if the line is in normal form.
fn normal_form_if_different(line: &str, index: &ImageIndex<'_>) -> Option<(String, &'static str)> {
    if index.tree.get(line).is_some() {
        return None;
    }
    let path = UsrPath::from_rootfs_path(line.trim()).ok()?;
    if path.parent().is_none() {
        return resolve_bare_name(&path, index);
    }
    let below_usr = path.as_str().strip_prefix("usr/").filter(|below| index.tree.get(below).is_some());
    if let Some(below) = below_usr {
        return Some((below.to_owned(), "paths are relative to /usr"));
    }
    let why = if line.starts_with('/') {
        "paths are relative to /usr, without a leading slash"
    } else {
        "paths are written without blanks around them, `./`, `//` or a trailing slash"
    };
    (path.as_str() != line).then(|| (path.to_string(), why))
}

/// Adds the missing directory of a file name (`libcrypt-2.21.so` in `lib64`), also for the only replacement of the name:
/// programs are in `bin` and `sbin`, libraries in the directories that the loader searches.
fn resolve_bare_name(name: &UsrPath, index: &ImageIndex<'_>) -> Option<(String, &'static str)> {
    let library = LibraryName::from_path(name);
    let is_searched = |path: &&UsrPath| {
        path.parent().is_some_and(|directory| match library {
            Some(_) => index.is_loader_search_directory(&directory),
            None => is_program_directory(&directory),
        })
    };
    let mut found: Vec<&UsrPath> = index.with_name_unless_too_many(name.name());
    if let Some(library) = library.as_ref().filter(|_| found.is_empty()) {
        found = index.with_stem_unless_too_many(library.stem).to_vec();
        found.retain(|path| LibraryName::from_path(path).is_some_and(|other| other.can_replace(library)));
    }
    found.retain(|path| is_searched(path) && !index.resolves_to_directory(path));
    let files: Vec<&UsrPath> = found.iter().copied().filter(|path| index.is_file(path)).collect();
    match if found.len() > 1 { files } else { found }.as_slice() {
        [only] => Some((only.to_string(), "the path has no directory")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_and_fix, check_rows};

    /// A comparison of each line with each library would take minutes.
    #[test]
    fn many_names_without_a_directory_are_bounded() {
        let files: Vec<String> = (0..5_000).map(|number| format!("lib64/liba.so.{number}")).collect();
        let manifest: String = (0..5_000).map(|number| format!("liba.so.99999.{number}\n")).collect();
        let outcome = check_and_fix(&files.iter().map(String::as_str).collect::<Vec<_>>(), &manifest);
        assert!(outcome.fixed == manifest);
    }

    #[test]
    fn malformed_lines_are_rewritten_or_removed() {
        let image = &["bin/ip", "bin/ls", "lib64/libz.so.1.3"][..];
        let fixed = "bin/ip\nbin/ls\n";
        check_rows(&[
            (image, fixed, &[], fixed, &[]),
            (image, "bin/ip\nbin/ls", &["warning tidy 2 bin/ls"], fixed, &[]),
            (image, "bin/ip\r\nbin/ls\r\n", &["warning tidy 1 bin/ip"], fixed, &[]),
            (image, "# c\nbin/ip\n\nbin/ls\n", &["warning tidy 1 # c", "warning tidy 3 "], fixed, &[]),
            (image, "/bin/ip\nbin/ls\n", &["warning tidy 1 /bin/ip"], fixed, &[]),
            (image, "usr/bin/ip\nbin/ls\n", &["warning tidy 1 usr/bin/ip"], fixed, &[]),
            (
                image,
                "bin/ip \n./bin//ls/\n",
                &["warning tidy 1 bin/ip ", "warning tidy 2 ./bin//ls/"],
                fixed,
                &[],
            ),
            (image, "bin/ip\nbin/ls\nbin/ip\n", &["warning tidy 3 bin/ip"], fixed, &[]),
            (image, "\u{feff}bin/ip\nbin/ls\n", &["warning tidy 1 \u{feff}bin/ip"], fixed, &[]),
            (image, "\u{feff}# c\nbin/ip\nbin/ls\n", &["warning tidy 1 \u{feff}# c"], fixed, &[]),
            (image, "ip\nbin/ls\n", &["warning tidy 1 ip"], fixed, &[]),
            (image, "libz.so.1.2\n", &["warning tidy 1 libz.so.1.2"], "lib64/libz.so.1.3\n", &[]),
            (&["lib64/klibc/bin/ip"], "ip\n", &["error missing 1 ip"], "ip\n", &["error missing 1 ip"]),
        ]);
    }

    #[test]
    fn leftovers_of_editors_are_recognized() {
        for (name, expected) in [
            ("d/a.manifest~", true),
            ("d/#a#", true),
            ("d/a.orig", true),
            ("d/a.manifest", false),
            ("d/a", false),
        ] {
            assert_eq!(super::is_backup_name(name), expected, "{name}");
        }
    }
}
