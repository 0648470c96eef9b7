//! `cache list` and `cache prune`: listing and removing cached images.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::cache::expiry::{self, CacheEntry};
use crate::cache::{Cache, ImageStore};
use crate::cli::{CacheAction, GlobalArgs};
use crate::config::Config;
use crate::context::current_dir;
use crate::http::ClientConfig;
use crate::repo::Repo;
use crate::report::{Report, count_with_noun};
use crate::terminal::Term;
use coreos_types::{Release, Result, calendar::rfc3339, shell::quote};
use manifest::common_mk::CommonMk;
use pxe_image::Digest;

/// Lists the images in the cache, or removes them. A tree is optional; the release that it pins is kept.
pub(crate) fn cache(
    term: &Term,
    globals: &GlobalArgs,
    action: &CacheAction,
    report: &mut Report,
) -> Result<()> {
    let tree = match Repo::find(globals.repo.as_deref(), &current_dir()?) {
        Err(_) if globals.repo.is_none() => None,
        tree => Some(tree?),
    };
    let pinned = tree.as_ref().map(recover_and_read_release).transpose()?;
    let cache = Cache::from_env(tree.as_ref().map(Repo::root))?;
    let entries = expiry::read_entries(&cache);
    match action {
        CacheAction::List => {
            list(&entries, pinned.as_ref(), report);
            Ok(())
        }
        CacheAction::Prune { older_than } => {
            let keyring = Config::read()?.keyring(None, None, cache.certificates_dir())?;
            let store = ImageStore::new(cache, ClientConfig::from_env(), keyring, term);
            let min_age = Duration::from_secs(older_than.unwrap_or(0).saturating_mul(24 * 60 * 60));
            prune(&store, &entries, min_age, pinned.as_ref(), report)
        }
    }
}

fn recover_and_read_release(tree: &Repo) -> Result<Release> {
    Ok(CommonMk::parse(&tree.recover_and_read()?.sources.common_mk)?.release().clone())
}

fn list(entries: &[CacheEntry], pinned: Option<&Release>, report: &mut Report) {
    let now = SystemTime::now();
    for entry in entries {
        let mark = if entry.is_of(pinned) { ", pinned by this tree" } else { "" };
        report.output.push(format!("{}{mark}", expiry::describe(entry, now)));
    }
    let (count, mebibytes) = (count_with_noun(entries.len(), "image"), total_mebibytes(entries));
    report.output.push(format!("{count}, {mebibytes} MiB in all"));
    report.extra.insert("cache", entries.iter().map(|entry| entry_to_json(entry, pinned)).collect());
}

fn prune(
    store: &ImageStore,
    entries: &[CacheEntry],
    min_age: Duration,
    pinned: Option<&Release>,
    report: &mut Report,
) -> Result<()> {
    let now = SystemTime::now();
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    for entry in entries.iter().filter(|entry| entry.age(now) >= min_age) {
        if let Some(reason) = expiry::probe_reason_to_keep(store, entry, pinned) {
            let (name, directory) = (entry.name(), quote(&entry.directory.display().to_string()));
            report.output.push(format!("kept {name}: {reason}; to remove it: rm -r -- {directory}"));
            kept.push(entry_to_json(entry, pinned));
            continue;
        }
        expiry::remove(entry)?;
        report.output.push(format!("removed {}", expiry::describe(entry, now)));
        removed.push(entry);
    }
    let mebibytes = total_mebibytes(removed.iter().copied());
    report.output.push(format!("{} removed, {mebibytes} MiB", count_with_noun(removed.len(), "image")));
    report.extra.insert("removed", removed.iter().map(|entry| entry_to_json(entry, pinned)).collect());
    report.extra.insert("kept", kept.into());
    Ok(())
}

/// The sum of the sizes as they are printed: each in whole MiB.
fn total_mebibytes<'e>(entries: impl IntoIterator<Item = &'e CacheEntry>) -> u64 {
    entries.into_iter().map(CacheEntry::mebibytes).sum()
}

fn entry_to_json(entry: &CacheEntry, pinned: Option<&Release>) -> serde_json::Value {
    let used = entry.used.duration_since(UNIX_EPOCH).map_or(0, |used| used.as_secs());
    json!({
        "brand": entry.brand,
        "board": entry.board,
        "release": entry.release,
        "digest": Digest::from_hex(&entry.digest).map_or_else(|| entry.digest.clone(), |digest| digest.to_string()),
        "bytes": entry.bytes,
        "used_at": rfc3339(used),
        "origins": entry.origins,
        "pinned": entry.is_of(pinned),
        "path": entry.directory.display().to_string(),
    })
}
