//! Conventions of this codebase, as tests: import cycles, I/O boundaries, sizes, documents.

mod conventions;
mod docs;
mod layers;
mod sizes;
mod wording;

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// One Rust file of the workspace.
struct Source {
    /// Relative to `xtask/`, `/`-separated: `src/plan/edit.rs`.
    path: String,
    text: String,
    /// Whether the file is compiled for tests only.
    is_test: bool,
}

impl Source {
    /// The text without the test module at its end; empty for a file of tests.
    fn tool_text(&self) -> &str {
        let tests = Regex::new(r"#\[cfg\(test\)\]\n(#\[allow[^\n]*\n)*mod tests \{").unwrap();
        let end = tests.find(&self.text).map_or(self.text.len(), |found| found.start());
        if self.is_test { "" } else { &self.text[..end] }
    }

    /// The text of [`Source::tool_text`] without comments.
    fn code(&self) -> String {
        let code = self.tool_text().lines().filter(|line| !line.trim_start().starts_with("//"));
        code.collect::<Vec<_>>().join("\n")
    }

    /// The module path, crate first: `["usr", "tree", "text"]` for `crates/usr/src/tree/text.rs`.
    fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix("crates/").unwrap_or(&self.path).replace("/src/", "/");
        let path = path.strip_prefix("src/").map_or(path.clone(), |inner| format!("xtask/{inner}"));
        let path = path.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/lib");
        path.split('/').map(str::to_owned).collect()
    }
}

/// All Rust files of the workspace, sorted.
fn sources() -> Vec<Source> {
    let xtask = root().join("xtask");
    let mut found = Vec::new();
    for directory in ["src", "tests", "crates"] {
        walk(&xtask.join(directory), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let path = path.strip_prefix(&xtask).unwrap().to_str().unwrap().to_owned();
                let is_test = path.starts_with("tests/") || path.contains("/tests/");
                found.push(Source { path, text, is_test });
            }
        });
    }
    mark_tests(&mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 40, "the sources were not found");
    found
}

/// Marks files of tests: the parent module has `#[cfg(test)] mod NAME;`.
fn mark_tests(sources: &mut [Source]) {
    let declared = Regex::new(r"#\[cfg\(test\)\]\n(?:pub(?:\([a-z: ]+\))? )?mod ([a-z_]+);").unwrap();
    let mut tests = Vec::new();
    for source in sources.iter() {
        let directory =
            source.path.strip_suffix("/mod.rs").or(source.path.strip_suffix(".rs")).unwrap_or_default();
        tests.extend(declared.captures_iter(&source.text).map(|found| format!("{directory}/{}", &found[1])));
    }
    let is_test = |path: &str| {
        tests.iter().any(|test| path == format!("{test}.rs") || path.starts_with(&format!("{test}/")))
    };
    sources.iter_mut().filter(|source| is_test(&source.path)).for_each(|source| source.is_test = true);
}

/// All files below a directory.
fn walk(directory: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

/// Asserts that no offence was found, and lists all of them otherwise.
fn assert_none(offences: Vec<String>) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}
