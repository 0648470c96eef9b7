//! Security fixes between the two releases as text and JSON.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::styled_text::{Style, StyledText};
use super::{file_name, join_first_names, join_flavors};
use coreos_types::{Flavor, Release};
use packages::release_notes::RelevantFix;

/// The security fixes between two releases, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvisoryReport {
    /// URL or file of the release notes.
    pub source: String,
    pub from: Release,
    pub to: Release,
    /// The fixes, or the reason why the notes were not read.
    pub fixes: Result<SecurityFixes, String>,
}

/// Security fixes, those in packages of the stage1 by package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityFixes {
    /// Number of all fixes.
    pub total: usize,
    /// Those in packages of which the stage1 takes a file.
    pub relevant: Vec<RelevantFix>,
    /// The flavors of the tree.
    pub flavors: BTreeSet<Flavor>,
    /// Why the fixes may be too many, too few or old.
    pub caveats: Vec<String>,
}

/// Identifiers of one package beyond this many are counted, not shown.
const MAX_IDS: usize = 4;
/// Packages of one flavor that the headline names.
const MAX_PACKAGES: usize = 3;
/// Links of one package that are shown.
const MAX_LINKS: usize = 3;

impl SecurityFixes {
    /// The number of fixes of each flavor, and the packages.
    fn group_by_flavor(&self) -> impl Iterator<Item = (&Flavor, usize, Vec<&str>)> {
        self.flavors.iter().map(|flavor| {
            let concerned = self.relevant.iter().filter(|fix| fix.flavors.contains(flavor));
            let count = concerned.clone().map(|fix| fix.ids.len()).sum();
            let names = concerned.map(|fix| file_name(&fix.package));
            (flavor, count, names.collect())
        })
    }

    /// Number of fixes in packages of which the stage1 takes no file.
    fn count_outside_stage1(&self) -> usize {
        self.total - self.relevant.iter().map(|fix| fix.ids.len()).sum::<usize>()
    }
}

impl AdvisoryReport {
    /// `474 security fixes between A and B: 0 in coreos, 8 in kvm (openssh); 466 in packages of which stage1 takes no file`.
    pub(super) fn headline(&self) -> String {
        let between = format!("between {} and {}", self.from, self.to);
        let fixes = match &self.fixes {
            Err(why) => {
                return format!(
                    "security fixes {between} are unknown: the release notes were not read: {why}"
                );
            }
            Ok(fixes) => fixes,
        };
        let flavors = fixes.group_by_flavor().map(|(flavor, count, packages)| match packages.as_slice() {
            [] => format!("{count} in {flavor}"),
            names => format!("{count} in {flavor} ({})", join_first_names(names.iter(), MAX_PACKAGES)),
        });
        let flavors = flavors.collect::<Vec<_>>().join(", ");
        let (total, noun, other) = (fixes.total, fix_noun(fixes.total), fixes.count_outside_stage1());
        format!(
            "{total} security {noun} {between}: {flavors}; {other} in packages of which stage1 takes no file"
        )
    }

    /// Why the result is a hint, and what is wrong with it.
    pub(super) fn remarks(&self) -> String {
        let caveats = self.fixes.iter().flat_map(|fixes| &fixes.caveats).map(|caveat| format!("; {caveat}"));
        format!("a hint from {}, which is not signed{}", self.source, caveats.collect::<String>())
    }

    /// The fixes in packages of the stage1.
    pub(super) fn relevant_fixes(&self) -> &[RelevantFix] {
        self.fixes.as_ref().map_or(&[], |fixes| &fixes.relevant)
    }

    /// The headline, one line per package of the stage1, and the source.
    pub(super) fn render(&self) -> StyledText {
        let mut out = StyledText::new();
        let style = if self.relevant_fixes().is_empty() { Style::Plain } else { Style::Strong };
        out.push_line(style, self.headline());
        for fix in self.relevant_fixes() {
            out.push(Style::Plain, format!("  {}  {}", fix.package, describe_ids(fix)));
            out.push_line(Style::Faint, format!("  in {}", join_flavors(&fix.flavors)));
            shown_links(fix).for_each(|link| out.push_line(Style::Faint, format!("    {link}")));
        }
        if self.fixes.is_ok() {
            out.push_line(Style::Faint, format!("  {}", self.remarks()));
        }
        out
    }

    /// The key `advisories` of the JSON document.
    pub(super) fn to_json(&self) -> Value {
        let Ok(fixes) = &self.fixes else {
            return json!({ "source": self.source, "signed": false, "note": self.headline() });
        };
        let flavors = fixes.group_by_flavor().map(|(flavor, count, _)| (flavor.to_string(), json!(count)));
        let package = |fix: &RelevantFix| {
            let flavors: Vec<&str> = fix.flavors.iter().map(Flavor::as_str).collect();
            json!({ "name": fix.package, "ids": fix.ids, "links": fix.links, "flavors": flavors })
        };
        json!({
            "source": self.source,
            "signed": false,
            "note": self.remarks(),
            "fixes": fixes.total,
            "other": fixes.count_outside_stage1(),
            "flavors": flavors.collect::<Value>(),
            "packages": fixes.relevant.iter().map(package).collect::<Value>(),
        })
    }
}

/// `8 fixes: CVE-2026-1, CVE-2026-2 and 6 more`.
pub(super) fn describe_ids(fix: &RelevantFix) -> String {
    let number = fix.ids.len();
    format!("{number} {}: {}", fix_noun(number), join_first_names(fix.ids.iter(), MAX_IDS))
}

fn fix_noun(fixes: usize) -> &'static str {
    if fixes == 1 { "fix" } else { "fixes" }
}

/// Links to the upstream change logs that are shown.
pub(super) fn shown_links(fix: &RelevantFix) -> impl Iterator<Item = &String> {
    fix.links.iter().take(MAX_LINKS)
}
