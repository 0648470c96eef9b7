//! Package changes as text and JSON.

use serde_json::{Value, json};

use super::styled_text::{Style, StyledText};
use super::{count_with_noun, join_flavors};
use packages::package_changes::PackageChange;

/// The changes of packages of which the stage1 takes a file, one per line, then the number of the others.
pub(crate) fn render(changes: &[PackageChange]) -> StyledText {
    let mut out = StyledText::new();
    let Some(headline) = headline(changes) else { return out };
    out.push_line(Style::Strong, headline);
    let (taken, _) = split_by_taken(changes);
    let width = taken.iter().map(|change| change.name.chars().count()).max().unwrap_or(0);
    for change in taken {
        out.push(Style::Plain, format!("  {:<width$}  {}", change.name, versions(change)));
        let flavors = join_flavors(&change.flavors);
        let files = count_with_noun(change.taken.len(), "file");
        out.push_line(Style::Faint, format!("  {files} in {flavors}"));
    }
    out
}

/// `2 packages changed of which stage1 takes files, and 1 of which it takes none`; `None` without changes.
pub(super) fn headline(changes: &[PackageChange]) -> Option<String> {
    let (taken, others) = split_by_taken(changes);
    let packages = |number| count_with_noun(number, "package");
    Some(match (taken.len(), others) {
        (0, 0) => return None,
        (0, others) => format!("{} changed, none of which stage1 takes a file", packages(others)),
        (taken, 0) => format!("{} changed of which stage1 takes files", packages(taken)),
        (taken, others) => {
            format!(
                "{} changed of which stage1 takes files, and {others} of which it takes none",
                packages(taken)
            )
        }
    })
}

/// The changes of packages of which the stage1 takes a file, and the number of the others.
pub(super) fn split_by_taken(changes: &[PackageChange]) -> (Vec<&PackageChange>, usize) {
    let taken: Vec<&PackageChange> = changes.iter().filter(|change| !change.taken.is_empty()).collect();
    let others = changes.len() - taken.len();
    (taken, others)
}

/// `1.5.3 -> 1.6.1`, `new 1.6.1` or `1.5.3 removed`.
pub(crate) fn versions(change: &PackageChange) -> String {
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{from} -> {to}"),
        (None, Some(to)) => format!("new {to}"),
        (Some(from), None) => format!("{from} removed"),
        (None, None) => String::new(),
    }
}

/// The key `packages` of the JSON document.
pub(crate) fn to_json(changes: &[PackageChange]) -> Value {
    let change = |change: &PackageChange| {
        json!({
            "name": change.name,
            "from": change.from,
            "to": change.to,
            "taken": change.taken.iter().map(|path| path.as_str()).collect::<Vec<_>>(),
            "flavors": change.flavors.iter().map(|flavor| flavor.as_str()).collect::<Vec<_>>(),
        })
    };
    changes.iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use coreos_types::Flavor;
    use expect_test::expect;
    use usr::UsrPath;

    use super::*;

    #[test]
    fn taken_packages_are_listed_and_others_counted() {
        let change = |name: &str, from: Option<&str>, to: Option<&str>, taken: &[&str]| PackageChange {
            name: name.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            taken: taken.iter().map(|path| UsrPath::new(path).unwrap()).collect(),
            flavors: BTreeSet::from([Flavor::from_dir_name("usr_from_kvm").unwrap()]),
        };
        let changes = [
            change("net-misc/openssh", Some("9.7_p1"), Some("9.8_p1"), &["sbin/sshd"]),
            change("sys-libs/pam", None, Some("1.6.1"), &["lib64/libpam.so", "lib64/libpam.so.0"]),
            change("app-misc/other", Some("1"), None, &[]),
        ];
        expect![[r#"
            2 packages changed of which stage1 takes files, and 1 of which it takes none
              net-misc/openssh  9.7_p1 -> 9.8_p1  1 file in kvm
              sys-libs/pam      new 1.6.1  2 files in kvm
        "#]]
        .assert_eq(&render(&changes).to_string());
        expect![[r#"
            1 package changed, none of which stage1 takes a file
        "#]]
        .assert_eq(&render(&changes[2..]).to_string());
        assert_eq!(to_json(&changes[..1])[0]["taken"], json!(["sbin/sshd"]));
    }
}
