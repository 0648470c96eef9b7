//! Size limits of files and functions.

use regex::Regex;

use super::{assert_none, sources};

/// Maximum number of lines of a file; the target is about 300.
const FILE: usize = 400;
/// Maximum number of lines of a function; the target is about 40.
const FUNCTION: usize = 60;

#[test]
fn files_are_short() {
    let long = sources().into_iter().map(|source| (source.text.lines().count(), source.path));
    assert_none(
        long.filter(|(lines, _)| *lines > FILE)
            .map(|(lines, path)| format!("{path} has {lines} lines"))
            .collect(),
    );
}

#[test]
fn functions_are_short() {
    let head = Regex::new(r"^( *)(pub(\([a-z: ]+\))? )?(const )?fn ([a-z_0-9]+)").unwrap();
    let mut offences = Vec::new();
    for source in sources() {
        let mut open: Option<(String, String, usize)> = None;
        for (number, line) in source.tool_text().lines().enumerate() {
            if let Some(found) = head.captures(line) {
                open = Some((found[1].to_owned(), found[5].to_owned(), number));
            }
            if let Some((_, name, start)) = open.take_if(|(indent, _, _)| line == format!("{indent}}}")) {
                let lines = number - start + 1;
                if lines > FUNCTION {
                    offences.push(format!("{}: {name} has {lines} lines", source.path));
                }
            }
        }
    }
    assert_none(offences);
}
