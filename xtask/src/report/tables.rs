//! The tables of a report, and the facts above and below them: what Markdown and HTML render, each in its own form.

use super::advisories;
use super::package_changes::split_by_taken;
use super::sizes::{Total, format_bytes_or_dash, format_size_change, library_changes, rootfs_totals, total};
use super::{ImageOrigin, Report, count_with_noun, join_flavors, short_manifest_name};
use manifest::finding::{Fix, FixKind};
use packages::package_changes::PackageChange;
use packages::release_notes::RelevantFix;

/// A table with a title.
pub(super) struct Table {
    pub(super) title: String,
    /// The paragraph above it.
    pub(super) intro: Option<String>,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// The paragraph below it.
    pub(super) note: Option<String>,
}

/// The meaning of a cell.
pub(super) enum Cell {
    Text(String),
    /// The name of a sum.
    Sum(String),
    /// A kind, and the class of its colour: good, bad, warn or info.
    Kind(&'static str, &'static str),
    /// A path, the name of a file, a version.
    Path(String),
    /// Several paths, and the number of further ones.
    Paths(Vec<String>, usize),
    /// The old path and the new one, or one of them.
    Change(Vec<String>),
    /// A number with its unit, and its exact value.
    Number(String, Option<i128>),
    /// A manifest of the tree, and a line of it.
    Manifest(String, Option<usize>),
    Links(Vec<String>),
}

impl Cell {
    fn path(path: Option<&str>) -> Cell {
        Cell::Path(path.unwrap_or_default().to_owned())
    }

    fn bytes(bytes: Option<u64>) -> Cell {
        Cell::Number(format_bytes_or_dash(bytes), bytes.map(i128::from))
    }

    fn difference(Total { before, after }: Total) -> Cell {
        let exact = after.zip(before).map(|(after, before)| i128::from(after) - i128::from(before));
        Cell::Number(format_size_change(before, after), exact)
    }

    /// Most names in a cell.
    const MAX_NAMES: usize = 4;

    fn paths<'p>(paths: impl ExactSizeIterator<Item = &'p str>) -> Cell {
        let more = paths.len().saturating_sub(Cell::MAX_NAMES);
        Cell::Paths(paths.take(Cell::MAX_NAMES).map(str::to_owned).collect(), more)
    }
}

