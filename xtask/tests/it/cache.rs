//! The cache of images and trees between runs, and the verification of cached data.

mod origins;
mod partial;
mod site;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use coreos_types::{ErrorKind, Result, Vendor};
use release_fixture::certificate::TestCertificate;
use release_fixture::server::Misbehavior;
use usr::{FileInfo, UsrPath};
use xtask::cache::ImageHandle;

use self::site::{CacheSite, accept_any, signature_path, wait_for_mtime_step};

const DIR: &str = "amd64-usr/991.0.0";
const IMAGE: &str = "amd64-usr/991.0.0/coreos_production_pxe_image.cpio.gz";

fn bash_path() -> [UsrPath; 1] {
    [UsrPath::new("bin/bash").unwrap()]
}

/// Relative paths of all regular files below a directory, sorted.
fn files(directory: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                paths.push(path.strip_prefix(directory).unwrap().display().to_string());
            }
        }
    }
    paths.sort();
    paths
}

/// Whether the cache has a completely downloaded image.
fn has_image(site: &CacheSite) -> bool {
    files(&site.release_path()).iter().any(|path| path.ends_with(".cpio.gz"))
}

fn refusal_message(image: Result<ImageHandle>) -> String {
    let error = image.map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    error.to_string()
}

#[test]
fn release_is_downloaded_once() {
    let site = CacheSite::new();
    let store = site.store();
    let first = site.open(&store).unwrap().unwrap();
    assert_eq!(first.provenance().signer.as_ref().unwrap().primary, site.certificate.fingerprint());
    assert_eq!(first.tree().known_file_info("bin/bash"), None);
    assert!(matches!(first.tree().read_file_info("bin/bash"), Some(FileInfo::Elf(_))));
    let origin = first.provenance().clone();
    let tree = first.store_tree().unwrap();
    let requests = site.server.requests().len();

    let second = site.open(&site.store_with(true, "key.asc")).unwrap().unwrap();
    assert_eq!((second.provenance(), second.tree()), (&origin, &tree));
    assert_eq!(site.server.requests().len(), requests);
    for path in [site.cache(), site.release_path()] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
    // The image, its signature, its origins, its last use, and the lock.
    assert_eq!(files(&site.release_path()).len(), 5, "{:?}", files(&site.release_path()));
}

#[test]
fn unread_files_are_read_from_the_cached_image() {
    let site = CacheSite::new();
    let store = site.store();
    let image = site.local();
    let first = store.open_local(&image, None, false).unwrap();
    first.tree().read_ahead(&bash_path());
    first.store_tree().unwrap();
    let second = store.open_local(&image, None, false).unwrap();
    assert!(matches!(second.tree().known_file_info("bin/bash"), Some(FileInfo::Elf(_))));
    let more = [UsrPath::new("lib64/systemd/systemd").unwrap()];
    second.tree().read_ahead(&more);
    second.tree().check_reads().unwrap();
    assert!(
        matches!(second.tree().known_file_info("bin/bash"), Some(FileInfo::Elf(_))),
        "known files stay known"
    );
    assert!(matches!(second.tree().known_file_info(more[0].as_str()), Some(FileInfo::Elf(_))));
    second.store_tree().unwrap();
    let third = store.open_local(&image, None, false).unwrap();
    assert!(matches!(third.tree().known_file_info(more[0].as_str()), Some(FileInfo::Elf(_))));
}

