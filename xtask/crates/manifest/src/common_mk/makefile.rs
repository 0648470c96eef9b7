//! The global assignments of a makefile, with the bytes of their values, as GNU make reads them.
//!
//! Only the syntax that determines which lines are assignments is parsed (GNU make manual, "Reading Makefiles"):
//! logical lines, comments, conditionals, `define` bodies and recipes. Nothing is evaluated here.

use std::collections::BTreeMap;
use std::ops::Range;

use super::logical_lines::{LogicalLine, comment_start, find_outside_references, logical_lines, words};

/// A global assignment; target-specific variables, recipe lines and the bodies of `define` are excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) operator: Operator,
    /// The bytes of the value, without blanks, line continuations and comments around it.
    pub(super) value_span: Range<usize>,
    /// The first line, from 1.
    pub(super) line: usize,
    /// The number of conditionals around the assignment, without an include guard around the whole file.
    pub(super) conditionals: usize,
}

/// Assignment operators (GNU make manual, "Setting Variables").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `:=`, `::=` and `:::=`.
    Simple,
    /// `=`.
    Recursive,
    /// `?=`.
    Default,
    /// `+=`.
    Append,
    /// `!=`: the output of a command.
    Shell,
    /// `define … endef`.
    Define,
    /// `undefine`: the variable has no value afterwards.
    Undefine,
}

/// A statement that can assign variables when make evaluates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpaqueStatement {
    /// The first line, from 1.
    pub(super) line: usize,
    pub(super) kind: OpaqueStatementKind,
    /// The number of assignments before the statement.
    pub(super) assignments_before: usize,
    /// The number of conditionals around the statement.
    conditionals: usize,
}

/// The statements of [`OpaqueStatement`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OpaqueStatementKind {
    /// `include FILES`; with `-include` and `sinclude` a missing file is not an error.
    Include { files: String, is_optional: bool },
    /// A statement with `$(eval …)`, as written.
    Eval(String),
}

/// The parsed parts of a makefile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Makefile {
    /// Every global assignment, in order.
    pub(super) assignments: Vec<Assignment>,
    /// Statements outside conditionals with unknown assignments.
    pub(super) opaque: Vec<OpaqueStatement>,
    /// The bodies of `define`, by first line.
    pub(super) bodies: BTreeMap<usize, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) what: &'static str,
}

pub(super) fn parse(text: &[u8]) -> Result<Makefile, SyntaxError> {
    let mut reader = Reader::default();
    for line in logical_lines(text) {
        reader.read(&line)?;
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    makefile: Makefile,
    /// The first lines of the open conditionals.
    conditionals: Vec<usize>,
    /// The variable that the first statement, a conditional without `else`, requires to be empty, as long as it contains
    /// every later statement.
    guard_variable: Option<String>,
    statements: usize,
    /// The first lines of the open `define`s.
    defines: Vec<usize>,
    in_rule: bool,
}

impl Reader {
    fn read(&mut self, line: &LogicalLine) -> Result<(), SyntaxError> {
        let recipe = line.flat.first() == Some(&b'\t');
        if !self.defines.is_empty() {
            if !recipe {
                self.read_in_define(line);
            }
            return Ok(());
        }
        if recipe && self.in_rule {
            return Ok(());
        }
        let text = &line.flat[..comment_start(&line.flat)];
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        self.statements += 1;
        if self.conditionals.is_empty() {
            self.guard_variable = guard_variable(text).filter(|_| self.statements == 1);
        }
        if !self.read_conditional(text, line.number)? {
            self.read_statement(line, text);
        }
        Ok(())
    }

    /// `text` is the line without its comment.
    fn read_statement(&mut self, line: &LogicalLine, text: &[u8]) {
        if text.windows(6).any(|part| part == b"$(eval" || part == b"${eval") {
            self.record_opaque(
                line.number,
                OpaqueStatementKind::Eval(String::from_utf8_lossy(text).trim().to_owned()),
            );
        }
        if let Some(include) = parse_include(text) {
            self.record_opaque(line.number, include);
            self.in_rule = false;
        } else if let Some((name, operator, value)) = parse_assignment(text) {
            if operator == Operator::Define {
                self.defines.push(line.number);
            }
            let value_span = line.start + value.start..line.start + value.end;
            let (line, conditionals) = (line.number, self.conditionals.len());
            self.makefile.assignments.push(Assignment { name, operator, value_span, line, conditionals });
            self.in_rule = false;
        } else {
            // `target: VAR := value` is not a rule with a recipe.
            let colon = find_outside_references(text, 0, |rest| rest[0] == b':');
            self.in_rule = colon.is_some_and(|at| parse_assignment(&text[at + 1..]).is_none());
        }
    }

    fn record_opaque(&mut self, line: usize, kind: OpaqueStatementKind) {
        let assignments_before = self.makefile.assignments.len();
        let conditionals = self.conditionals.len();
        self.makefile.opaque.push(OpaqueStatement { line, kind, assignments_before, conditionals });
    }

    fn read_in_define(&mut self, line: &LogicalLine) {
        match words(&line.flat).next() {
            Some(b"define") => self.defines.push(line.number),
            Some(b"endef") => drop(self.defines.pop()),
            _ => {}
        }
        if let Some(start) = self.defines.first() {
            let body = self.makefile.bodies.entry(*start).or_default();
            body.push_str(&String::from_utf8_lossy(&line.flat));
            body.push('\n');
        }
    }

    /// Whether the line is a conditional directive.
    fn read_conditional(&mut self, text: &[u8], line: usize) -> Result<bool, SyntaxError> {
        let word = words(text).next().unwrap_or_default();
        if parse_assignment(text).is_some() {
            return Ok(false);
        }
        match word {
            b"ifeq" | b"ifneq" | b"ifdef" | b"ifndef" => self.conditionals.push(line),
            b"else" if self.conditionals.is_empty() => {
                return Err(SyntaxError { line, what: "else without a conditional before it" });
            }
            b"else" if self.conditionals.len() == 1 => self.guard_variable = None,
            b"else" => {}
            b"endif" => {
                let open = self.conditionals.pop();
                open.ok_or(SyntaxError { line, what: "endif without a conditional before it" })?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(mut self) -> Result<Makefile, SyntaxError> {
        if let Some(&line) = self.defines.first() {
            return Err(SyntaxError { line, what: "define without endef" });
        }
        if let Some(&line) = self.conditionals.first() {
            return Err(SyntaxError { line, what: "conditional without endif" });
        }
        let guards = usize::from(self.has_include_guard());
        for assignment in &mut self.makefile.assignments {
            assignment.conditionals = assignment.conditionals.saturating_sub(guards);
        }
        self.makefile.opaque.retain(|statement| statement.conditionals <= guards);
        Ok(self.makefile)
    }

    /// Whether the first conditional is an include guard, as in rkt's coreos-common.mk: it contains the whole file, and
    /// the first assignment in it sets the variable of its condition.
    fn has_include_guard(&self) -> bool {
        let assigned = self.makefile.assignments.first().map(|assignment| &assignment.name);
        assigned == self.guard_variable.as_ref() && assigned.is_some_and(|name| !name.starts_with("CCN_"))
    }
}

/// The variable that must be empty for `ifeq ($(X),)`, `ifeq (,$(X))`, `ifeq "$(X)" ""` or `ifndef X`.
fn guard_variable(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if let Some(name) = text.strip_prefix("ifndef") {
        return Some(name.trim().to_owned());
    }
    let bare: String =
        text.strip_prefix("ifeq")?.chars().filter(|c| !c.is_whitespace() && !"'\"".contains(*c)).collect();
    let inner = bare.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(&bare);
    let reference = inner.trim_matches(',');
    let name = reference.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')'));
    name.or_else(|| reference.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))).map(str::to_owned)
}

