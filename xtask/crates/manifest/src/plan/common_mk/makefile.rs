//! The global assignments of a makefile, with the bytes of their values, as GNU make reads them.
//!
//! Only what decides which line is an assignment is read (GNU make manual, "Reading Makefiles"): logical lines,
//! comments, conditionals, `define` bodies and recipes. Nothing is evaluated here.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::logical_lines::{LogicalLine, comment_start, logical_lines, reference_end, words};

/// One global assignment; target-specific variables, recipe lines and the bodies of `define` are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The variable.
    pub(super) name: String,
    /// How it is assigned.
    pub(super) operator: Operator,
    /// The bytes of the value, without blanks, line continuations and comments around it.
    pub(super) value: Range<usize>,
    /// The line it starts on, counted from 1.
    pub(super) line: usize,
    /// Whether a conditional decides if it counts. A guard around the whole file is no conditional.
    pub(super) conditional: bool,
}

/// How a variable is assigned (GNU make manual, "Setting Variables").
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
}

/// Why a text is no makefile, and on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) what: &'static str,
}

/// Every global assignment, in order.
pub(super) fn assignments(text: &[u8]) -> Result<Vec<Assignment>, SyntaxError> {
    let mut reader = Reader::default();
    for line in logical_lines(text) {
        reader.read(&line)?;
    }
    reader.finish()
}

/// One `if… endif`.
struct Conditional {
    line: usize,
    /// Its place among the statements of the file.
    opened: usize,
    closed: usize,
    /// The variable whose emptiness it asks for.
    asks_empty: Option<String>,
    has_else: bool,
}

#[derive(Default)]
struct Reader {
    /// The assignments with the conditionals around each, as indices.
    found: Vec<(Assignment, Vec<usize>)>,
    conditionals: Vec<Conditional>,
    open: Vec<usize>,
    statements: usize,
    /// The lines where the open `define`s start.
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
        if self.read_conditional(text, line.number)? {
            return Ok(());
        }
        if let Some((name, operator, value)) = assignment(text) {
            if operator == Operator::Define {
                self.defines.push(line.number);
            }
            let value = line.start + value.start..line.start + value.end;
            let found = Assignment { name, operator, value, line: line.number, conditional: false };
            self.found.push((found, self.open.clone()));
            self.in_rule = false;
        } else {
            // `target: VAR := value` is no rule with a recipe.
            self.in_rule = rule_colon(text).is_some_and(|at| assignment(&text[at + 1..]).is_none());
        }
        Ok(())
    }

    fn read_in_define(&mut self, line: &LogicalLine) {
        match words(&line.flat).next() {
            Some(b"define") => self.defines.push(line.number),
            Some(b"endef") => drop(self.defines.pop()),
            _ => {}
        }
    }

    /// Whether the line is a conditional directive.
    fn read_conditional(&mut self, text: &[u8], line: usize) -> Result<bool, SyntaxError> {
        let word = words(text).next().unwrap_or_default();
        if assignment(text).is_some() {
            return Ok(false);
        }
        match word {
            b"ifeq" | b"ifneq" | b"ifdef" | b"ifndef" => {
                self.open.push(self.conditionals.len());
                let asks_empty = asks_empty(text);
                let opened = self.statements;
                self.conditionals.push(Conditional { line, opened, closed: 0, asks_empty, has_else: false });
            }
            b"else" => {
                let innermost = self.open.last().copied();
                let at =
                    innermost.ok_or(SyntaxError { line, what: "else without a conditional before it" })?;
                self.conditionals[at].has_else = true;
            }
            b"endif" => {
                let at = self
                    .open
                    .pop()
                    .ok_or(SyntaxError { line, what: "endif without a conditional before it" })?;
                self.conditionals[at].closed = self.statements;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self) -> Result<Vec<Assignment>, SyntaxError> {
        if let Some(&line) = self.defines.first() {
            return Err(SyntaxError { line, what: "define without endef" });
        }
        if let Some(&at) = self.open.first() {
            return Err(SyntaxError { line: self.conditionals[at].line, what: "conditional without endif" });
        }
        let guards = self.guards_the_file();
        let decided = |around: &[usize]| around.iter().any(|&at| !(guards && at == 0));
        Ok(self
            .found
            .iter()
            .map(|(a, around)| Assignment { conditional: decided(around), ..a.clone() })
            .collect())
    }

    /// Whether the first conditional is an include guard, as rkt's coreos-common.mk has one: all of the file
    /// stands in it, and the first assignment there sets the variable that it asks to be empty.
    fn guards_the_file(&self) -> bool {
        let (Some(first), Some((assigned, _))) = (self.conditionals.first(), self.found.first()) else {
            return false;
        };
        let whole_file = first.opened == 1 && first.closed == self.statements && !first.has_else;
        let mark = first.asks_empty.as_deref() == Some(assigned.name.as_str());
        whole_file && mark && !assigned.name.starts_with("CCN_")
    }
}

/// The variable that `ifeq ($(X),)`, `ifeq (,$(X))`, `ifeq "$(X)" ""` or `ifndef X` asks to be empty.
fn asks_empty(text: &[u8]) -> Option<String> {
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

/// The `:` that separates targets from prerequisites.
fn rule_colon(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b':' => return Some(at),
            b'$' => at = reference_end(text, at),
            _ => at += 1,
        }
    }
    None
}