#[test]
fn cached_tree_is_used_for_the_same_file_only() {
    let site = CacheSite::new();
    let store = site.store();
    let image = site.local();
    let cache_tree = || {
        wait_for_mtime_step();
        let read = store.open_local(&image, None, false).unwrap();
        read.tree().read_ahead(&bash_path());
        read.store_tree().unwrap();
    };
    let is_cached = || {
        let again = store.open_local(&image, None, false).unwrap();
        again.tree().known_file_info("bin/bash").is_some()
    };
    cache_tree();
    assert!(is_cached());
    let trees = files(&site.cache().join("trees"));
    let tree_file = site.cache().join("trees").join(&trees[0]);

    // The same bytes, written again.
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, &bytes).unwrap();
    assert!(!is_cached());
    cache_tree();
    assert!(is_cached());

    // A tree that was corrupted on disk, in its header or its body, is built again.
    let text = fs::read(&tree_file).unwrap();
    for at in [0, 20, 150, 300, text.len() / 2, text.len() - 2] {
        let mut corrupted = text.clone();
        corrupted[at] ^= 1;
        fs::write(&tree_file, corrupted).unwrap();
        assert!(!is_cached(), "byte {at} of {}", text.len());
    }
    fs::write(&tree_file, &text[..text.len() / 3]).unwrap();
    assert!(!is_cached());
    cache_tree();
    assert!(is_cached());
}

#[test]
fn signature_is_verified_on_each_run() {
    let site = CacheSite::new();
    let store = site.store();
    let image = site.local();
    store.open_local(&image, None, false).unwrap().store_tree().unwrap();
    assert!(store.open_local(&image, None, false).is_ok());

    let other = TestCertificate::throwaway(8).unwrap();
    fs::write(site.home.path().join("other.asc"), other.armored().unwrap()).unwrap();
    assert!(
        refusal_message(site.store_with(false, "other.asc").open_local(&image, None, false))
            .contains("unknown-key")
    );

    let good = fs::read(signature_path(&image)).unwrap();
    fs::write(signature_path(&image), other.sign(&fs::read(&image).unwrap()).unwrap()).unwrap();
    assert!(refusal_message(store.open_local(&image, None, false)).contains("unknown-key"));
    fs::write(signature_path(&image), site.certificate.sign(b"something else").unwrap()).unwrap();
    assert!(refusal_message(store.open_local(&image, None, false)).contains("bad-signature"));
    assert!(refusal_message(store.open_local(&image, None, true)).contains("bad-signature"));
    fs::write(signature_path(&image), good).unwrap();
    assert!(store.open_local(&image, None, false).is_ok());
}

#[test]
fn unsigned_image_is_accepted_only_as_unsigned() {
    let site = CacheSite::new();
    let store = site.store();
    let image = site.local();
    let signature = site.home.path().join("elsewhere.sig");
    fs::rename(signature_path(&image), &signature).unwrap();
    assert!(refusal_message(store.open_local(&image, None, false)).contains("there is no signature"));
    let unsigned = store.open_local(&image, None, true).unwrap();
    assert_eq!(unsigned.provenance().signer, None);
    unsigned.store_tree().unwrap();
    assert!(refusal_message(store.open_local(&image, None, false)).contains("there is no signature"));
    let signed = store.open_local(&image, Some(&signature), false).unwrap();
    assert!(signed.provenance().signer.is_some());
}

#[test]
fn interrupted_download_resumes_in_the_next_run() {
    let site = CacheSite::new();
    let store = site.store();
    site.server.misbehave(IMAGE, 1, Misbehavior::CutAfter(5000));
    site.server.misbehave(IMAGE, 3, Misbehavior::Status(503, None));
    let error = site.open(&store).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed, "{error}");
    assert!(error.to_string().contains("503"), "{error}");
    assert!(!has_image(&site), "{:?}", files(&site.release_path()));
    assert!(files(&site.release_path()).iter().any(|name| name.ends_with(".cpio.gz.partial")));

    let before = site.server.requests().len();
    site.open(&store).unwrap().unwrap();
    let requests = site.server.requests();
    let resumed = requests[before..].iter().find(|request| request.path == IMAGE).unwrap();
    assert_eq!(resumed.range_from(), Some(5000), "{resumed:?}");
    assert!(has_image(&site));
    assert!(!files(&site.release_path()).iter().any(|name| name.contains("partial")));
}

