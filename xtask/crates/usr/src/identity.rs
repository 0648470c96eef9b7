//! The release, board and systemd version of an image.

use std::collections::{BTreeMap, HashMap};

use super::file_info::{FileInfo, is_loader_name, is_systemd_program};
use super::path::UsrPath;
use super::tree::UsrTree;
use coreos_types::{Board, Release, SystemdVersion, Vendor, Vendors};

/// The vendor, release and board of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The first vendor with the `ID` of os-release; `None` if no known vendor has it.
    pub vendor: Option<&'static Vendor>,
    /// The release, by `VERSION` of os-release, else `VERSION_ID`.
    pub release: Option<Release>,
    /// The board; see [`Identity::from_tree`].
    pub board: Option<Board>,
    /// Every variable of `lib/os-release`; empty if the image has none.
    pub os_release: BTreeMap<String, String>,
}

impl Identity {
    /// Reads the identity from the files of [`files_to_identify`].
    ///
    /// The board is `COREOS_BOARD` (or the variable of another vendor) of os-release, else `COREOS_RELEASE_BOARD` of
    /// `share/coreos/release`, else the machine of the loaders and of systemd.
    pub fn from_tree(tree: &UsrTree, vendors: &Vendors) -> Identity {
        let os_release = read_text(tree, "lib/os-release").map(parse_shell_assignments).unwrap_or_default();
        let value = |key: &str| os_release.get(key).map(String::as_str);
        let release_in = |key: &str| value(key)?.split_whitespace().next()?.parse().ok();
        let board_in_os_release = vendors
            .iter()
            .find_map(|vendor| parse_board(vendor, value(&format!("{}_BOARD", vendor.variable_prefix))?));
        Identity {
            vendor: value("ID").and_then(|id| vendors.iter().find(|vendor| vendor.os_release_id == id)),
            release: release_in("VERSION").or_else(|| release_in("VERSION_ID")),
            board: board_in_os_release
                .or_else(|| board_from_release_file(tree, vendors))
                .or_else(|| most_frequent_elf_board(tree, vendors)),
            os_release,
        }
    }
}

/// The files that [`Identity::from_tree`] and [`systemd_version`] read.
pub fn files_to_identify(tree: &UsrTree, vendors: &Vendors) -> Vec<UsrPath> {
    let releases = vendors.iter().map(release_file_path);
    let fixed = std::iter::once("lib/os-release".to_owned()).chain(releases);
    let fixed = fixed.filter_map(|path| resolve_path(tree, &path));
    let by_name = tree.iter().map(|(path, _)| path).filter(|path| {
        is_systemd_program(path.as_str()) || path.as_str().starts_with("lib") && is_loader_name(path.name())
    });
    let mut paths: Vec<UsrPath> = fixed.chain(by_name.cloned()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The variables of an os-release file (os-release(5)): assignments as a shell reads them; the last one is
/// used. Other lines are skipped.
pub fn parse_shell_assignments(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        let Some((key, value)) = line.split_once('=') else { continue };
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.is_empty() || !key.chars().all(good) || key.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        if let Some(value) = parse_shell_value(value) {
            variables.insert(key.to_owned(), value);
        }
    }
    variables
}

/// The systemd version: the number in the name of `libsystemd-shared-NNN.so`, else the version in the strings of
/// the `systemd` program (v229 and older have no such library). If both exist they must agree.
///
/// # Errors
/// The image has no version, or several; the paths and their versions.
pub fn systemd_version(tree: &UsrTree) -> Result<SystemdVersion, String> {
    let mut found = Vec::new();
    for (path, _) in tree.iter() {
        if let Some(number) = shared_library_version(path.name()) {
            found.push((number, path));
        }
        if is_systemd_program(path.as_str())
            && let Some(info) = tree.read_elf_info(path)
            && let Some(number) = info.systemd_version.as_deref().and_then(leading_number)
        {
            found.push((number, path));
        }
    }
    let mut numbers = found.iter().map(|(number, _)| *number);
    match numbers.next() {
        Some(number) if numbers.all(|other| other == number) => Ok(SystemdVersion(number)),
        None => Err("the image has no libsystemd-shared, and no version in the strings of systemd".into()),
        Some(_) => {
            let each: Vec<String> =
                found.iter().map(|(number, path)| format!("v{number} by {path}")).collect();
            Err(format!("the image has several versions of systemd: {}", each.join(", ")))
        }
    }
}

fn shared_library_version(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("libsystemd-shared-")?;
    rest.contains(".so").then(|| leading_number(rest)).flatten()
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn resolve_path(tree: &UsrTree, path: &str) -> Option<UsrPath> {
    tree.resolve(&UsrPath::new(path).ok()?).end.node().cloned()
}

fn read_text<'a>(tree: &'a UsrTree, path: &str) -> Option<&'a str> {
    match tree.read_file_info(resolve_path(tree, path)?.as_str()) {
        Some(FileInfo::Text(text)) => Some(text),
        _ => None,
    }
}

fn release_file_path(vendor: &Vendor) -> String {
    format!("share/{}/release", vendor.os_release_id)
}

fn board_from_release_file(tree: &UsrTree, vendors: &Vendors) -> Option<Board> {
    vendors.iter().find_map(|vendor| {
        let variables = parse_shell_assignments(read_text(tree, &release_file_path(vendor))?);
        parse_board(vendor, variables.get(&format!("{}_RELEASE_BOARD", vendor.variable_prefix))?)
    })
}

/// The board with this name of a vendor, or with the common one.
fn parse_board(vendor: &Vendor, name: &str) -> Option<Board> {
    let own = Board::ALL.into_iter().find(|board| vendor.board_name(*board) == name);
    own.or_else(|| name.parse().ok())
}

