//! Security fixes between two releases, from the vendor's release notes (`--advisories`).
//!
//! The notes are not signed: they are a hint, and a failure to read them is a note in the report. Only a file that the
//! user names must be readable.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::atomic_file;
use crate::bounded_file;
use crate::cache::ImageStore;
use crate::cache::remove_old_entries::remove_old_entries;
use crate::cli::AdvisorySource;
use crate::context::Context;
use crate::http::{Client, ClientConfig, redact};
use crate::package_comparison::PackageComparison;
use crate::report::Report;
use crate::report::advisories::{AdvisoryReport, SecurityFixes};
use coreos_types::{Board, Error, Result, ResultExt, Vendor};
use packages::PackageSet;
use packages::package_changes::{PackageUsage, TakenPaths, group_taken_by_package};
use packages::release_notes::{MAX_LEN, ReleaseFixes, ReleaseNotes, RelevantFix};
use pxe_image::Digest;

/// The release notes of Flatcar.
const FLATCAR_NOTES_URL: &str = "https://www.flatcar.org/releases-json/releases.json";

/// Age up to which a stored download is used without a request.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// Checks the option before anything is downloaded.
///
/// # Errors
/// The file cannot be opened; the URL is not valid, or is plain http to another machine.
pub(crate) fn check_source(context: &Context<'_>, option: Option<&AdvisorySource>) -> Result<()> {
    match resolve_source(context, option) {
        AdvisorySource::None => Ok(()),
        AdvisorySource::File(file) => {
            bounded_file::open(&file).map(drop).with_path("cannot open", &file).map_err(with_hint)
        }
        AdvisorySource::Url(url) => {
            let insecure_http = context.image_args.insecure_http;
            Client::new(ClientConfig { insecure_http, ..ClientConfig::default() }).check_url(&url)
        }
    }
}

fn with_hint(error: Error) -> Error {
    error.with_hint("pass a releases.json of the vendor, or leave the security fixes out: --advisories none")
}

/// The option, else the configuration, else the notes of the vendor.
fn resolve_source(context: &Context<'_>, option: Option<&AdvisorySource>) -> AdvisorySource {
    let is_flatcar = context.vendor() == Vendor::FLATCAR;
    let of_vendor = is_flatcar.then(|| AdvisorySource::Url(FLATCAR_NOTES_URL.to_owned()));
    let requested = option.or(context.settings.advisories.as_ref()).cloned();
    requested.or(of_vendor).unwrap_or(AdvisorySource::None)
}

/// Adds the package changes between two releases, and the security fixes in the packages of the new images, to the
/// report; neither for the same release.
///
/// # Errors
/// A file that the user named cannot be read, or is not an object of releases.
pub(crate) fn fill_packages_and_advisories(
    comparison: &PackageComparison<'_>,
    option: Option<&AdvisorySource>,
    report: &mut Report,
) -> Result<()> {
    if *comparison.from != comparison.new.release {
        let taken = comparison.taken_after();
        report.package_changes = comparison.changes(&taken);
        report.advisories = load_report(comparison, &taken, option)?;
    }
    Ok(())
}

/// The security fixes between the two releases; `None` if none are requested.
fn load_report(
    comparison: &PackageComparison<'_>,
    taken: &BTreeMap<Board, TakenPaths>,
    option: Option<&AdvisorySource>,
) -> Result<Option<AdvisoryReport>> {
    let PackageComparison { context, from, new: images, after: sources, .. } = *comparison;
    let to = &images.release;
    let (source, found) = match resolve_source(context, option) {
        AdvisorySource::None => return Ok(None),
        AdvisorySource::File(file) => {
            let about = || format!("cannot read {}", file.display());
            let json = bounded_file::read(&file, MAX_LEN).with_context(about).map_err(with_hint)?;
            let notes = ReleaseNotes::parse(&json).with_context(about).map_err(with_hint)?;
            (file.display().to_string(), Ok((notes.fixes_between(from, to), None)))
        }
        AdvisorySource::Url(url) => {
            let found = read_cached_or_download(comparison, &url);
            (redact(&url), found.map_err(|error| error.to_string()))
        }
    };
    let found = found.map(|(advisories, age)| {
        let packages = |board| images.packages(board);
        let (relevant, unknown) = relevant_fixes(&advisories, taken, packages);
        let caveats = advisories.caveat.iter().cloned().chain(age).chain(unknown);
        SecurityFixes {
            total: advisories.count(),
            relevant,
            flavors: sources.flavors().into_iter().cloned().collect(),
            caveats: caveats.collect(),
        }
    });
    Ok(Some(AdvisoryReport { source, from: from.clone(), to: to.clone(), fixes: found }))
}

