//! Statements that can assign a variable without naming it in an assignment of the file: `include`, `$(eval …)`, and
//! assignments to a computed name.

use std::cell::{Cell, LazyCell};
use std::collections::{BTreeMap, HashSet};

use super::logical_lines::{reference_end, replace_references};
use super::makefile::{self, Assignment, Makefile, OpaqueStatementKind, Operator};
use usr::glob;

/// The contents of included files by the name in the makefile; a missing file of an
/// `-include` is empty.
pub type IncludedFiles = BTreeMap<String, Vec<u8>>;

/// Most bytes to which all `$(eval …)` of a file expand; the assignments of what exceeds them are unknown.
const MAX_EXPANDED: usize = 1 << 18;
/// Deepest nesting of references; a real file has two.
const MAX_DEPTH: usize = 16;

/// A statement that assigns a variable, or can assign it, after the assignment that is read.
pub(super) struct HiddenAssignment {
    /// The first line, from 1.
    pub(super) line: usize,
    pub(super) statement: String,
    /// Whether it is known to assign the variable.
    pub(super) is_certain: bool,
}

/// The first statement after the assignment at `index` of `makefile` that can give its variable another value. For
/// `?=`, statements before it are included.
pub(super) fn find_hidden_assignment(
    makefile: &Makefile,
    text: &[u8],
    index: usize,
    included: &IncludedFiles,
) -> Option<HiddenAssignment> {
    let pin = &makefile.assignments[index];
    let first = if pin.operator == Operator::Default { 0 } else { index + 1 };
    let bodies = LazyCell::new(|| VariableBodies::new(makefile, text));
    let mut seen = HashSet::new();
    let opaque = makefile.opaque.iter().filter(|one| one.assignments_before >= first).find_map(|statement| {
        let (description, is_certain) = match &statement.kind {
            OpaqueStatementKind::Include { files, .. } => {
                let mut new = files.split_whitespace().filter(|file| seen.insert(*file));
                let is_certain = new.find_map(|file| match included.get(file) {
                    Some(text) => assignment_certainty(text, &pin.name),
                    None => Some(false),
                });
                (format!("include {files}"), is_certain)
            }
            OpaqueStatementKind::Eval(line) => {
                // To find the end of each argument, the rest of the line is read.
                let expand = |text| bodies.charge(line).and_then(|()| bodies.expand(text, &[], MAX_DEPTH));
                let is_certain = eval_arguments(line).find_map(|argument| match expand(argument) {
                    Ok(text) => assignment_certainty(text.as_bytes(), &pin.name),
                    Err(()) => Some(false),
                });
                (line.clone(), is_certain)
            }
        };
        Some(HiddenAssignment { line: statement.line, statement: description, is_certain: is_certain? })
    });
    opaque.or_else(|| find_computed_name(&makefile.assignments[first..], &pin.name, &bodies))
}

/// The first assignment to a name with references, such as `CCN_IMG_$(X)`, that can be this name.
fn find_computed_name(
    assignments: &[Assignment],
    name: &str,
    bodies: &VariableBodies<'_>,
) -> Option<HiddenAssignment> {
    let mut computed = assignments.iter().filter(|one| one.conditionals == 0 && one.name.contains('$'));
    computed.find_map(|one| {
        let expanded = bodies.expand(&one.name, &[], MAX_DEPTH).unwrap_or_else(|()| "*".to_owned());
        let any = |_: &str, out: &mut String| {
            out.push('*');
            Ok::<_, ()>(())
        };
        let pattern = replace_references(&expanded, any).unwrap_or_default();
        let is_match = glob::match_counting_steps(&pattern, name).0;
        let (line, statement, is_certain) = (one.line, one.name.clone(), expanded == name);
        is_match.then_some(HiddenAssignment { line, statement, is_certain })
    })
}

/// Whether a makefile's text assigns a variable: for certain, or perhaps; `None` if it does not.
fn assignment_certainty(text: &[u8], name: &str) -> Option<bool> {
    let Ok(makefile) = makefile::parse(text) else { return Some(false) };
    if makefile.assignments.iter().any(|assignment| assignment.name == name) {
        return Some(true);
    }
    let has_unknown_name = makefile.assignments.iter().any(|assignment| assignment.name.contains('$'));
    let is_opaque = !makefile.opaque.is_empty();
    let is_reference = |line: &&[u8]| line.trim_ascii_start().starts_with(b"$");
    let has_unknown_line = text.split(|byte| *byte == b'\n').any(|line| is_reference(&line));
    (has_unknown_name || is_opaque || has_unknown_line).then_some(false)
}

fn eval_arguments(line: &str) -> impl Iterator<Item = &str> {
    let starts = line.match_indices("(eval").chain(line.match_indices("{eval")).map(|(at, _)| at);
    starts.filter_map(|at| {
        let start = at.checked_sub(1).filter(|start| line.as_bytes()[*start] == b'$')?;
        let end = reference_end(line.as_bytes(), start);
        line.get(at + "(eval".len()..end.checked_sub(1)?)
    })
}

/// The values of variables as written, bodies of `define` included.
struct VariableBodies<'a> {
    known: BTreeMap<&'a str, String>,
    /// The rest of the budget [`MAX_EXPANDED`].
    left: Cell<usize>,
}

impl<'a> VariableBodies<'a> {
    fn new(makefile: &'a Makefile, text: &[u8]) -> VariableBodies<'a> {
        let value = |assignment: &'a Assignment| match assignment.operator {
            Operator::Define => makefile.bodies.get(&assignment.line).cloned(),
            Operator::Shell | Operator::Undefine | Operator::Append => None,
            _ => Some(String::from_utf8_lossy(&text[assignment.value_span.clone()]).into_owned()),
        };
        let known = makefile.assignments.iter().filter_map(|a| Some((a.name.as_str(), value(a)?)));
        VariableBodies { known: known.collect(), left: Cell::new(MAX_EXPANDED) }
    }

    /// Takes a text from the budget.
    fn charge(&self, text: &str) -> Result<(), ()> {
        self.left.set(self.left.get().checked_sub(text.len() + 1).ok_or(())?);
        Ok(())
    }

    /// A text with the references to known variables replaced; others stay. An error if the budget is exceeded.
    fn expand(&self, text: &str, arguments: &[&str], depth: usize) -> Result<String, ()> {
        self.charge(text)?;
        replace_references(text, |reference, out| {
            let inner = reference[1..].trim_start_matches(['(', '{']).trim_end_matches([')', '}']);
            let (name, words) = match inner.strip_prefix("call ") {
                Some(call) => call.split_once(',').unwrap_or((call, "")),
                None => (inner, ""),
            };
            let argument =
                name.parse::<usize>().ok().and_then(|number| arguments.get(number.checked_sub(1)?));
            match (argument, self.known.get(name.trim())) {
                _ if reference == "$$" => out.push('$'),
                (Some(argument), _) => {
                    self.charge(argument)?;
                    out.push_str(argument);
                }
                (None, Some(body)) if depth > 0 => {
                    let words: Vec<&str> = words.split(',').collect();
                    out.push_str(&self.expand(body, &words, depth - 1)?);
                }
                _ => out.push_str(reference),
            }
            Ok(())
        })
    }
}
