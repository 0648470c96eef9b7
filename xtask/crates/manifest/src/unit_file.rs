//! The commands of systemd units (systemd.syntax(7), systemd.service(5), systemd.socket(5)), as systemd reads them.

use std::collections::BTreeMap;

use super::shebang::program_of_env;
use coreos_types::SystemdVersion;
use usr::UsrPath;

/// Characters between words.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// One command of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitCommand<'a> {
    /// The unit file or drop-in that has the command.
    pub fragment: &'a UsrPath,
    /// The assignment, its lines joined.
    pub directive: String,
    /// The program: an absolute path, or a name to search in `search_path`.
    pub program: String,
    /// The directories that are searched for the program, as `ExecSearchPath=` names them; empty for the default.
    pub search_path: Vec<String>,
    /// A prefix `-` says that the command may fail.
    pub may_fail: bool,
}

/// Parses the commands of a unit from its unit file and drop-ins, in order. Only the type in the unit's name is used.
/// Specifiers are not expanded: a program with a specifier is omitted.
pub fn parse_commands<'a>(
    unit: &str,
    fragments: impl IntoIterator<Item = (&'a UsrPath, &'a str)>,
    systemd: Option<SystemdVersion>,
) -> Vec<UnitCommand<'a>> {
    let (section, keys) = command_settings(unit, systemd);
    let mut commands: BTreeMap<&str, Vec<UnitCommand<'a>>> = BTreeMap::new();
    let (mut search_path, mut has_own_root): (Vec<String>, bool) = (Vec::new(), false);
    for (fragment, text) in fragments {
        for directive in lines_of_section(text, section) {
            let Some((key, value)) = directive.split_once('=') else { continue };
            let value = value.trim_matches(BLANKS);
            match key.trim_matches(BLANKS) {
                "ExecSearchPath" if value.is_empty() => search_path.clear(),
                "ExecSearchPath" => search_path.extend(value.split(':').map(str::to_owned)),
                "RootDirectory" | "RootImage" => has_own_root = !matches!(value, "" | "/"),
                key => {
                    let Some(key) = keys.iter().find(|known| **known == key) else { continue };
                    let commands = commands.entry(key).or_default();
                    // An empty assignment resets the list.
                    if value.is_empty() {
                        commands.clear();
                    }
                    for (program, may_fail) in parse_programs(value) {
                        let (directive, search_path) = (directive.clone(), Vec::new());
                        commands.push(UnitCommand { fragment, directive, program, search_path, may_fail });
                    }
                }
            }
        }
    }
    // The programs of a unit with its own root are not looked up in the image.
    if has_own_root {
        return Vec::new();
    }
    let all = commands.into_values().flatten();
    all.map(|command| UnitCommand { search_path: search_path.clone(), ..command }).collect()
}

/// The section of a unit's own settings, and those of them with command lines as values.
fn command_settings(unit: &str, systemd: Option<SystemdVersion>) -> (&'static str, &'static [&'static str]) {
    const SERVICE: [&str; 8] = [
        "ExecCondition",
        "ExecStartPre",
        "ExecStart",
        "ExecStartPost",
        "ExecReload",
        "ExecStop",
        "ExecStopPost",
        // From v259 on.
        "ExecReloadPost",
    ];
    match unit.rsplit('.').next() {
        Some("service") if systemd.is_some_and(|version| version < SystemdVersion(259)) => {
            ("Service", &SERVICE[..7])
        }
        Some("service") => ("Service", &SERVICE),
        Some("socket") => ("Socket", &["ExecStartPre", "ExecStartPost", "ExecStopPre", "ExecStopPost"]),
        _ => ("", &[]),
    }
}

fn lines_of_section(text: &str, section: &str) -> Vec<String> {
    let (mut lines, mut is_in_section) = (Vec::new(), false);
    for line in logical_lines(text) {
        let line = line.trim_matches(BLANKS);
        if let Some(name) = line.strip_prefix('[') {
            is_in_section = name.strip_suffix(']') == Some(section);
        } else if is_in_section {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The lines of a unit with their continuations. A comment within a continuation is skipped; the continuation goes on
/// after it. A backslash at the end of a comment has no effect.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for physical in physical_lines(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        if physical.trim_start_matches(BLANKS).starts_with(['#', ';']) {
            continue;
        }
        let mut line = open.take().unwrap_or_default() + physical;
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            line.pop();
            line.push(' ');
            open = Some(line);
        } else {
            lines.push(line);
        }
    }
    lines.extend(open);
    lines
}