#[test]
fn resumed_bad_signature_restarts_once() {
    let site = CacheSite::new();
    let store = site.store();
    site.server.misbehave(IMAGE, 1, Misbehavior::CutAfter(5000));
    site.server.misbehave(IMAGE, 3, Misbehavior::Status(503, None));
    assert!(site.open(&store).is_err());
    let partial = site.release_path().join("coreos_production_pxe_image.cpio.gz.partial");
    let mut bytes = fs::read(&partial).unwrap();
    bytes[100] ^= 1;
    fs::write(&partial, bytes).unwrap();
    let before = site.downloads();
    assert!(site.open(&store).unwrap().is_some());
    assert_eq!(site.downloads() - before, 2);
}

#[test]
fn image_changed_during_download_is_restarted() {
    let site = CacheSite::new();
    let whole = { fs::read(site.fetch()).unwrap() };
    for misbehavior in
        [Misbehavior::IgnoreRange, Misbehavior::WrongRange(3), Misbehavior::ChangeEntity(whole)]
    {
        let site = CacheSite::new();
        site.server.misbehave(IMAGE, 1, Misbehavior::CutAfter(5000));
        site.server.misbehave(IMAGE, 1, misbehavior.clone());
        assert!(site.open(&site.store()).is_ok_and(|image| image.is_some()), "{misbehavior:?}");
    }
}

#[test]
fn refused_image_leaves_no_files() {
    let mut corrupted = fs::read(CacheSite::new().fetch()).unwrap();
    let at = corrupted.len() / 2;
    corrupted[at] ^= 1;
    let site = CacheSite::new();
    site.server.put(IMAGE, corrupted);
    let store = site.store();
    assert!(refusal_message(site.open(&store).map(Option::unwrap)).contains("bad-signature"));
    assert_eq!(files(&site.release_path()), ["lock"]);
    assert!(files(&site.cache().join("trees")).is_empty());

    let before = site.downloads();
    let other = TestCertificate::throwaway(8).unwrap();
    site.server.put(&format!("{IMAGE}.sig"), other.sign(b"").unwrap());
    assert!(refusal_message(site.open(&store).map(Option::unwrap)).contains("unknown-key"));
    assert_eq!(site.downloads(), before, "an unknown key is refused before the download");

    site.server.put(&format!("{IMAGE}.sig"), b"<html>sign in</html>".to_vec());
    let error = site.open(&store).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.to_string().contains("HTML"), "{error}");

    site.server.remove(&format!("{IMAGE}.sig"));
    assert!(refusal_message(site.open(&store).map(Option::unwrap)).contains("there is no signature"));
    site.server.remove(IMAGE);
    assert!(site.open(&store).unwrap().is_none());
    assert_eq!(files(&site.release_path()).iter().filter(|name| name.as_str() != "lock").count(), 0);
}

#[test]
fn missing_release_leaves_no_directory() {
    let site = CacheSite::new();
    let nowhere = site.mirror(&[]).url();
    assert!(!site.release_path().exists());
    let _ = site.store().open_release(&site.release_cache(), &site.urls_from(&[&nowhere]), &accept_any);
    assert!(site.open(&site.store_with(true, "key.asc")).is_err());
    assert!(!site.release_path().exists());
}

#[test]
fn offline_uses_the_cached_image() {
    let site = CacheSite::new();
    let offline = site.store_with(true, "key.asc");
    let error = site.open(&offline).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("--offline"), "{error}");
    site.fetch();
    let requests = site.server.requests().len();
    assert!(site.open(&offline).unwrap().unwrap().reverify_path().is_ok());
    assert_eq!(site.server.requests().len(), requests);
}

#[test]
fn concurrent_fetches_download_once() {
    let site = CacheSite::new();
    site.server.slow_down(2_000_000);
    std::thread::scope(|scope| {
        let paths = [(); 2].map(|()| scope.spawn(|| site.fetch())).map(|thread| thread.join().unwrap());
        assert_eq!(paths[0], paths[1]);
    });
    assert_eq!(site.downloads(), 1);
}

