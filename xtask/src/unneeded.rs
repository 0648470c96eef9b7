//! `unneeded`: listed paths that nothing listed needs, and with `--prove` builds and boots without them.

mod bisection;
mod tree_copy;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::bounded_file;
use crate::cli::Unneeded;
use crate::context::Context;
use crate::images::ImageSet;
use crate::report::styled_text::{Style, StyledText};
use crate::report::{Report, count_with_noun, sizes};
use coreos_types::{Board, Flavor, Result};
use manifest::suggestion::Suggestion;
use manifest::unneeded::{UnneededCategory, UnneededLine, find_unneeded, possible_file_names};

/// Lists the paths by confidence, each group with the commands that remove it.
///
/// # Errors
/// An image is not available or not trusted; with `--prove`, the tree cannot be built and booted as it is.
pub(crate) fn unneeded(context: &Context<'_>, args: &Unneeded, report: &mut Report) -> Result<()> {
    let pinned = context.pins.release().clone();
    let images = ImageSet::open_and_prune_cache(context, Some(&pinned))?;
    report.images = images.origins();
    report.release = Some((pinned.clone(), pinned));
    let words = read_words_of_tree(&context.tree.root().join("stage1"));
    let lines = find_unneeded(&context.sources, &images.trees(), &words)?;
    images.store_trees();
    let groups = UnneededCategory::ALL.map(|group| {
        let lines = lines.iter().filter(|line| line.category == group);
        (group, lines.cloned().collect::<Vec<UnneededLine>>())
    });
    report.extra.insert("unneeded", lines.iter().map(to_json).collect());
    let not_empty = groups.iter().filter(|(_, lines)| !lines.is_empty());
    let commands: BTreeMap<&str, String> =
        not_empty.map(|(group, lines)| (group.id(), removal_command(context, lines))).collect();
    report.extra.insert("removal", json!(commands));
    if args.prove {
        return bisection::prove(context, args, &groups, report);
    }
    for (group, lines) in &groups {
        report.styled_output.append(render(context, *group, lines));
    }
    Ok(())
}

fn removal_command(context: &Context<'_>, lines: &[UnneededLine]) -> String {
    let lines = lines.iter().map(|line| (line.file.as_str(), line.path.as_str()));
    context.bare_invocation().hint(&Suggestion::remove(lines))
}

fn distinct_file_bytes(lines: &[UnneededLine]) -> u64 {
    // A file that several manifests list is one file of the root filesystem.
    lines.iter().map(|line| (&line.path, line.bytes)).collect::<BTreeMap<_, _>>().into_values().sum()
}

fn format_size(lines: &[UnneededLine]) -> String {
    sizes::format_bytes_or_dash(Some(distinct_file_bytes(lines)))
}

fn describe_category(group: UnneededCategory) -> &'static str {
    match group {
        UnneededCategory::DevelopmentLinks => "development links, which only a link editor reads",
        UnneededCategory::Libraries => "libraries that no listed file, table or unit names",
        UnneededCategory::ProgramsAndPlugins => {
            "programs and plugins that no unit, script, table or file of stage1/ names"
        }
    }
}

fn render(context: &Context<'_>, group: UnneededCategory, lines: &[UnneededLine]) -> StyledText {
    let mut out = StyledText::new();
    let (count, size) = (count_with_noun(lines.len(), "line"), format_size(lines));
    out.push_line(Style::Strong, format!("{}: {count}, {size}", describe_category(group)));
    for line in lines {
        out.push(Style::Plain, format!("  {}", line.path));
        let size = match line.bytes {
            0 => String::new(),
            bytes => format!(", {}", sizes::format_bytes_or_dash(Some(bytes))),
        };
        out.push_line(Style::Faint, format!("  {}:{}{size}", line.file, line.line));
    }
    push_removal_command(&mut out, context, lines);
    out
}

fn push_removal_command(out: &mut StyledText, context: &Context<'_>, lines: &[UnneededLine]) {
    if !lines.is_empty() {
        out.push(Style::Advice, "  to remove them:");
        out.push_line(Style::Plain, format!(" {}", removal_command(context, lines)));
    }
}

fn to_json(line: &UnneededLine) -> Value {
    let used_by =
        |(board, flavor): &(Board, Flavor)| json!({ "board": board.id(), "flavor": flavor.as_str() });
    json!({
        "group": line.category.id(),
        "file": line.file,
        "line": line.line,
        "path": line.path,
        "bytes": line.bytes,
        "used_by": line.used_by.iter().map(used_by).collect::<Vec<_>>(),
    })
}

/// Most entries of directories of the tree, files that are searched for names, and bytes of these; rkt has 1 MiB. The
/// words need 13 times as much memory.
const MAX_ENTRIES: usize = if cfg!(test) { 500 } else { 50_000 };
const MAX_FILES: usize = 5_000;
const MAX_BYTES: u64 = 4 << 20;

/// The words in the files below a directory, manifests and builds left out: a file that a unit or script of the
/// tree names is needed. A file that cannot be read has none.
fn read_words_of_tree(directory: &Path) -> BTreeSet<String> {
    let (mut words, mut todo) = (BTreeSet::new(), vec![directory.to_owned()]);
    let (mut bytes_left, mut files, mut entries) = (MAX_BYTES, 0, 0);
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            entries += 1;
            if entries > MAX_ENTRIES {
                return words;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_left_out =
                name.starts_with("manifest") || name.starts_with("build") || name.starts_with('.');
            let Some(kind) = entry.file_type().ok().filter(|_| !is_left_out) else { continue };
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() && files < MAX_FILES {
                files += 1;
                let text = bounded_file::read(&entry.path(), bytes_left).unwrap_or_default();
                bytes_left -= text.len() as u64;
                words.extend(possible_file_names(&String::from_utf8_lossy(&text)).map(str::to_owned));
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_large_tree_are_bounded() {
        let tree = tempfile::tempdir().unwrap();
        let words =
            |from: usize| (from..from + (1 << 17)).map(|n| format!("w{n:05x}x\n")).collect::<String>();
        for number in 0..6 {
            fs::write(tree.path().join(format!("f{number}.mk")), words(number << 17)).unwrap();
        }
        assert_eq!(read_words_of_tree(tree.path()).len() as u64, MAX_BYTES / 8);
    }

    #[test]
    fn entries_of_a_large_tree_are_bounded() {
        let tree = tempfile::tempdir().unwrap();
        (0..MAX_ENTRIES + 9)
            .for_each(|at| fs::write(tree.path().join(format!("{at}")), format!("word{at}")).unwrap());
        assert_eq!(read_words_of_tree(tree.path()).len(), MAX_ENTRIES);
    }
}