/// Lines end in LF, CR or NUL; CR and LF next to each other are one end.
fn physical_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let line = text.split('\n').next().unwrap_or_default();
        // A search for one character is fast.
        let ends = ['\r', '\0'].into_iter().filter_map(|end| line.find(end));
        let at = ends.min().unwrap_or(line.len());
        let end = &text[at..];
        let length = if end.starts_with("\r\n") || end.starts_with("\n\r") { 2 } else { 1 };
        rest = (!end.is_empty()).then(|| &end[length..]);
        Some(&text[..at])
    })
}

/// The programs of one `Exec…=` value, each with whether it may fail; after env(1), also the one that env starts.
fn parse_programs(value: &str) -> Vec<(String, bool)> {
    let mut programs = Vec::new();
    for words in split_commands(value) {
        let Some((first, arguments)) = words.split_first() else { continue };
        let program = first.trim_start_matches(['-', '@', ':', '+', '!', '|']);
        let prefixes = &first[..first.len() - program.len()];
        // With `|` the user's shell runs the words: a name may be one of its own commands.
        let is_known = !prefixes.contains('|') || program.starts_with('/');
        let Some(program) = literal_program(program).filter(|_| is_known) else { continue };
        let is_env = program.rsplit('/').next() == Some("env") && !prefixes.contains('@');
        let by_env = is_env.then(|| program_of_env(arguments.iter().cloned())).flatten();
        let by_env = by_env.filter(|started| started.search_path.is_empty());
        let by_env = by_env.and_then(|started| literal_program(&started.program));
        programs.extend([program].into_iter().chain(by_env).map(|path| (path, prefixes.contains('-'))));
    }
    programs
}

/// The words of each command of one `Exec…=` value. Commands are separated by a semicolon that is a word of its own and not
/// quoted.
fn split_commands(value: &str) -> Vec<Vec<String>> {
    let mut commands: Vec<Vec<String>> = vec![Vec::new()];
    let mut rest = value;
    while let Some((word, behind)) = first_word(rest) {
        let verbatim = rest[..rest.len() - behind.len()].trim_start_matches(BLANKS);
        rest = behind;
        let Some(command) = commands.last_mut() else { break };
        if verbatim == ";" || command.is_empty() && word == ";" {
            commands.push(Vec::new());
        } else {
            command.push(word);
        }
    }
    commands
}

/// A program's path with `%%` as `%`; `None` where the path is not known, or names a directory or nothing, and for a
/// relative path, which systemd refuses.
fn literal_program(program: &str) -> Option<String> {
    let plain = program.replace("%%", "\0");
    let is_program = !plain.is_empty() && !plain.ends_with('/') && !plain.contains(['%', '$']);
    let is_relative = plain.contains('/') && !plain.starts_with('/');
    (is_program && !is_relative).then(|| plain.replace('\0', "%"))
}

/// The first word of a text, without its quotes and escapes, and the text after it. `None` at the end of the text, and
/// for a quote that is not closed.
fn first_word(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches(BLANKS);
    let mut word = String::new();
    let mut quote = None;
    let mut rest = text.chars();
    loop {
        let before = rest.as_str();
        match (rest.next(), quote) {
            (None, None) => return (!text.is_empty()).then_some((word, "")),
            (None, Some(_)) => return None,
            (Some('\\'), _) => word.push(unescape(&mut rest)),
            (Some(c), Some(open)) if c == open => quote = None,
            (Some(c @ ('"' | '\'')), None) => quote = Some(c),
            (Some(c), None) if BLANKS.contains(&c) => return Some((word, before)),
            (Some(c), _) => word.push(c),
        }
    }
}

/// The character of an escape sequence; the backslash itself for an unknown sequence.
fn unescape(rest: &mut std::str::Chars<'_>) -> char {
    let code = |digits: &str, radix| {
        // from_str_radix() also reads a sign.
        let is_number = !digits.starts_with('+');
        is_number.then(|| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)).flatten()
    };
    let text = rest.as_str();
    let known =
        [('a', '\x07'), ('b', '\x08'), ('f', '\x0c'), ('n', '\n'), ('r', '\r'), ('t', '\t'), ('v', '\x0b')];
    let (found, length) = match text.chars().next() {
        Some(c @ ('\\' | '"' | '\'')) => (Some(c), 1),
        Some('s') => (Some(' '), 1),
        Some('x') => (text.get(1..3).and_then(|digits| code(digits, 16)), 3),
        Some('0'..='7') => (text.get(..3).and_then(|digits| code(digits, 8)), 3),
        Some(c) => (known.iter().find(|(name, _)| *name == c).map(|(_, value)| *value), 1),
        None => (None, 0),
    };
    if found.is_some() {
        rest.nth(length - 1);
    }
    found.unwrap_or('\\')
}

#[cfg(test)]
mod tests;
