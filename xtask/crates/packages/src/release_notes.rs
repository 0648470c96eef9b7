//! Security fixes in the release notes that Flatcar publishes as `releases.json`.
//!
//! The file is not signed, so that its content is only a hint. It is an object from release to entry; an entry's
//! `release_notes` is Markdown with sections `_Changes since **CHANNEL RELEASE**_`, lists below `Security fixes:` that
//! name a package and its CVEs, and lists below `Updates:` that link the upstream change logs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use coreos_types::{Error, Flavor, Release, Result};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::package::short_name;
use crate::package_changes::PackageUsage;

/// Largest file that is read; in 2026-11 it has 13 MB.
pub const MAX_LEN: u64 = 64 << 20;

/// Most releases of one file; in 2026-11 it has 545.
const MAX_RELEASES: usize = 20_000;

/// Longest link that is kept.
const MAX_URL: usize = 500;

/// Most releases that one comparison follows, and bytes of their notes; Flatcar's releases have 24 KB each.
const MAX_STEPS: usize = 1_000;
const MAX_NOTES: usize = 4 << 20;

/// Names in the release notes that differ from the package's name (flatcar/scripts).
const ALIASES: [(&str, &str); 2] = [("linux", "coreos-kernel"), ("linux kernel", "coreos-kernel")];

/// The release notes of a vendor: the JSON of each release, which is parsed when a comparison reaches it.
#[derive(Debug, Default)]
pub struct ReleaseNotes<'a> {
    entries: BTreeMap<String, &'a RawValue>,
}

/// The changes of a release since an older one.
#[derive(Debug, Default)]
struct Section {
    since: Option<Release>,
    fixes: TextsByPackage,
    links: TextsByPackage,
}

type TextsByPackage = BTreeMap<String, BTreeSet<String>>;

/// Security fixes between two releases.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReleaseFixes {
    /// Identifiers (CVE, GHSA) by package, as the notes name it.
    pub fixes: TextsByPackage,
    /// Links to upstream change logs by package.
    pub links: TextsByPackage,
    /// Why the fixes may be too many or too few; `None` if the notes cover exactly the two releases.
    pub caveat: Option<String>,
}

/// Fixes of a package of which the stage1 takes a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelevantFix {
    /// Package, as the image names it.
    pub package: String,
    /// Identifiers, sorted.
    pub ids: BTreeSet<String>,
    /// Links to upstream change logs.
    pub links: BTreeSet<String>,
    /// Flavors that take a path of the package.
    pub flavors: BTreeSet<Flavor>,
}