fn most_frequent_elf_board(tree: &UsrTree, vendors: &Vendors) -> Option<Board> {
    let files = files_to_identify(tree, vendors);
    let machines = files.iter().filter_map(|path| tree.read_elf_info(path));
    let machines = machines.filter(|info| info.is_64).map(|info| info.machine);
    let mut counts: HashMap<u16, usize> = HashMap::new();
    machines.for_each(|machine| *counts.entry(machine).or_default() += 1);
    let (&machine, _) = counts.iter().max_by_key(|(machine, count)| (**count, **machine))?;
    Board::ALL.into_iter().find(|board| board.elf_machine() == machine)
}

/// A value as a shell reads it: single and double quotes, backslash escapes, and a comment after a blank. `None`
/// for a quote that does not end.
fn parse_shell_value(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ' | '\t') => break,
            (None, '\\') => value.extend(rest.next()),
            (Some('"'), '\\') => match rest.next()? {
                escaped @ ('"' | '\\' | '$' | '`') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            (_, c) => value.push(c),
        }
    }
    quote.is_none().then_some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::elf::ElfInfo;
    use super::super::tree::{Node, NodeKind};
    use super::*;

    fn tree(nodes: &[(&str, FileInfo)]) -> UsrTree {
        let mut tree = UsrTree::new();
        for (path, info) in nodes {
            let kind = NodeKind::file(1, info.clone());
            tree.insert(UsrPath::new(path).unwrap(), Node { mode: 0o755, kind });
        }
        tree
    }

    fn elf(machine: u16, systemd: Option<&str>) -> FileInfo {
        let systemd_version = systemd.map(str::to_owned);
        FileInfo::Elf(Box::new(ElfInfo { is_64: true, machine, systemd_version, ..ElfInfo::default() }))
    }

    #[test]
    fn os_release_is_read_as_a_shell_reads_it() {
        let text = "# comment\nNAME=\"Container Linux by \\\"CoreOS\\\"\"\nID='coreos'\n VERSION_ID=1032.0.0 # x\n\
                    BAD KEY=1\nOPEN=\"x\n1X=2\nID_LIKE=a\\ b\nEMPTY=\n";
        let read = parse_shell_assignments(text);
        let all: Vec<String> = read.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            all,
            [
                "EMPTY=",
                "ID=coreos",
                "ID_LIKE=a b",
                "NAME=Container Linux by \"CoreOS\"",
                "VERSION_ID=1032.0.0"
            ]
        );
    }

    #[test]
    fn board_is_from_os_release_release_file_or_loader() {
        let os_release =
            FileInfo::Text("ID=flatcar\nVERSION=4799.0.0+nightly-1\nFLATCAR_BOARD=arm64-usr\n".into());
        let release = FileInfo::Text("COREOS_RELEASE_BOARD=amd64-usr\n".into());
        let full = tree(&[("lib/os-release", os_release), ("share/coreos/release", release.clone())]);
        let identity = Identity::from_tree(&full, &Vendors::default());
        assert_eq!((identity.vendor, identity.board), (Some(Vendor::FLATCAR), Some(Board::Arm64)));
        assert_eq!(identity.release.unwrap().as_str(), "4799.0.0+nightly-1");
        let no_board = tree(&[("share/coreos/release", release), ("bin/x", elf(183, None))]);
        assert_eq!(Identity::from_tree(&no_board, &Vendors::default()).board, Some(Board::Amd64));
        let only_elf = tree(&[
            ("lib/ld-linux-aarch64.so.1", elf(183, None)),
            ("lib/systemd/systemd", elf(183, None)),
            ("lib64/ld-2.21.so", elf(62, None)),
        ]);
        assert_eq!(Identity::from_tree(&only_elf, &Vendors::default()).board, Some(Board::Arm64));
        assert_eq!(Identity::from_tree(&UsrTree::new(), &Vendors::default()), Identity::default());
    }

    #[test]
    fn os_release_symlink_is_read() {
        let real = UsrPath::new("lib/os-release.d/os-release-coreos").unwrap();
        let text = super::super::file_info::inspect(&real, b"ID=coreos\nVERSION=1032.0.0\n");
        let mut tree = tree(&[(real.as_str(), text)]);
        let link = NodeKind::Symlink("os-release.d/os-release-coreos".into());
        tree.insert(UsrPath::new("lib/os-release").unwrap(), Node { mode: 0o777, kind: link });
        assert_eq!(Identity::from_tree(&tree, &Vendors::default()).vendor, Some(Vendor::COREOS));
    }

    #[test]
    fn systemd_version_of_library_and_program_must_agree() {
        let version = |nodes: &[(&str, FileInfo)]| systemd_version(&tree(nodes)).map(|v| v.to_string());
        let shared = |name| (name, FileInfo::Other);
        assert_eq!(version(&[shared("lib64/systemd/libsystemd-shared-233.so")]), Ok("v233".into()));
        assert_eq!(version(&[shared("lib/systemd/libsystemd-shared-257.9-1.so")]), Ok("v257".into()));
        assert_eq!(version(&[("lib64/systemd/systemd", elf(62, Some("229")))]), Ok("v229".into()));
        assert_eq!(version(&[("lib/systemd/systemd", elf(62, Some("257~rc1")))]), Ok("v257".into()));
        let both =
            [shared("lib/systemd/libsystemd-shared-252.so"), ("lib/systemd/systemd", elf(62, Some("257")))];
        let why = version(&both).unwrap_err();
        assert!(why.contains("v252 by lib/systemd/libsystemd-shared-252.so"), "{why}");
        assert!(version(&[shared("lib/libsystemd.so.0")]).is_err());
    }
}