/// The fixes that concern packages of any board's stage1, and the reason if that is not known.
fn relevant_fixes<'p>(
    fixes: &ReleaseFixes,
    taken: &BTreeMap<Board, TakenPaths>,
    packages_of: impl Fn(Board) -> Option<&'p PackageSet>,
) -> (Vec<RelevantFix>, Option<String>) {
    let (mut usage, mut unknown) = (PackageUsage::new(), None);
    for (&board, taken) in taken {
        let Some(packages) = packages_of(board).filter(|packages| packages.count_owned_paths() > 0) else {
            unknown = Some(format!(
                "the image of {board} does not name the packages of its files, so the fixes that concern stage1 are unknown"
            ));
            continue;
        };
        for (package, (paths, flavors)) in group_taken_by_package(packages, taken) {
            let known = usage.entry(package).or_default();
            known.0.extend(paths);
            known.1.extend(flavors);
        }
    }
    (fixes.fixes_in_stage1(&usage), unknown)
}

/// The fixes in the release notes at a URL, and a note if they are from an old download. The part between the two
/// releases is cached.
fn read_cached_or_download(
    comparison: &PackageComparison<'_>,
    url: &str,
) -> Result<(ReleaseFixes, Option<String>)> {
    let (store, from, to) = (&comparison.new.store, comparison.from, &comparison.new.release);
    let path = prepare_cache_path(store, [url, from.as_str(), to.as_str()]);
    let mut stored = path.as_ref().and_then(|path| {
        let json = bounded_file::read_owned_by_user(path, MAX_LEN).ok()?;
        let age = SystemTime::now().duration_since(fs::metadata(path).ok()?.modified().ok()?).ok()?;
        Some((ReleaseNotes::parse(&json).ok()?.fixes_between(from, to), age))
    });
    if let Some((advisories, _)) = stored.take_if(|(_, age)| *age < FRESH) {
        return Ok((advisories, None));
    }
    let error = match store.client.get_bytes_without_retry(url, MAX_LEN) {
        Ok(Some(json)) => {
            let notes = ReleaseNotes::parse(&json)?;
            let store_in = |path: PathBuf| atomic_file::write(&path, notes.json_between(from, to));
            if let Some(Err(error)) = path.map(store_in) {
                store.term.detail("cache", error);
            }
            return Ok((notes.fixes_between(from, to), None));
        }
        Ok(None) => Error::failed(format!("{} is not found", redact(url))),
        Err(error) => error,
    };
    let (advisories, age) = stored.ok_or(error)?;
    let days = age.as_secs() / (24 * 3600);
    Ok((advisories, Some(format!("the notes are {days} days old"))))
}

/// The file of a comparison in the cache; `None` if the cache cannot be used.
fn prepare_cache_path(store: &ImageStore, key: [&str; 3]) -> Option<PathBuf> {
    let directory = store.cache.create_dir("advisories").ok()?;
    remove_old_entries(&directory, |_| false);
    Some(directory.join(Digest::sha256(key.join("\0").as_bytes()).hex()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use coreos_types::Flavor;
    use packages::Package;
    use usr::UsrPath;

    const NOTES: &[u8] = br##"{"2.0.0": {"release_notes": "_Changes since **Alpha 1.0.0**_\n\n#### Security fixes:\n\n- pam ([CVE-2016-1](https://n/1))\n- Linux ([CVE-2016-2](https://n/2))\n- Linux Kernel ([CVE-2016-3](https://n/3))\n"}}"##;

    #[test]
    fn fixes_of_several_boards_are_counted_once() {
        let flavor = Flavor::from_dir_name("usr_from_coreos").unwrap();
        let path = |name: &str| UsrPath::new(name).unwrap();
        let taken = |names: &[&str]| names.iter().map(|name| (path(name), [flavor.clone()].into())).collect();
        let packages = |pam: &str| {
            let mut packages = PackageSet::new();
            for (atom, file) in [(pam, "lib/pam"), ("sys-kernel/coreos-kernel-6", "boot/vmlinuz")] {
                packages.insert(Package::parse_atom(atom).unwrap(), [path(file)]);
            }
            packages
        };
        let (one, other) = (packages("sys-libs/pam-1"), packages("other/pam-1"));
        let taken: BTreeMap<Board, TakenPaths> =
            Board::ALL.map(|board| (board, taken(&["boot/vmlinuz", "lib/pam"]))).into();
        let packages_of = |board| Some(if board == Board::Amd64 { &one } else { &other });
        let notes = ReleaseNotes::parse(NOTES).unwrap();
        let fixes = notes.fixes_between(&"1.0.0".parse().unwrap(), &"2.0.0".parse().unwrap());
        let (relevant, unknown) = relevant_fixes(&fixes, &taken, packages_of);
        let ids: Vec<&str> = relevant.iter().flat_map(|fix| &fix.ids).map(String::as_str).collect();
        assert_eq!((ids, unknown), (vec!["CVE-2016-2", "CVE-2016-3", "CVE-2016-1"], None));
    }
}