impl<'a> ReleaseNotes<'a> {
    /// Reads `releases.json`; releases of another form are skipped when they are reached.
    ///
    /// # Errors
    /// It is not a JSON object, or has more than 20,000 entries.
    pub fn parse(json: &'a [u8]) -> Result<ReleaseNotes<'a>> {
        let mut json = serde_json::Deserializer::from_slice(json);
        let entries = json.deserialize_map(ReleasesVisitor).and_then(|entries| json.end().map(|()| entries));
        let error =
            |error| Error::failed("the release notes are not an object of releases").with_cause(error);
        entries.map(|entries| ReleaseNotes { entries }).map_err(error)
    }

    /// The entries that [`ReleaseNotes::fixes_between`] visits, in the form of the whole file.
    pub fn json_between(&self, from: &Release, to: &Release) -> String {
        let entries = self.follow(from, to).0.into_iter().filter_map(|release| {
            let (key, entry) = self.entries.get_key_value(release.as_str())?;
            Some(format!("{}:{entry}", serde_json::Value::from(key.as_str())))
        });
        format!("{{{}}}\n", entries.collect::<Vec<_>>().join(","))
    }

    /// Collects the fixes from `from` (exclusive) to `to` (inclusive).
    pub fn fixes_between(&self, from: &Release, to: &Release) -> ReleaseFixes {
        self.follow(from, to).1
    }

    /// Follows the notes from `to` back to `from`: the visited releases and their fixes.
    ///
    /// Notes name the release that they compare with. Each step takes the section that reaches furthest back without
    /// passing `from`.
    fn follow(&self, from: &Release, to: &Release) -> (Vec<Release>, ReleaseFixes) {
        let (mut visited, mut found) = (Vec::new(), ReleaseFixes::default());
        let (mut current, mut length) = (to.clone(), 0);
        while current.numbers() > from.numbers() && visited.len() < MAX_STEPS && found.caveat.is_none() {
            length += self.entries.get(current.as_str()).map_or(0, |entry| entry.get().len());
            if length > MAX_NOTES {
                found.caveat = Some(format!("the notes up to {current} have more than {MAX_NOTES} bytes"));
                break;
            }
            let Some(section) = self.section_towards(from, &current) else {
                found.caveat = Some(format!("there are no release notes of {current}"));
                break;
            };
            merge(&mut found.fixes, section.fixes);
            merge(&mut found.links, section.links);
            let since = section.since.filter(|since| since.numbers() < current.numbers());
            found.caveat = match &since {
                None => Some(format!("the notes of {current} name no older release")),
                Some(since) if since.numbers() < from.numbers() => {
                    Some(format!("the notes of {current} begin at {since}, so older fixes are counted too"))
                }
                Some(_) => None,
            };
            visited.push(std::mem::replace(&mut current, since.unwrap_or_else(|| from.clone())));
        }
        (visited, found)
    }

    /// The section of a release that reaches furthest back without passing `from`, else the one that passes it least.
    fn section_towards(&self, from: &Release, release: &Release) -> Option<Section> {
        let base = |section: &Section| section.since.as_ref().map(Release::numbers);
        let (within, beyond): (Vec<_>, Vec<_>) =
            self.sections(release).into_iter().partition(|section| base(section) >= Some(from.numbers()));
        within.into_iter().min_by_key(base).or_else(|| beyond.into_iter().max_by_key(base))
    }

    /// The sections of the notes of a release; none for an entry of another form.
    fn sections(&self, release: &Release) -> Vec<Section> {
        let text = || {
            let entry = self.entries.get(release.as_str())?;
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(entry.get()).ok()?;
            serde_json::from_str::<String>(fields.get("release_notes")?.get()).ok()
        };
        text().map_or_else(Vec::new, |notes| parse_notes(&notes))
    }
}

struct ReleasesVisitor;

impl<'de> Visitor<'de> for ReleasesVisitor {
    type Value = BTreeMap<String, &'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of releases")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((release, entry)) = map.next_entry()? {
            entries.insert(release, entry);
            if entries.len() > MAX_RELEASES {
                return Err(serde::de::Error::custom(format!("more than {MAX_RELEASES} releases")));
            }
        }
        Ok(entries)
    }
}

impl ReleaseFixes {
    /// Number of fixes: distinct identifiers per package.
    pub fn count(&self) -> usize {
        self.fixes.values().map(BTreeSet::len).sum()
    }

    /// The fixes in packages of which the stage1 takes a path.
    pub fn fixes_in_stage1(&self, usage: &PackageUsage<'_>) -> Vec<RelevantFix> {
        let mut by_name: BTreeMap<String, Vec<(&str, &BTreeSet<Flavor>)>> = BTreeMap::new();
        for (package, (_, flavors)) in usage {
            by_name.entry(short_name(package).to_ascii_lowercase()).or_default().push((package, flavors));
        }
        let mut relevant = Vec::new();
        for (name, ids) in self.fixes.iter().filter(|(_, ids)| !ids.is_empty()) {
            let aliases = ALIASES.iter().filter(|(alias, _)| alias == name).map(|(_, real)| *real);
            let names = std::iter::once(name.as_str()).chain(aliases);
            let packages: Vec<_> = names.filter_map(|name| by_name.get(name)).flatten().collect();
            let Some((package, _)) = packages.first() else { continue };
            relevant.push(RelevantFix {
                package: (*package).to_owned(),
                ids: ids.clone(),
                links: self.links.get(name).cloned().unwrap_or_default(),
                flavors: packages.iter().flat_map(|(_, flavors)| *flavors).cloned().collect(),
            });
        }
        relevant
    }
}

fn merge(into: &mut TextsByPackage, from: TextsByPackage) {
    for (key, values) in from {
        into.entry(key).or_default().extend(values);
    }
}

