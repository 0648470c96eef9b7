//! Shapes of makefile statements and what is read of them.

#![allow(clippy::unwrap_used)]
use super::*;

/// `NAME=VALUE@LINE`, with `?` before those that a conditional decides.
fn read(text: &str) -> Vec<String> {
    let show = |a: &Assignment| {
        let mark = if a.conditionals > 0 { "?" } else { "" };
        format!("{mark}{}={}@{}", a.name, &text[a.value_span.clone()], a.line)
    };
    parse(text.as_bytes()).unwrap().assignments.iter().map(show).collect()
}

#[test]
fn assignment_forms_are_parsed() {
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
        ("\u{feff}A := 1\n", "A=1@1"),
        ("\u{feff}# c\nA := 1\n", "A=1@2"),
        ("A := 1\noverride undefine A\nundefine := 2\n", "A=1@1 A=A@2 undefine=2@3"),
    ] {
        assert_eq!(read(text).join(" "), found, "{text:?}");
    }
}

#[test]
fn similar_lines_are_not_assignments() {
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
    assert_eq!(read("\x0bA := 1\n"), ["A=1@1"]);
    assert_eq!(read("define X\nA := 1\ndefine Y\nendef\nB := 2\nendef\nC := 3\n"), ["X=X@1", "C=3@7"]);
}

#[test]
fn nested_conditionals_and_else_are_parsed() {
    let text =
        "ifdef X\nA := 1\nelse ifeq (a,b)\nA := 2\nelse\nifneq ($(Y),)\nA := 3\nendif\nendif\nA := 4\n";
    assert_eq!(read(text), ["?A=1@2", "?A=2@4", "?A=3@7", "A=4@10"]);
}

#[test]
fn include_guard_is_not_a_conditional() {
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
fn includes_and_evals_outside_conditionals_are_noted() {
    let text = "A := 1\ninclude a.mk b.mk\nifdef X\n-include c.mk\nendif\n$(eval B := 2)\nC := $(call f,${eval D := 1})\n\
                include := 1\nx: y\n\t$(eval E := 1)\n";
    let show = |one: &OpaqueStatement| match &one.kind {
        OpaqueStatementKind::Include { files, .. } => {
            format!("{} {}: {files}", one.line, one.assignments_before)
        }
        OpaqueStatementKind::Eval(text) => format!("{} {}: {text}", one.line, one.assignments_before),
    };
    let found: Vec<String> = parse(text.as_bytes()).unwrap().opaque.iter().map(show).collect();
    assert_eq!(found, ["2 1: a.mk b.mk", "6 1: $(eval B := 2)", "7 1: C := $(call f,${eval D := 1})"]);
}

#[test]
fn unbalanced_directive_is_an_error() {
    for (text, line) in [("ifdef X\n", 1), ("A := 1\nendif\n", 2), ("else\n", 1), ("\ndefine X\n", 2)] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().line, line, "{text:?}");
    }
}
