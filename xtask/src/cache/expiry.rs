//! Expiry of cached images: the images in the cache, the last use of each, and the removal of old ones.
//!
//! Images expire after 180 days without use, and above 10 GiB in all, the least recently used first. Never removed are
//! the release that the tree pins, an image that is in use, and one that none of its URLs serves any more: it could not
//! be downloaded again.

use std::fs::{self, DirEntry, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::dir::Cache;
use super::image_store::ImageStore;
use super::release_cache::read_origins;
use crate::bounded_file;
use coreos_types::{Release, Result, ResultExt};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Time since the last use after which an image expires.
const MAX_AGE: Duration = Duration::from_secs(180 * 24 * 60 * 60);
/// Total size in bytes above which the least recently used images expire.
const MAX_TOTAL: u64 = 10 << 30;
/// File next to an image; its modification time is that of the last use.
const USED: &str = "used";
/// File whose modification time is that of the last automatic removal, which is made once per day.
const CHECKED: &str = "expiry-checked";

/// An image in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheEntry {
    /// The vendor, board and release, as in the directory names.
    pub brand: String,
    pub board: String,
    pub release: String,
    /// Digest of the image, in hex.
    pub digest: String,
    /// Size of the image in bytes.
    pub bytes: u64,
    /// Time of the last use.
    pub used: SystemTime,
    /// The URLs that served it.
    pub origins: Vec<String>,
    /// The image's directory.
    pub directory: PathBuf,
}

impl CacheEntry {
    /// Time since the last use; zero where a clock was set back.
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.used).unwrap_or_default()
    }

    /// The size in MiB, rounded up.
    pub(crate) fn mebibytes(&self) -> u64 {
        self.bytes.div_ceil(1 << 20)
    }

    /// Whether the image is one of this release.
    pub(crate) fn is_of(&self, release: Option<&Release>) -> bool {
        release.is_some_and(|release| release.as_str() == self.release)
    }

    /// `coreos amd64-usr 991.0.0`.
    pub(crate) fn name(&self) -> String {
        format!("{} {} {}", self.brand, self.board, self.release)
    }
}

/// Lists the images in the cache, the most recently used first. Entries that cannot be read, or do not have the cache's
/// layout, are skipped.
pub(crate) fn read_entries(cache: &Cache) -> Vec<CacheEntry> {
    let Ok(releases) = cache.private_path("releases") else { return Vec::new() };
    let mut directories = vec![releases.clone()];
    for _level in ["brand", "board", "release", "digest"] {
        directories = directories.iter().flat_map(|directory| subdirectories(directory)).collect();
    }
    let entries = directories.into_iter().filter_map(|directory| read_entry(&releases, directory));
    let mut entries: Vec<CacheEntry> = entries.collect();
    entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.directory.cmp(&b.directory)));
    entries
}

fn subdirectories(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path())
}

/// The image in a directory `BRAND/BOARD/RELEASE/DIGEST` of `releases`.
fn read_entry(releases: &Path, directory: PathBuf) -> Option<CacheEntry> {
    let names = directory.strip_prefix(releases).ok()?.to_str()?.split('/').map(str::to_owned);
    let [brand, board, release, digest] = names.collect::<Vec<_>>().try_into().ok()?;
    let mut images = fs::read_dir(&directory).ok()?.flatten().map(|entry| entry.path());
    let image = images.find(|path| path.to_string_lossy().ends_with(".cpio.gz"))?;
    let metadata = bounded_file::own_file_metadata(&image)?;
    let stored = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let used = fs::symlink_metadata(directory.join(USED)).and_then(|found| found.modified());
    Some(CacheEntry {
        brand,
        board,
        release,
        digest,
        bytes: metadata.len(),
        used: used.map_or(stored, |used| used.max(stored)),
        origins: read_origins(&image),
        directory,
    })
}

/// Records the use of an image. After an error, the image seems unused for longer than it is.
pub(super) fn touch_used_file(image: &Path) {
    touch_if_older(&image.with_file_name(USED), DAY / 24, SystemTime::now());
}

/// The expired images, the least recently used first: by age, and by total size.
pub(crate) fn expired(entries: &[CacheEntry], now: SystemTime) -> Vec<&CacheEntry> {
    let mut total: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let mut expired = Vec::new();
    for entry in entries.iter().rev() {
        if entry.age(now) >= MAX_AGE || total > MAX_TOTAL {
            total = total.saturating_sub(entry.bytes);
            expired.push(entry);
        }
    }
    expired
}

/// The reason to keep an image, whatever its age; `None` if it can be removed.
///
/// Sends requests to its URLs: an image that no server provides any more, or whose server does not respond, is kept.
pub(crate) fn probe_reason_to_keep(
    store: &ImageStore,
    entry: &CacheEntry,
    pinned: Option<&Release>,
) -> Option<String> {
    if entry.is_of(pinned) {
        return Some("the tree pins this release".to_owned());
    }
    if store.client.is_offline() {
        return Some("its URL cannot be checked under --offline".to_owned());
    }
    let is_served = entry.origins.iter().rev().any(|url| store.url_exists(url).unwrap_or(false));
    (!is_served).then(|| match entry.origins.last() {
        Some(url) => format!("{url} does not serve it any more"),
        None => "no known URL serves it".to_owned(),
    })
}