/// A reader of a cached image does not wait for a process that downloads.
#[test]
fn cached_image_is_read_without_the_lock() {
    let site = CacheSite::new();
    let path = site.fetch();
    let lock = fs::OpenOptions::new().write(true).open(site.release_path().join("lock")).unwrap();
    lock.lock().unwrap();
    let (done, wait) = mpsc::channel();
    std::thread::scope(|scope| {
        let in_time = scope.spawn(move || {
            let in_time = wait.recv_timeout(Duration::from_secs(10)).is_ok();
            lock.unlock().unwrap();
            in_time
        });
        assert_eq!(site.fetch(), path);
        let _ = done.send(());
        assert!(in_time.join().unwrap(), "the reader waited for the lock");
    });
}

#[test]
fn trees_of_removed_or_unused_images_are_pruned() {
    let site = CacheSite::new();
    let store = site.store();
    let image = site.local();
    let trees = || files(&site.cache().join("trees"));
    let cache_copy = |name: &str| {
        let (copy, known) = (site.home.path().join(name), trees());
        fs::copy(&image, &copy).unwrap();
        fs::copy(signature_path(&image), signature_path(&copy)).unwrap();
        wait_for_mtime_step();
        store.open_local(&copy, None, false).unwrap().store_tree().unwrap();
        (copy, trees().into_iter().find(|name| !known.contains(name)).unwrap())
    };
    let [removed, old, used] = ["removed", "old", "used"].map(cache_copy);
    fs::remove_file(removed.0).unwrap();
    // The packages of an image are kept as long as its tree.
    let packages = site.cache().join("packages").join(&used.1);
    fs::create_dir_all(packages.parent().unwrap()).unwrap();
    fs::write(&packages, "").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(31 * 24 * 3600);
    for file in
        [&site.cache().join("trees").join(old.1), &site.cache().join("trees").join(&used.1), &packages]
    {
        fs::File::open(file).unwrap().set_modified(long_ago).unwrap();
    }
    store.open_local(&used.0, None, false).unwrap().store_tree().unwrap();
    let mut kept = [used.1, cache_copy("last").1];
    kept.sort();
    assert_eq!(trees(), kept);
    assert!(fs::metadata(&packages).unwrap().modified().unwrap() > long_ago);
}

#[test]
fn cached_bytes_are_verified_again_before_use() {
    let site = CacheSite::new();
    let store = site.store();
    let image = site.open(&store).unwrap().unwrap();
    let path = image.reverify_path().unwrap().to_owned();
    let good = fs::read(&path).unwrap();
    let mut corrupted = good.clone();
    corrupted[50] ^= 1;
    fs::write(&path, corrupted).unwrap();
    assert_eq!(image.reverify_path().unwrap_err().kind, ErrorKind::Refused);
    // The next run refuses the cached file as well, and downloads the image again.
    assert_eq!(site.fetch(), path);
    assert_eq!(fs::read(&path).unwrap(), good);
    assert_eq!(site.downloads(), 2);
    // A file without an end is not read.
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 42).unwrap();
    assert!(image.reverify_path().unwrap_err().to_string().contains("it has more than 2 GiB"));
    site.fetch();
    assert_eq!((fs::read(&path).unwrap() == good, site.downloads()), (true, 3));
}

#[test]
fn latest_requires_a_signed_version_file() {
    let site = CacheSite::new();
    let store = site.store();
    let release_url = site.release_url(&site.server.url()).sibling_current(None);
    let latest = |vendor| store.fetch_latest_release(&release_url, vendor);
    let error = latest(Vendor::COREOS).unwrap_err();
    assert!(error.to_string().contains("amd64-usr/current/version.txt"), "{error}");
    let text = b"COREOS_BUILD=1032\nCOREOS_VERSION=1032.0.0+x\nCOREOS_VERSION_ID=1032.0.0\n".to_vec();
    let current = "amd64-usr/current/version.txt";
    site.server.put(current, text.clone());
    assert_eq!(latest(Vendor::COREOS).unwrap_err().kind, ErrorKind::Refused);
    site.server.put(&format!("{current}.sig"), site.certificate.sign(&text).unwrap());
    assert_eq!(latest(Vendor::COREOS).unwrap().0.as_str(), "1032.0.0");
    assert!(latest(Vendor::FLATCAR).is_err());
    assert!(site.server.requests().iter().all(|request| !request.path.starts_with(DIR)));
}