impl Table {
    fn new(title: &str, columns: &[&'static str], rows: impl Iterator<Item = Vec<Cell>>) -> Table {
        let (title, columns) = (title.to_owned(), columns.to_vec());
        Table { title, intro: None, columns, rows: rows.collect(), note: None }
    }

    fn with_row_count(title: &str, columns: &[&'static str], rows: impl Iterator<Item = Vec<Cell>>) -> Table {
        let table = Table::new(title, columns, rows);
        Table { title: format!("{title} ({})", table.rows.len()), ..table }
    }
}

/// The release, or the command.
pub(super) fn title(report: &Report) -> String {
    match &report.release {
        Some((from, to)) if from != to => format!("stage1: {from} → {to}"),
        Some((_, to)) => format!("stage1 at {to}"),
        None => format!("cargo xtask {}", report.command),
    }
}

/// The command, the channel and the systemd version.
pub(super) fn run_facts(report: &Report) -> String {
    let mut facts = vec![format!("cargo xtask {}", report.command)];
    facts.extend(report.channel.as_ref().map(|channel| format!("channel {channel}")));
    facts.extend(report.systemd.as_ref().map(|(from, to)| {
        if from == to { format!("systemd {to}") } else { format!("systemd {from} → {to}") }
    }));
    facts.extend(report.dry_run.then(|| "nothing was written".to_owned()));
    facts.join(" · ")
}

/// The changed lines.
pub(super) fn fixes_table(report: &Report) -> Table {
    let row = |fix: &Fix| {
        let paths = [&fix.from, &fix.to].into_iter().flatten().cloned().collect();
        vec![
            Cell::Kind(fix.kind.id(), class_of(fix.kind)),
            Cell::Change(paths),
            Cell::Text(fix.reason.clone()),
            Cell::Manifest(fix.file.clone(), None),
        ]
    };
    Table::with_row_count("Changes", &["change", "path", "why", "manifest"], report.fixes.iter().map(row))
}

/// The findings that the tree accepts.
pub(super) fn accepted_table(report: &Report) -> Table {
    let rows = report.accepted.iter().map(|(finding, reason)| {
        vec![
            Cell::Kind(finding.kind.id(), "info"),
            Cell::Path(finding.path.clone()),
            Cell::Text(reason.trim().to_owned()),
            Cell::Manifest(finding.file.clone(), finding.line),
        ]
    });
    Table::with_row_count("Accepted findings", &["kind", "path", "reason", "where"], rows)
}

fn class_of(kind: FixKind) -> &'static str {
    match kind {
        FixKind::Add => "good",
        FixKind::Drop => "bad",
        FixKind::Tidy => "warn",
        FixKind::Rename | FixKind::Move => "info",
    }
}

/// The libraries that were added, removed or replaced.
pub(super) fn library_changes_table(report: &Report) -> Table {
    let has_before = report.no_sizes_before.is_none();
    let columns: &[&str] = match has_before {
        true => &["library", "file before", "file after", "size", "difference", "needed by"],
        false => &["library", "file before", "file after", "size", "needed by"],
    };
    let rows = library_changes(report).into_iter().map(|library| {
        let mut row: Vec<Cell> = [Some(library.name), library.from, library.to].map(Cell::path).into();
        row.push(match library.to {
            Some(_) => Cell::bytes(library.total.after),
            None => Cell::Number(String::new(), None),
        });
        row.extend(has_before.then(|| Cell::difference(library.total)));
        row.push(Cell::paths(library.needed_by.iter().copied()));
        row
    });
    Table::with_row_count("Libraries", columns, rows)
}

/// Packages with a listed file, and the number of the others.
pub(super) fn package_changes_table(report: &Report) -> Table {
    let (taken, others) = split_by_taken(report.package_changes.as_deref().unwrap_or_default());
    let row = |change: &PackageChange| {
        vec![
            Cell::Path(change.name.clone()),
            Cell::path(change.from.as_deref()),
            Cell::path(change.to.as_deref()),
            Cell::paths(change.taken.iter().map(|path| path.as_str())),
            Cell::Text(join_flavors(&change.flavors)),
        ]
    };
    let rows = taken.into_iter().map(row);
    let columns = ["package", "before", "after", "files in stage1", "flavors"];
    let note = format!("{} changed of which stage1 takes no file.", count_with_noun(others, "package"));
    Table { note: (others > 0).then_some(note), ..Table::with_row_count("Packages", &columns, rows) }
}

/// The security fixes in packages of the stage1, with links to the upstream change logs.
pub(super) fn security_fixes_table(report: &Report) -> Table {
    let columns = ["package", "fixes", "flavors", "change log"];
    let relevant = report.advisories.iter().flat_map(|advisories| advisories.relevant_fixes());
    let note = report.advisories.as_ref().filter(|advisories| advisories.fixes.is_ok());
    let row = |fix: &RelevantFix| {
        vec![
            Cell::Path(fix.package.clone()),
            Cell::Text(advisories::describe_ids(fix)),
            Cell::Text(join_flavors(&fix.flavors)),
            Cell::Links(advisories::shown_links(fix).cloned().collect()),
        ]
    };
    Table {
        note: note.map(|advisories| format!("{}.", advisories.remarks())),
        ..Table::new("Security fixes in packages of stage1", &columns, relevant.map(row))
    }
}

/// Bytes by flavor and manifest. Without sizes of the release before, their columns are left out and the reason is given.
pub(super) fn sizes_table(report: &Report) -> Table {
    let has_before = report.no_sizes_before.is_none();
    let row = |name: Cell, board: &str, total: Total| {
        let mut row = vec![name, Cell::Text(board.to_owned())];
        row.extend(has_before.then(|| Cell::bytes(total.before)));
        row.push(Cell::bytes(total.after));
        row.extend(has_before.then(|| Cell::difference(total)));
        row
    };
    let flavors = rootfs_totals(report).into_iter().map(|(board, flavor, total)| {
        row(Cell::Sum(format!("root filesystem of {flavor}")), board.id(), total)
    });
    let manifests = report.sizes.iter().map(|manifest| {
        row(Cell::Text(short_manifest_name(&manifest.file)), manifest.board.id(), total(manifest))
    });
    let columns: &[&str] = match has_before {
        true => &["files of", "board", "before", "after", "difference"],
        false => &["files of", "board", "size"],
    };
    let table = Table::new("Size of the root filesystem", columns, flavors.chain(manifests));
    let reason = report.no_sizes_before.as_ref().filter(|_| !table.rows.is_empty());
    Table { intro: reason.map(|reason| format!("Sizes before are left out: {reason}.")), ..table }
}

/// Where an image is from and who signed it, as names and values.
pub(super) fn provenance(image: &ImageOrigin) -> Vec<(&'static str, Cell)> {
    let path = |text: &str| Cell::Path(text.to_owned());
    let mut facts = vec![
        ("board", Cell::Sum(image.board.to_string())),
        ("image", path(&image.source)),
        ("digest", path(&image.digest)),
    ];
    match &image.signer {
        None => facts.push(("signed by", Cell::Text("not signed".to_owned()))),
        Some(signer) => {
            facts.extend(signer.user_id.iter().map(|name| ("signed by", Cell::Text(name.clone()))));
            facts.push(("primary key", path(&signer.primary)));
            if signer.signing_key != signer.primary {
                facts.push(("subkey", path(&signer.signing_key)));
            }
            facts.push(("signed at", Cell::Text(signer.signed_at.clone())));
        }
    }
    facts
}