/// Removes an image with its signature and origins, and the directory of its release if that has no other image.
pub(crate) fn remove(entry: &CacheEntry) -> Result<()> {
    fs::remove_dir_all(&entry.directory).with_path("cannot remove", &entry.directory)?;
    let Some(release) = entry.directory.parent() else { return Ok(()) };
    let is_lock = |name: std::io::Result<DirEntry>| name.is_ok_and(|name| name.file_name() == "lock");
    if fs::read_dir(release).is_ok_and(|mut names| names.all(is_lock)) {
        let _ = fs::remove_dir_all(release);
    }
    Ok(())
}

/// Removes and reports the expired images, at most once per day; none under `--offline`. Errors do not fail the run.
pub(crate) fn prune_automatically(store: &ImageStore, pinned: &Release, in_use: &[PathBuf]) {
    let now = SystemTime::now();
    if store.client.is_offline() || !claim_daily_prune(&store.cache, now) {
        return;
    }
    let entries = read_entries(&store.cache);
    for entry in expired(&entries, now) {
        if in_use.iter().any(|path| path.starts_with(&entry.directory)) {
            continue;
        }
        match probe_reason_to_keep(store, entry, Some(pinned)) {
            Some(reason) => store.term.detail("cache", format!("{} is kept: {reason}", entry.name())),
            None => match remove(entry) {
                Ok(()) => store.term.stage("pruned", describe(entry, now)),
                Err(error) => store.term.detail("cache", error),
            },
        }
    }
}

/// `coreos amd64-usr 991.0.0: 412 MiB, last used 190 days ago`.
pub(crate) fn describe(entry: &CacheEntry, now: SystemTime) -> String {
    let used = match entry.age(now).as_secs() / DAY.as_secs() {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days => format!("{days} days ago"),
    };
    format!("{}: {} MiB, last used {used}", entry.name(), entry.mebibytes())
}

/// Whether a day has passed since the last removal; records the current time if so.
fn claim_daily_prune(cache: &Cache, now: SystemTime) -> bool {
    cache.private_path("").is_ok_and(|root| touch_if_older(&root.join(CHECKED), DAY, now))
}

/// Sets the modification time of a file to `now`, and creates it if it does not exist; `false` if it is younger than
/// `interval`, or after an error.
fn touch_if_older(path: &Path, interval: Duration, now: SystemTime) -> bool {
    match fs::symlink_metadata(path).and_then(|found| found.modified()) {
        Ok(modified) if now.duration_since(modified).is_ok_and(|age| age < interval) => false,
        Err(error) if error.kind() != ErrorKind::NotFound => false,
        _ => {
            let mut options = OpenOptions::new();
            options.write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
            options.open(path).and_then(|file| file.set_modified(now)).is_ok()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::File;

    use super::*;

    fn entry(release: &str, gib: u64, days: u32, now: SystemTime) -> CacheEntry {
        CacheEntry {
            brand: "coreos".into(),
            board: "amd64-usr".into(),
            release: release.into(),
            digest: String::new(),
            bytes: gib << 30,
            used: now - DAY * days,
            origins: Vec::new(),
            directory: PathBuf::from(release),
        }
    }

    fn names(found: &[&CacheEntry]) -> String {
        found.iter().map(|entry| entry.release.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn images_expire_by_age_and_total_size() {
        let now = SystemTime::now();
        let table = [
            ("nothing", vec![entry("3", 4, 1, now), entry("2", 4, 2, now), entry("1", 2, 179, now)], ""),
            ("age", vec![entry("2", 1, 179, now), entry("1", 1, 180, now)], "1"),
            ("size", vec![entry("3", 4, 1, now), entry("2", 4, 2, now), entry("1", 4, 3, now)], "1"),
            ("size, twice", vec![entry("3", 9, 1, now), entry("2", 3, 2, now), entry("1", 4, 3, now)], "1 2"),
            ("age, then size", vec![entry("2", 8, 1, now), entry("1", 8, 200, now)], "1"),
        ];
        for (name, entries, expected) in table {
            assert_eq!(names(&expired(&entries, now)), expected, "{name}");
        }
    }

    #[test]
    fn use_of_an_image_is_recorded() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::new(home.path());
        let directory = cache.create_dir("releases/coreos/amd64-usr/1.0.0/aa").unwrap();
        let image = directory.join("coreos_production_pxe_image.cpio.gz");
        let old = SystemTime::now() - DAY * 200;
        File::create(&image).unwrap().set_modified(old).unwrap();
        assert_eq!(expired(&read_entries(&cache), SystemTime::now()).len(), 1);
        touch_used_file(&image);
        let found = read_entries(&cache);
        assert_eq!(expired(&found, SystemTime::now()).len(), 0);
        remove(&found[0]).unwrap();
        assert!(!home.path().join("releases/coreos/amd64-usr/1.0.0").exists());
    }

    #[test]
    fn time_of_use_is_not_written_through_a_link() {
        let home = tempfile::tempdir().unwrap();
        let (elsewhere, used) = (home.path().join("elsewhere"), home.path().join(USED));
        fs::write(&elsewhere, "text").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &used).unwrap();
        assert!(!touch_if_older(&used, Duration::ZERO, SystemTime::now()));
        assert_eq!(fs::read(&elsewhere).unwrap(), b"text");
    }

    #[test]
    fn automatic_removal_is_due_once_a_day() {
        let home = tempfile::tempdir().unwrap();
        let (cache, now) = (Cache::new(home.path()), SystemTime::now());
        assert!(claim_daily_prune(&cache, now) && !claim_daily_prune(&cache, now));
        assert!(claim_daily_prune(&cache, now + DAY * 2));
    }
}