/// Name, operator and value of an assignment, `export`, `override`, `private` and `define` before it or not.
fn assignment(text: &[u8]) -> Option<(String, Operator, Range<usize>)> {
    let mut from = text.iter().position(|byte| !byte.is_ascii_whitespace())?;
    loop {
        if let Some(found) = plain_assignment(text, from) {
            return Some(found);
        }
        let word_end = text[from..].iter().position(u8::is_ascii_whitespace).map(|at| from + at)?;
        let next =
            text[word_end..].iter().position(|byte| !byte.is_ascii_whitespace()).map(|at| word_end + at)?;
        match &text[from..word_end] {
            b"export" | b"override" | b"private" => from = next,
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
fn plain_assignment(text: &[u8], from: usize) -> Option<(String, Operator, Range<usize>)> {
    let mut at = from;
    let name_end = loop {
        match *text.get(at)? {
            b'=' => break at,
            b':' => break at,
            b'?' | b'+' | b'!' if text.get(at + 1) == Some(&b'=') => break at,
            b'$' => at = reference_end(text, at),
            byte if byte.is_ascii_whitespace() => break at,
            _ => at += 1,
        }
    };
    let found = OPERATOR_AND_VALUE.as_ref()?.captures(&text[name_end..]).filter(|_| name_end > from)?;
    let operator = match found.name("operator")?.as_bytes() {
        b"=" => Operator::Recursive,
        b"?=" => Operator::Default,
        b"+=" => Operator::Append,
        b"!=" => Operator::Shell,
        _ => Operator::Simple,
    };
    let value = found.name("value")?.range();
    let name = String::from_utf8_lossy(&text[from..name_end]).into_owned();
    Some((name, operator, name_end + value.start..name_end + value.end))
}

/// What stands behind the name of a variable (GNU make manual, "Setting Variables").
static OPERATOR_AND_VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?s-u)^[\t\n\x0C\r ]*(?<operator>:{0,3}=|[?+!]=)[\t\n\x0C\r ]*(?<value>.*?)[\t\n\x0C\r ]*$")
        .ok()
});

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `NAME=VALUE@LINE`, with `?` before those that a conditional decides.
    fn read(text: &str) -> Vec<String> {
        let show = |a: &Assignment| {
            let mark = if a.conditional { "?" } else { "" };
            format!("{mark}{}={}@{}", a.name, &text[a.value.clone()], a.line)
        };
        assignments(text.as_bytes()).unwrap().iter().map(show).collect()
    }

    #[test]
    fn shapes_of_an_assignment() {
        for (text, found) in [
            ("A := 1\n", "A=1@1"),
            ("A=1", "A=1@1"),
            ("A?=1\r\n", "A=1@1"),
            ("  A\t::=\t1  # c\n", "A=1@1"),
            ("A := \\\n  1 \\\n  2\n", "A=1 \\\n  2@1"),
            ("A := \\\r\n\t1\r\n", "A=1@1"),
            ("# c \\\nA := 0\nA := 1\n", "A=1@3"),
            ("A := x\\#y\n", "A=x\\#y@1"),
            ("A := x\\#y # c\n", "A=x\\#y@1"),
            ("A := x$\nB := 1\n", "A=x$@1 B=1@2"),
            ("x: A := 1\n\tB := 2\n", "B=2@2"),
            ("include x\n\tB := 2\n", "B=2@2"),
            ("$(call f,a:b)\n\tB := 2\n", "B=2@2"),
            ("$(X:a=b) := 1\n", "$(X:a=b)=1@1"),
            ("a+b? := 1\n", "a+b?=1@1"),
            ("A := $(B#C)d\n", "A=$(B#C)d@1"),
            ("export A := 1\n", "A=1@1"),
            ("override private A += 1\n", "A=1@1"),
            ("A :=\n", "A=@1"),
            ("A := \"1\"\n", "A=\"1\"@1"),
            ("\tA := 1\n", "A=1@1"),
            ("ifdef := 1\n", "ifdef=1@1"),
            ("A :=1\\\\\nB := 2\n", "A=1\\\\@1 B=2@2"),
        ] {
            assert_eq!(read(text).join(" "), found, "{text:?}");
        }
    }

    #[test]
    fn what_looks_like_one_and_is_none() {
        for text in [
            "x: y\n\tA := 1\n",
            "x: A := 1\n",
            "#A := 1\n",
            "A b := 1\n",
            "$(call f,A := 1)\n",
            "x: y\n\n# c\n\tA := 1\n",
            "x:: y ; B = 2\n",
        ] {
            assert_eq!(read(text), Vec::<String>::new(), "{text:?}");
        }
        assert_eq!(read("define X\nA := 1\ndefine Y\nendef\nB := 2\nendef\nC := 3\n"), ["X=X@1", "C=3@7"]);
    }

    #[test]
    fn conditionals_nest_and_else_belongs_to_them() {
        let text =
            "ifdef X\nA := 1\nelse ifeq (a,b)\nA := 2\nelse\nifneq ($(Y),)\nA := 3\nendif\nendif\nA := 4\n";
        assert_eq!(read(text), ["?A=1@2", "?A=2@4", "?A=3@7", "A=4@10"]);
    }

    #[test]
    fn a_guard_around_the_file_is_no_conditional() {
        for open in ["ifeq ($(_G_),)", "ifndef _G_", "ifeq (,${_G_})", "ifeq \"$(_G_)\" \"\""] {
            let text = format!("# c\n{open}\n\n_G_ := x\nA := 1\nifdef Z\nA := 2\nendif\nendif\n# end\n");
            assert_eq!(read(&text), ["_G_=x@4", "A=1@5", "?A=2@7"], "{open}");
        }
        for text in [
            "ifndef G\nG := x\nA := 1\nendif\nB := 1\n",
            "ifndef G\nG := x\nA := 1\nelse\nendif\n",
            "ifdef G\nG := x\nA := 1\nendif\n",
            "ifndef CCN_A\nCCN_A := 1\nA := 1\nendif\n",
        ] {
            assert!(read(text).contains(&"?A=1@3".to_owned()), "{text:?}");
        }
    }

    #[test]
    fn what_make_would_stop_at() {
        for (text, line) in [("ifdef X\n", 1), ("A := 1\nendif\n", 2), ("else\n", 1), ("\ndefine X\n", 2)] {
            assert_eq!(assignments(text.as_bytes()).unwrap_err().line, line, "{text:?}");
        }
    }
}