fn parse_notes(notes: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    // The heading of the list that a line belongs to.
    let mut list = String::new();
    for line in notes.lines().map(str::trim) {
        let heading = line.trim_start_matches('#').trim_matches(['*', ' ', ':']).to_ascii_lowercase();
        if let Some(since) = line.trim_matches('_').strip_prefix("Changes since") {
            sections.push(Section { since: find_release(since), ..Section::default() });
            list.clear();
        } else if line.starts_with('#') || heading == "security fixes" || heading == "updates" {
            list = heading;
        } else if let Some(item) = line.strip_prefix(['-', '*']) {
            let (Some(section), Some((package, links))) = (sections.last_mut(), parse_item(item)) else {
                continue;
            };
            match list.as_str() {
                "security fixes" => {
                    let ids = links.into_iter().map(|(text, _)| text).filter(|text| is_identifier(text));
                    section.fixes.entry(package).or_default().extend(ids);
                }
                "updates" => {
                    let is_web = |url: &String| {
                        url.starts_with("https://")
                            && url.len() <= MAX_URL
                            && url.bytes().all(|b| b.is_ascii_graphic())
                    };
                    let urls = links.into_iter().map(|(_, url)| url).filter(is_web);
                    section.links.entry(package).or_default().extend(urls);
                }
                _ => {}
            }
        }
    }
    sections.retain(|section| section.since.is_some() || !section.fixes.is_empty());
    sections
}

/// The release in `**Stable 4593.2.4**`.
fn find_release(text: &str) -> Option<Release> {
    let mut words = text.split(|c: char| c.is_whitespace() || c == '*' || c == '_');
    words.find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))?.parse().ok()
}

/// Package and links, as (text, URL), of `openssh ([CVE-1](https://…), [CVE-2](https://…))`.
fn parse_item(item: &str) -> Option<(String, Vec<(String, String)>)> {
    let (name, rest) = item.split_once('(')?;
    let name = name.trim();
    // `base, dev: NAME` is in the image; `SDK: NAME` and `sysext-podman: NAME` are not, and keep their prefix.
    let name =
        name.split_once(": ").filter(|(parts, _)| parts.contains("base")).map_or(name, |(_, name)| name);
    (!name.is_empty() && name.len() <= 100).then_some(())?;
    let mut links = Vec::new();
    for part in rest.split('[').skip(1) {
        let Some((text, target)) = part.split_once("](") else { continue };
        let url = target.split(')').next().unwrap_or_default();
        links.push((text.to_owned(), url.to_owned()));
    }
    Some((name.to_ascii_lowercase(), links))
}

