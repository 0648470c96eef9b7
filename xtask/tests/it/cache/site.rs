//! The release server, cache and keys that the cache tests use.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use coreos_types::{Board, Result, Vendor};
use release_fixture::certificate::TestCertificate;
use release_fixture::server::Server;
use release_fixture::site;
use tempfile::TempDir;
use xtask::cache::{Cache, ImageHandle, ImageStore, ReleaseCache};
use xtask::demo::example;
use xtask::http::{ClientConfig, DownloadLimits, MAX_IMAGE_LEN};
use xtask::keyring::Keyring;
use xtask::release_url::ReleaseUrl;
use xtask::report::OutputFormat;
use xtask::terminal::{ColorChoice, Term, Verbosity};

use super::IMAGE;

/// A release server, a cache, and the signing certificate.
pub(super) struct CacheSite {
    pub(super) home: TempDir,
    pub(super) server: Server,
    pub(super) certificate: TestCertificate,
    pub(super) term: Term,
}

impl CacheSite {
    pub(super) fn new() -> CacheSite {
        let certificate = TestCertificate::throwaway(7).unwrap();
        let mut site = release_fixture::site::Site::new();
        site::add_signed_release(&mut site, &example::image_before().unwrap(), &certificate).unwrap();
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("key.asc"), certificate.armored().unwrap()).unwrap();
        let term = Term::new(OutputFormat::Text, ColorChoice::Never, Verbosity::Quiet);
        CacheSite { home, server: Server::start(site).unwrap(), certificate, term }
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.home.path().join("cache")
    }

    pub(super) fn store(&self) -> ImageStore {
        self.store_with(false, "key.asc")
    }

    pub(super) fn store_with(&self, offline: bool, key: &str) -> ImageStore {
        let limits = DownloadLimits {
            read_timeout: Duration::from_millis(500),
            progress_timeout: Duration::from_secs(2),
            initial_backoff: Duration::from_millis(2),
            max_retries: 3,
            ..DownloadLimits::default()
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let config = ClientConfig { offline, limits, ..ClientConfig::default() };
        let keyring = Keyring::from_file(&self.home.path().join(key), now).unwrap();
        ImageStore::new(Cache::new(&self.cache()), config, keyring, &self.term)
    }

    pub(super) fn release_cache(&self) -> ReleaseCache {
        let cache = Cache::new(&self.cache());
        ReleaseCache::new(&cache, Vendor::COREOS, Board::Amd64, &"991.0.0".parse().unwrap()).unwrap()
    }

    /// The release on a mirror.
    pub(super) fn release_url(&self, mirror: &str) -> ReleaseUrl {
        ReleaseUrl::from_mirror(mirror, Vendor::COREOS, Board::Amd64, &"991.0.0".parse().unwrap()).unwrap()
    }

    pub(super) fn urls(&self) -> Vec<String> {
        self.urls_from(&[&self.server.url()])
    }

    /// Opens the release on this server, and accepts any image.
    pub(super) fn open(&self, store: &ImageStore) -> Result<Option<ImageHandle>> {
        store.open_release(&self.release_cache(), &self.urls(), &accept_any)
    }

    /// The URLs of the same image on other mirrors.
    pub(super) fn urls_from(&self, mirrors: &[&str]) -> Vec<String> {
        mirrors.iter().map(|mirror| self.release_url(mirror).image_url()).collect()
    }

    /// Starts another server with copies of this server's files at `paths`.
    pub(super) fn mirror(&self, paths: &[&str]) -> Server {
        let get = |path: &&str| {
            let url = format!("{}/{path}", self.server.url());
            ((*path).to_owned(), self.store().client.get_bytes(&url, MAX_IMAGE_LEN).unwrap().unwrap())
        };
        Server::start(paths.iter().map(get).collect()).unwrap()
    }

    pub(super) fn release_path(&self) -> PathBuf {
        self.cache().join("releases/coreos/amd64-usr/991.0.0")
    }

    /// Number of requests for the image file.
    pub(super) fn downloads(&self) -> usize {
        self.server.requests().iter().filter(|request| request.path == IMAGE).count()
    }

    /// Fetches the image and returns its path in the cache, after verifying the cached bytes.
    pub(super) fn fetch(&self) -> PathBuf {
        let store = self.store();
        let image = self.open(&store).unwrap().unwrap();
        image.reverify_path().unwrap().to_owned()
    }

    /// Copies the image and its signature to local files, and returns the path of the image.
    pub(super) fn local(&self) -> PathBuf {
        let fetched = self.fetch();
        let image = self.home.path().join("image.cpio.gz");
        fs::copy(&fetched, &image).unwrap();
        fs::copy(signature_path(&fetched), signature_path(&image)).unwrap();
        wait_for_mtime_step();
        image
    }
}

/// Accepts any image as the requested one.
#[allow(clippy::unnecessary_wraps, reason = "other checks return errors")]
pub(super) fn accept_any(_: &ImageHandle) -> Result<()> {
    Ok(())
}

pub(super) fn signature_path(image: &Path) -> PathBuf {
    PathBuf::from(format!("{}.sig", image.display()))
}

/// Waits longer than the granularity of file modification times.
pub(super) fn wait_for_mtime_step() {
    std::thread::sleep(Duration::from_millis(60));
}
