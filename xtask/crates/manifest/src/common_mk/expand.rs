//! Values of variables after the whole file is read, with references expanded as GNU make does.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::logical_lines::replace_references;
use super::makefile::{Assignment, Operator};

/// Longest chain of references; a longer one is treated as a loop.
const MAX_DEPTH: usize = 32;
/// Most references and expanded bytes of one file. A chain of 30 variables that each repeat the previous one twice
/// expands to a gigabyte; a real file needs a few hundred bytes.
const MAX_EXPANDED: usize = 1 << 20;

/// A variable that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExpandError {
    pub(super) variable: String,
    /// The rest of a sentence about the variable.
    pub(super) problem: &'static str,
}

/// The variable has no value outside conditionals, or is a make function.
const UNKNOWN: &str = "has no value here";
/// The reference chain is longer than [`MAX_DEPTH`].
const LOOP: &str = "refers to itself";
/// The expansion exceeds [`MAX_EXPANDED`].
const TOO_LONG: &str = "is too long when it is expanded";

type Expanded = Result<String, ExpandError>;

/// A variable: its text, and whether the text is expanded on use.
struct Variable {
    text: Expanded,
    recursive: bool,
}

/// The variables of a makefile, without assignments inside conditionals.
pub(super) struct Variables {
    known: BTreeMap<String, Variable>,
    /// The rest of the budget [`MAX_EXPANDED`].
    left: Cell<usize>,
}

impl Variables {
    /// Evaluates the assignments in order, after `preset`, a name and a value.
    pub(super) fn new(text: &[u8], assignments: &[Assignment], preset: (&str, &str)) -> Variables {
        let variable = Variable { text: Ok(preset.1.to_owned()), recursive: false };
        let known = BTreeMap::from([(preset.0.to_owned(), variable)]);
        let mut variables = Variables { known, left: Cell::new(MAX_EXPANDED) };
        for assignment in assignments.iter().filter(|a| a.conditionals == 0) {
            variables.assign(assignment, &text[assignment.value_span.clone()]);
        }
        variables
    }

    fn assign(&mut self, assignment: &Assignment, value: &[u8]) {
        let name = &assignment.name;
        let error = |problem| ExpandError { variable: name.clone(), problem };
        let raw = std::str::from_utf8(value).map(join_continuations).map_err(|_| error("is not UTF-8"));
        if assignment.operator == Operator::Undefine {
            self.known.remove(name);
            return;
        }
        let old = self.known.get(name);
        let variable = match assignment.operator {
            Operator::Default if old.is_some() => return,
            Operator::Simple => {
                Variable { text: raw.and_then(|text| self.expand_at(&text, 0)), recursive: false }
            }
            Operator::Recursive | Operator::Default => Variable { text: raw, recursive: true },
            Operator::Append => {
                let recursive = old.is_none_or(|old| old.recursive);
                let added = if recursive { raw } else { raw.and_then(|text| self.expand_at(&text, 0)) };
                let before = old.map_or(Ok(String::new()), |old| old.text.clone());
                let text = before.and_then(|before| Ok(format!("{before} {}", added?)));
                Variable { text, recursive }
            }
            Operator::Shell | Operator::Define | Operator::Undefine => {
                Variable { text: Err(error(UNKNOWN)), recursive: false }
            }
        };
        self.known.insert(name.clone(), variable);
    }

    /// The value of a variable.
    pub(super) fn value(&self, name: &str) -> Expanded {
        self.value_at(name, 0)
    }

    fn value_at(&self, name: &str, depth: usize) -> Expanded {
        let error = |problem| ExpandError { variable: name.to_owned(), problem };
        if depth == MAX_DEPTH {
            return Err(error(LOOP));
        }
        let variable = self.known.get(name).ok_or_else(|| error(UNKNOWN))?;
        let text = variable.text.clone()?;
        let left = self.left.get().checked_sub(text.len() + 1);
        self.left.set(left.ok_or_else(|| error(TOO_LONG))?);
        if variable.recursive { self.expand_at(&text, depth + 1) } else { Ok(text) }
    }

    /// A text with every reference replaced.
    fn expand_at(&self, text: &str, depth: usize) -> Expanded {
        replace_references(text, |reference, out| {
            match reference[1..].trim_matches(['(', ')', '{', '}']) {
                "$" => out.push('$'),
                name => out.push_str(&self.value_at(name, depth)?),
            }
            Ok(())
        })
    }
}

/// Replaces each continuation and the blanks around it with one blank (GNU make manual, "Splitting Lines").
fn join_continuations(value: &str) -> String {
    let parts: Vec<&str> = value.split("\\\n").flat_map(|part| part.split("\\\r\n")).collect();
    match parts.as_slice() {
        [only] => (*only).to_owned(),
        many => {
            many.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::makefile::parse;
    use super::*;

    fn value(text: &str, name: &str) -> Expanded {
        Variables::new(text.as_bytes(), &parse(text.as_bytes()).unwrap().assignments, ("BOARD", "amd64-usr"))
            .value(name)
    }

    #[test]
    fn references_expand_as_in_gnu_make() {
        for (text, expanded) in [
            ("A := x\nB := $(A)/${A}/$(BOARD)\nA := y\n", "x/x/amd64-usr"),
            ("B = $(A)\nA := y\n", "y"),
            ("A := $$x\nB := $(A)\n", "$x"),
            ("B := 1\nB ?= 2\n", "1"),
            ("B ?= 2\n", "2"),
            ("B := 1\nB += 2\n", "1 2"),
            ("A := x\nB := $A\n", "x"),
            ("B := a \\\n  b \\\n c\n", "a b c"),
        ] {
            assert_eq!(value(text, "B").as_deref(), Ok(expanded), "{text:?}");
        }
    }

    #[test]
    fn exponential_expansion_exceeds_the_budget() {
        for (operator, leaf) in [(":=", "x"), ("=", "x"), ("=", "")] {
            let mut text = format!("A0 {operator} {leaf}\n");
            for number in 0..30 {
                text += &format!("A{} {operator} $(A{number})$(A{number})\n", number + 1);
            }
            assert_eq!(value(&text, "A30").unwrap_err().problem, TOO_LONG, "{operator} {leaf}");
        }
    }

    #[test]
    fn unknown_value_names_the_variable() {
        let error = |variable: &str, problem| Err(ExpandError { variable: variable.into(), problem });
        let unknown = |name| error(name, UNKNOWN);
        assert_eq!(value("B := $(A)\nA := late\n", "B"), unknown("A"));
        assert_eq!(value("B := $(shell date)\n", "B"), unknown("shell date"));
        assert_eq!(value("B != date\n", "B"), unknown("B"));
        assert_eq!(value("ifdef X\nB := 1\nendif\n", "B"), unknown("B"));
        assert_eq!(value("B = $(B)\n", "B"), error("B", LOOP));
        assert_eq!(value("B := $(A\n", "B"), unknown("A"));
        assert_eq!(value("B := $é\n", "B"), unknown("é"));
    }
}