/// Whether a link's text is the identifier of a fix, such as `CVE-2026-1234` or `gnupg-2026-01`: one printable word.
fn is_identifier(text: &str) -> bool {
    (3..=60).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTES: &str = r##"{
        "3.2.0": {"release_notes": "_Changes since **Stable 2.2.0**_\n\n #### Security fixes:\n\n - Linux ([CVE-2026-1](https://n/1), [CVE-2026-2](https://n/2))\n - pam ([CVE-2026-3](https://n/3))\n#### Updates:\n- base, dev: pam ([1.7](https://p/1.7))\n- SDK: pam ([1.8](https://p/1.8))\n_Changes since **Beta 3.1.0**_\n#### Security fixes:\n- Linux ([CVE-2026-2](https://n/2))\n"},
        "2.2.0": {"release_notes": "_Changes since **Stable 2.1.0**_\n#### Security fixes:\n- pam ([CVE-2025-9](x), [see there](y))\n- OpenSSH ([GHSA-aaaa-bbbb](y))\n"},
        "current": {"channel": "stable"}, "odd": 7
    }"##;

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    fn between(from: &str, to: &str) -> (usize, Option<String>) {
        let found =
            ReleaseNotes::parse(NOTES.as_bytes()).unwrap().fixes_between(&release(from), &release(to));
        (found.count(), found.caveat)
    }

    #[test]
    fn notes_are_followed_to_the_old_release() {
        assert_eq!(between("2.2.0", "3.2.0"), (3, None));
        assert_eq!(between("3.1.0", "3.2.0"), (1, None), "the beta section is enough");
        assert_eq!(between("2.1.0", "3.2.0"), (5, None));
        assert_eq!(between("3.2.0", "3.2.0"), (0, None));
        let caveat = |text: &str| Some(text.to_owned());
        assert_eq!(between("1.0.0", "3.2.0"), (5, caveat("there are no release notes of 2.1.0")));
        let older = "the notes of 2.2.0 begin at 2.1.0, so older fixes are counted too";
        assert_eq!(between("2.1.5", "2.2.0"), (2, caveat(older)));
    }

    #[test]
    fn long_notes_end_with_a_caveat() {
        let notes = "x".repeat(MAX_NOTES);
        let json = format!(r#"{{"3.2.0": {{"release_notes": "_Changes since **Beta 3.1.0**_ {notes}"}}}}"#);
        let found =
            ReleaseNotes::parse(json.as_bytes()).unwrap().fixes_between(&release("3.1.0"), &release("3.2.0"));
        assert!(found.caveat.unwrap().contains("more than 4194304 bytes"));
    }

    #[test]
    fn fixes_concern_the_packages_that_are_taken() {
        let kvm = Flavor::from_dir_name("usr_from_kvm").unwrap();
        let usage: PackageUsage<'_> =
            [("sys-libs/pam", vec![]), ("net-misc/openssh", vec![]), ("a/linux-pam", vec![])]
                .map(|(name, paths)| (name, (paths, BTreeSet::from([kvm.clone()]))))
                .into();
        let found = ReleaseNotes::parse(NOTES.as_bytes())
            .unwrap()
            .fixes_between(&release("2.1.0"), &release("3.2.0"));
        let rows: Vec<String> = found
            .fixes_in_stage1(&usage)
            .iter()
            .map(|fix| format!("{} {:?} {:?}", fix.package, fix.ids, fix.links))
            .collect();
        assert_eq!(
            rows,
            [
                r#"net-misc/openssh {"GHSA-aaaa-bbbb"} {}"#,
                r#"sys-libs/pam {"CVE-2025-9", "CVE-2026-3"} {"https://p/1.7"}"#,
            ]
        );
    }

    /// A comparison of each fix with each package would take minutes.
    #[test]
    fn many_fixes_and_packages_are_bounded() {
        let ids = BTreeSet::from(["CVE-2026-1".to_owned()]);
        let fixes = (0..100_000).map(|number| (format!("p{number}"), ids.clone())).collect();
        let found = ReleaseFixes { fixes, ..ReleaseFixes::default() };
        let names: Vec<String> = (0..20_000).map(|number| format!("c/P{number}")).collect();
        let usage: PackageUsage<'_> =
            names.iter().map(|name| (name.as_str(), (Vec::new(), BTreeSet::new()))).collect();
        assert_eq!(found.fixes_in_stage1(&usage).len(), 20_000);
    }

    #[test]
    fn visited_entries_give_the_same_fixes() {
        let (all, from, to) =
            (ReleaseNotes::parse(NOTES.as_bytes()).unwrap(), release("2.1.0"), release("3.2.0"));
        let visited = all.json_between(&from, &to);
        assert!(!visited.contains("current"));
        let few = ReleaseNotes::parse(visited.as_bytes()).unwrap();
        assert_eq!(few.fixes_between(&from, &to), all.fixes_between(&from, &to));
    }

    #[test]
    fn other_json_is_an_error() {
        let many: Vec<String> = (0..=MAX_RELEASES).map(|number| format!("\"{number}\":0")).collect();
        let many = format!("{{{}}}", many.join(","));
        for json in ["", "[]", "{", "7", "{} x", many.as_str()] {
            assert!(ReleaseNotes::parse(json.as_bytes()).is_err(), "{json:.9}");
        }
    }

    #[test]
    fn deep_and_odd_entries_are_skipped() {
        let deep = format!("{{\"3.2.0\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        for json in
            [deep.as_str(), r#"{"3.2.0": 7}"#, r#"{"3.2.0": {"release_notes": [1]}}"#, r#"{"\u0033.2.0":{}}"#]
        {
            let Ok(notes) = ReleaseNotes::parse(json.as_bytes()) else { continue };
            let found = notes.fixes_between(&release("1.0.0"), &release("3.2.0"));
            assert_eq!(found.caveat.as_deref(), Some("there are no release notes of 3.2.0"), "{json:.20}");
        }
    }
}
