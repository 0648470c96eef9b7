//! Who may use whom: the order of the modules in `lib.rs` is the order of the storeys.

use regex::Regex;

use super::{none, root, sources};

/// The storeys that know no outside world; what is left of the list in `lib.rs` may.
const PURE: [&str; 7] = ["fault", "coreos", "usr", "manifest", "plan", "report", "flags"];

/// The modules of `lib.rs`, from the top down.
fn order() -> Vec<String> {
    let lib = std::fs::read_to_string(root().join("xtask/src/lib.rs")).unwrap();
    let module = Regex::new(r"(?m)^pub (?:mod|use) (?:usr::)?([a-z_]+);").unwrap();
    module.captures_iter(&lib).map(|found| found[1].to_owned()).collect()
}

#[test]
fn a_file_uses_only_what_stands_above_it() {
    let order = order();
    let place = |module: &str| order.iter().position(|known| known == module);
    let used = Regex::new(r"crate::(?:\{([^}]*)\}|([a-z_0-9]+))").unwrap();
    let mut offences = Vec::new();
    let is_root = |path: &str| path.ends_with("src/lib.rs") || path == "src/main.rs";
    for source in sources().iter().filter(|source| !is_root(&source.path)) {
        let Some(here) = source.storey().and_then(place) else {
            if !source.is_test {
                offences.push(format!("{} stands in no storey of lib.rs", source.path));
            }
            continue;
        };
        for found in used.captures_iter(&source.code()) {
            let group = found.get(1).or(found.get(2)).map_or("", |group| group.as_str());
            for name in group.split(',').filter_map(|part| part.trim().split("::").next()) {
                if place(name).is_some_and(|there| there > here) {
                    offences.push(format!("{} uses crate::{name}, which stands below it", source.path));
                }
            }
        }
    }
    none(offences);
}

#[test]
fn pure_storeys_touch_nothing() {
    let outside = Regex::new(
        r"(?-u:\b)std::(fs|net|process|env|os|thread)(?-u:\b)|(?-u:\b)(fs|env|process|thread)::[a-z_]+\(|SystemTime::now|Instant::now|(?-u:\b)(print|println|eprint|eprintln|dbg)!|io::(stdin|stdout|stderr)(?-u:\b)",
    )
    .unwrap();
    let mut offences = Vec::new();
    for source in
        sources().iter().filter(|source| source.storey().is_some_and(|storey| PURE.contains(&storey)))
    {
        for found in outside.find_iter(&source.code()) {
            offences.push(format!("{} touches the world: {}", source.path, found.as_str()));
        }
    }
    none(offences);
}

#[test]
fn the_edge_alone_names_what_reaches_outside() {
    let named = Regex::new(r"(?-u:\b)(ureq|pgp|flate2|cpio|backhand|xshell)::").unwrap();
    let allowed = |storey: &str| matches!(storey, "edge" | "demo");
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| !source.storey().is_some_and(allowed)) {
        for found in named.find_iter(&source.code()) {
            offences.push(format!("{} names {}", source.path, found.as_str()));
        }
    }
    none(offences);
}

#[test]
fn only_one_place_prints() {
    let print = Regex::new(r"(?-u:\b)(print|println|eprint|eprintln)!|io::(stdout|stderr)\(").unwrap();
    let allowed = |path: &str| path.starts_with("src/edge/term") || path == "src/main.rs";
    let printing =
        sources().into_iter().filter(|source| !allowed(&source.path) && print.is_match(&source.code()));
    none(printing.map(|source| format!("{} prints: edge/term does that", source.path)).collect());
}
