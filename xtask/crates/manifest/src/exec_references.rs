//! Programs that listed units start, and interpreters that listed scripts name.

use super::selection::Selection;
use usr::file_info::FileInfo;
use usr::path::UsrPath;
use usr::tree::{Target, UsrTree};

/// A program that something in the stage starts and the stage does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingExecutable {
    /// The listed unit or script.
    pub by: UsrPath,
    /// The line of it that names the program, or `#!` and the interpreter.
    pub says: String,
    /// The program, as far as it can be followed in the image.
    pub program: UsrPath,
    /// Whether the image has it.
    pub in_image: bool,
    /// The unit says with `-` that it may fail.
    pub optional: bool,
}

/// Programs of `Exec…=` lines (systemd.service(5)) that the stage does not hold.
pub fn programs(stage: &Selection<'_>) -> Vec<MissingExecutable> {
    let mut absent = Vec::new();
    for (unit, facts) in stage.files().filter(|(path, _)| is_unit(path)) {
        let FileInfo::Text(text) = facts else { continue };
        for (line, command) in exec_lines(text) {
            let optional = command.prefixes.contains('-');
            absent.extend(
                lacking(stage, unit, line, command.program)
                    .map(|found| MissingExecutable { optional, ..found }),
            );
        }
    }
    absent
}

/// `#!` interpreters (execve(2)) of listed scripts that the stage does not hold.
pub fn interpreters(stage: &Selection<'_>) -> Vec<MissingExecutable> {
    let mut absent = Vec::new();
    for (script, facts) in stage.files() {
        let FileInfo::Script(interpreter) = facts else { continue };
        let mut words = interpreter.split_whitespace();
        let Some(program) = words.next() else { continue };
        let by_env = if program.ends_with("/env") { words.find(|word| !word.starts_with('-')) } else { None };
        for name in std::iter::once(program).chain(by_env) {
            absent.extend(lacking(stage, script, &format!("#!{interpreter}"), name));
        }
    }
    absent
}

/// The programs that one unit or script of an image starts, each with the words that say so.
pub fn started_by(tree: &UsrTree, path: &UsrPath) -> Vec<(String, UsrPath)> {
    let said: Vec<(String, &str)> = match tree.file_info(path.as_str()) {
        Some(FileInfo::Text(text)) if is_unit(path) => {
            exec_lines(text).map(|(line, command)| (line.to_owned(), command.program)).collect()
        }
        Some(FileInfo::Script(interpreter)) => {
            let program = interpreter.split_whitespace().next();
            program.map(|program| (format!("#!{interpreter}"), program)).into_iter().collect()
        }
        _ => Vec::new(),
    };
    let found = |program: &str| tree.resolve(&locate(tree, program)?).end.node().cloned();
    said.into_iter().filter_map(|(says, program)| Some((says, found(program)?))).collect()
}

/// `systemd-journald` without its unit, or the unit without its program: nothing that a unit starts is ever seen.
pub fn journald_halves(stage: &Selection<'_>) -> Option<(UsrPath, UsrPath)> {
    let path = |of: &UsrPath, suffix: &str| of.as_str().ends_with(suffix);
    let listed = |suffix: &str| stage.present.iter().find(|present| path(present, suffix)).cloned();
    let in_image = |suffix: &str| stage.tree.iter().map(|(at, _)| at).find(|at| path(at, suffix)).cloned();
    let (program, unit) = ("/systemd/systemd-journald", "/systemd/system/systemd-journald.service");
    match (listed(program), listed(unit)) {
        (Some(there), None) => Some((there.clone(), in_image(unit).unwrap_or_else(|| beside(&there, unit)))),
        (None, Some(there)) => {
            Some((there.clone(), in_image(program).unwrap_or_else(|| beside(&there, program))))
        }
        _ => None,
    }
}

fn beside(path: &UsrPath, suffix: &str) -> UsrPath {
    let first = path.components().next().unwrap_or("lib");
    UsrPath::new(&format!("{first}{suffix}")).unwrap_or_else(|_| path.clone())
}

fn is_unit(path: &UsrPath) -> bool {
    path.as_str().contains("/systemd/system/") || path.as_str().contains("/systemd/user/")
}

struct Command<'a> {
    prefixes: &'a str,
    program: &'a str,
}

/// The lines that start a program, and the program of each.
fn exec_lines(text: &str) -> impl Iterator<Item = (&str, Command<'_>)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        if !key.trim_end().starts_with("Exec") {
            return None;
        }
        let value = value.trim_start();
        let start = value.find(|c| !matches!(c, '-' | '@' | ':' | '+' | '!' | '|'))?;
        let (prefixes, rest) = value.split_at(start);
        let program = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => rest.split_whitespace().next()?,
        };
        (!program.contains(['%', '$'])).then_some((line.trim(), Command { prefixes, program }))
    })
}

fn lacking(stage: &Selection<'_>, by: &UsrPath, says: &str, program: &str) -> Option<MissingExecutable> {
    let path = locate(stage.tree, program)?;
    let resolved = stage.tree.resolve(&path);
    let held = |end: &UsrPath| {
        stage.present.contains(end) && resolved.links.iter().all(|link| stage.present.contains(link))
    };
    let (program, in_image) = match &resolved.end {
        Target::Node(end) if held(end) => return None,
        Target::Node(end) => {
            let mut ways = resolved.links.iter().chain([end]);
            (ways.find(|way| !stage.present.contains(*way)).unwrap_or(end).clone(), true)
        }
        Target::Missing(end) => (end.clone(), false),
        Target::UsrRoot | Target::OutsideUsr | Target::TooManySymlinks => return None,
    };
    Some(MissingExecutable { by: by.clone(), says: says.to_owned(), program, in_image, optional: false })
}

/// A program by absolute path, or by name as systemd.exec(5) and env(1) search it.
fn locate(tree: &UsrTree, program: &str) -> Option<UsrPath> {
    if program.starts_with('/') {
        return UsrPath::from_rootfs_path(program).ok();
    }
    ["bin", "sbin"]
        .into_iter()
        .filter_map(|directory| UsrPath::new(&format!("{directory}/{program}")).ok())
        .find(|path| tree.resolve(path).end.node().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_exec_lines() {
        let text = "[Service]\nExecStart=/usr/lib/systemd/systemd-journald\nExecStartPre=-!/bin/mkdir -p x\n\
                    ExecStop=\"/usr/bin/a b\" c\nExecReload=/bin/kill -HUP $MAINPID\nExecStartPost=$X\nExecStart=\nType=x\n";
        let found: Vec<(&str, &str)> = exec_lines(text).map(|(_, c)| (c.prefixes, c.program)).collect();
        assert_eq!(
            found,
            [
                ("", "/usr/lib/systemd/systemd-journald"),
                ("-!", "/bin/mkdir"),
                ("", "/usr/bin/a b"),
                ("", "/bin/kill")
            ]
        );
    }
}
