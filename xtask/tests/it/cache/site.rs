//! What each test of the cache stands on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use coreos_types::error::Result;
use coreos_types::release::{Board, Brand, Release};
use release_fixture::certificate::TestCertificate;
use release_fixture::release;
use release_fixture::server::Server;
use tempfile::TempDir;
use xtask::cache::{Cache, ImageHandle, ImageStore, ReleaseRequest};
use xtask::demo::example;
use xtask::http::{Client, ClientConfig, MAX_IMAGE_LEN, RetryPolicy};
use xtask::keyring::Keyring;
use xtask::release_dir::ReleaseDir;
use xtask::report::Format;
use xtask::terminal::{ColorChoice, Term, Verbosity};

use super::IMAGE;

/// A release server, a cache of its own, and the keys of both sides.
pub(super) struct Site {
    pub(super) home: TempDir,
    pub(super) server: Server,
    pub(super) certificate: TestCertificate,
    pub(super) term: Term,
}

impl Site {
    pub(super) fn new() -> Site {
        let certificate = TestCertificate::throwaway(7).unwrap();
        let mut site = release_fixture::release::Site::new();
        release::publish(&mut site, &example::image_before().unwrap(), &certificate).unwrap();
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("key.asc"), certificate.armored().unwrap()).unwrap();
        let term = Term::new(Format::Text, ColorChoice::Never, Verbosity::Quiet);
        Site { home, server: Server::start(site).unwrap(), certificate, term }
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.home.path().join("cache")
    }

    pub(super) fn store(&self) -> ImageStore<'_> {
        self.road_with(false, "key.asc")
    }

    pub(super) fn road_with(&self, offline: bool, key: &str) -> ImageStore<'_> {
        let retry = RetryPolicy {
            read_timeout: Duration::from_millis(500),
            progress_timeout: Duration::from_secs(2),
            initial_backoff: Duration::from_millis(2),
            max_retries: 3,
            ..RetryPolicy::default()
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        ImageStore {
            cache: Cache::new(&self.cache()),
            client: Client::new(ClientConfig { offline, retry, ..ClientConfig::default() }),
            keyring: Keyring::from_file(&self.home.path().join(key), now).unwrap(),
            term: &self.term,
        }
    }

    pub(super) fn wanted(&self) -> ReleaseRequest {
        self.wanted_at(&[&self.server.url()])
    }

    /// The same release at other mirrors.
    pub(super) fn wanted_at(&self, mirrors: &[&str]) -> ReleaseRequest {
        let release: Release = "991.0.0".parse().unwrap();
        let image = Brand::CoreOs.pxe_image();
        let place = |mirror: &&str| ReleaseDir::from_mirror(mirror, Board::Amd64, &release, image).unwrap();
        let places = mirrors.iter().map(place).collect();
        ReleaseRequest { brand: Brand::CoreOs, board: Board::Amd64, release, places }
    }

    /// Another server, with the files of this one's site of which `has` is told.
    pub(super) fn mirror(&self, has: &[&str]) -> Server {
        let get = |path: &&str| {
            let url = format!("{}/{path}", self.server.url());
            ((*path).to_owned(), self.store().client.get_bytes(&url, MAX_IMAGE_LEN).unwrap().unwrap())
        };
        Server::start(has.iter().map(get).collect()).unwrap()
    }

    pub(super) fn shelf(&self) -> PathBuf {
        self.cache().join("releases/coreos/amd64-usr/991.0.0")
    }

    /// How often the image itself was requested.
    pub(super) fn downloads(&self) -> usize {
        self.server.requests().iter().filter(|request| request.path == IMAGE).count()
    }

    /// The path of the image in the cache, verified from the bytes that lie there.
    pub(super) fn fetch(&self) -> PathBuf {
        let store = self.store();
        let image = store.release(&self.wanted(), &any).unwrap().unwrap();
        image.verified_path(&store).unwrap().to_owned()
    }

    /// The image's bytes and its signature's, as files of this machine.
    pub(super) fn local(&self) -> PathBuf {
        let fetched = self.fetch();
        let image = self.home.path().join("image.cpio.gz");
        fs::copy(&fetched, &image).unwrap();
        fs::copy(beside(&fetched), beside(&image)).unwrap();
        settle();
        image
    }
}

/// Takes any image for the one that was requested.
#[allow(clippy::unnecessary_wraps, reason = "a judge may refuse")]
pub(super) fn any(_: &ImageHandle) -> Result<()> {
    Ok(())
}

pub(super) fn beside(image: &Path) -> PathBuf {
    PathBuf::from(format!("{}.sig", image.display()))
}

/// Lets the last change of a file grow older than the steps in which times are noted.
pub(super) fn settle() {
    std::thread::sleep(Duration::from_millis(60));
}
