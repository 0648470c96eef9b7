//! Security fixes between two releases, from the vendor's release notes (`--advisories`).
//!
//! The notes are not signed: they are a hint, and a failure to read them is a note in the report. Only a file that the
//! user names must be readable.

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
use crate::report::advisories::{AdvisoryReport, SecurityFixes};
use coreos_types::{Error, Result, ResultExt, Vendor};
use packages::package_changes::group_taken_by_package;
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
    let default = || match context.vendor() == Vendor::FLATCAR {
        true => AdvisorySource::Url(FLATCAR_NOTES_URL.to_owned()),
        false => AdvisorySource::None,
    };
    option.or(context.settings.advisories.as_ref()).cloned().unwrap_or_else(default)
}

/// The security fixes between the two releases in the packages of the new images; `None` if none are requested.
///
/// # Errors
/// A file that the user named cannot be read, or is not an object of releases.
pub(crate) fn load_report(
    comparison: &PackageComparison<'_>,
    option: Option<&AdvisorySource>,
) -> Result<Option<AdvisoryReport>> {
    let PackageComparison { context, from, new: images, after: sources, .. } = *comparison;
    let to = &images.release;
    let (source, found) = match resolve_source(context, option) {
        _ if from == to => return Ok(None),
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
        let (relevant, unknown) = relevant_fixes(&advisories, comparison);
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
fn relevant_fixes(
    fixes: &ReleaseFixes,
    comparison: &PackageComparison<'_>,
) -> (Vec<RelevantFix>, Option<String>) {
    let (mut relevant, mut unknown) = (Vec::<RelevantFix>::new(), None);
    for (&board, taken) in comparison.taken_after() {
        let packages = comparison.new.packages(board);
        let Some(packages) = packages.filter(|packages| packages.count_owned_paths() > 0) else {
            unknown = Some(format!(
                "the image of {board} does not name the packages of its files, so the fixes that concern stage1 are unknown"
            ));
            continue;
        };
        for fix in fixes.fixes_in_stage1(&group_taken_by_package(packages, taken)) {
            match relevant.iter_mut().find(|known| known.package == fix.package) {
                Some(known) => known.flavors.extend(fix.flavors),
                None => relevant.push(fix),
            }
        }
    }
    (relevant, unknown)
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