fn parse_include(text: &[u8]) -> Option<OpaqueStatementKind> {
    let mut rest = words(text);
    let word = rest.next()?;
    let is_include = matches!(word, b"include" | b"-include" | b"sinclude");
    let files = rest.map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ");
    let include = OpaqueStatementKind::Include { files, is_optional: word != b"include" };
    (is_include && parse_assignment(text).is_none()).then_some(include)
}

/// Name, operator and value of an assignment, with or without `export`, `override`, `private` or `define`.
fn parse_assignment(text: &[u8]) -> Option<(String, Operator, Range<usize>)> {
    let mut from = text.len() - text.trim_ascii_start().len();
    loop {
        if let Some(found) = parse_plain_assignment(text, from) {
            return Some(found);
        }
        let mut rest = words(&text[from..]);
        let (word, _) = (rest.next()?, rest.next()?);
        let next = text.len() - text[from + word.len()..].trim_ascii_start().len();
        match word {
            b"export" | b"override" | b"private" => from = next,
            b"undefine" => {
                let name = String::from_utf8_lossy(text[next..].trim_ascii()).into_owned();
                return Some((name, Operator::Undefine, next..text.trim_ascii_end().len()));
            }
            b"define" => {
                let rest = words(&text[next..]).next()?;
                let name = rest.strip_suffix(b"=").map_or(rest, |n| n.trim_ascii_end());
                let name = String::from_utf8_lossy(name).trim_end_matches([':', '?', '+', '!']).to_owned();
                return Some((name, Operator::Define, next..text.trim_ascii_end().len()));
            }
            _ => return None,
        }
    }
}

/// `NAME OPERATOR VALUE` with the name at `from`.
fn parse_plain_assignment(text: &[u8], from: usize) -> Option<(String, Operator, Range<usize>)> {
    let is_end = |rest: &[u8]| {
        matches!(rest, [b'=' | b':', ..] | [b'?' | b'+' | b'!', b'=', ..]) || rest[0].is_ascii_whitespace()
    };
    let name_end = find_outside_references(text, from, is_end).filter(|end| *end > from)?;
    let rest = text[name_end..].trim_ascii_start();
    let (sign, operator) = ASSIGNMENTS.iter().find(|(sign, _)| rest.starts_with(sign))?;
    let value = rest[sign.len()..].trim_ascii_start();
    let start = text.len() - value.len();
    let name = String::from_utf8_lossy(&text[from..name_end]).into_owned();
    Some((name, *operator, start..start + value.trim_ascii_end().len()))
}

/// The operators after the name of a variable (GNU make manual, "Setting Variables").
const ASSIGNMENTS: [(&[u8], Operator); 7] = [
    (b"=", Operator::Recursive),
    (b":=", Operator::Simple),
    (b"::=", Operator::Simple),
    (b":::=", Operator::Simple),
    (b"?=", Operator::Default),
    (b"+=", Operator::Append),
    (b"!=", Operator::Shell),
];

#[cfg(test)]
mod tests;
