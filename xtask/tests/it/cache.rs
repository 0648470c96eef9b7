//! What is kept between runs, and what it takes to be believed again.

mod origins;
mod site;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use coreos_types::error::{ErrorKind, Result};
use coreos_types::release::Brand;
use release_fixture::certificate::TestCertificate;
use release_fixture::server::Misbehavior;
use usr::file_info::FileInfo;
use usr::path::UsrPath;
use xtask::cache::ImageHandle;

use self::site::{Site, any, beside, settle};

const DIR: &str = "amd64-usr/991.0.0";
const IMAGE: &str = "amd64-usr/991.0.0/coreos_production_pxe_image.cpio.gz";

fn bash() -> [UsrPath; 1] {
    [UsrPath::new("bin/bash").unwrap()]
}

/// Everything below a directory that is a regular file, by its path there.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                found.push(path.strip_prefix(directory).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Whether any file of the cache has the name of a whole image.
fn holds_an_image(site: &Site) -> bool {
    files(&site.shelf()).iter().any(|path| path.ends_with(".cpio.gz"))
}

fn refused(image: Result<ImageHandle>) -> String {
    let error = image.map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    error.to_string()
}

#[test]
fn a_release_is_downloaded_once() {
    let site = Site::new();
    let store = site.store();
    let first = store.release(&site.wanted(), &any).unwrap().unwrap();
    assert_eq!(first.origin().signer.as_ref().unwrap().primary, site.certificate.fingerprint());
    assert_eq!(first.tree().known_file_info("bin/bash"), None);
    assert!(matches!(first.tree().file_info("bin/bash"), Some(FileInfo::Elf(_))));
    let (origin, tree) = first.finish(&store).unwrap();
    let requests = site.server.requests().len();

    let second = site.road_with(true, "key.asc").release(&site.wanted(), &any).unwrap().unwrap();
    assert_eq!((second.origin(), second.tree()), (&origin, &tree));
    assert_eq!(site.server.requests().len(), requests);
    for path in [site.cache(), site.shelf()] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
    // The image, its signature, its origins, its last use, and the lock.
    assert_eq!(files(&site.shelf()).len(), 5, "{:?}", files(&site.shelf()));
}

#[test]
fn what_was_not_read_before_is_read_from_the_image_again() {
    let site = Site::new();
    let store = site.store();
    let image = site.local();
    let first = store.local(&image, None, false).unwrap();
    first.tree().read_ahead(&bash());
    first.finish(&store).unwrap();
    let second = store.local(&image, None, false).unwrap();
    assert!(matches!(second.tree().known_file_info("bin/bash"), Some(FileInfo::Elf(_))));
    let more = [UsrPath::new("lib64/systemd/systemd").unwrap()];
    second.tree().read_ahead(&more);
    second.tree().read_error().unwrap();
    assert!(
        matches!(second.tree().known_file_info("bin/bash"), Some(FileInfo::Elf(_))),
        "what was known is known still"
    );
    assert!(matches!(second.tree().known_file_info(more[0].as_str()), Some(FileInfo::Elf(_))));
    second.finish(&store).unwrap();
    let third = store.local(&image, None, false).unwrap();
    assert!(matches!(third.tree().known_file_info(more[0].as_str()), Some(FileInfo::Elf(_))));
}

#[test]
fn a_kept_tree_counts_for_the_same_file_alone() {
    let site = Site::new();
    let store = site.store();
    let image = site.local();
    let keep = || {
        settle();
        let read = store.local(&image, None, false).unwrap();
        read.tree().read_ahead(&bash());
        read.finish(&store).unwrap();
    };
    let is_kept = || {
        let again = store.local(&image, None, false).unwrap();
        again.tree().known_file_info("bin/bash").is_some()
    };
    keep();
    assert!(is_kept());
    let kept = files(&site.cache().join("trees"));
    let kept = site.cache().join("trees").join(&kept[0]);

    // The same bytes, written again.
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, &bytes).unwrap();
    assert!(!is_kept());
    keep();
    assert!(is_kept());

    // A tree that was damaged on disk, in its head or its body, is made again.
    let text = fs::read(&kept).unwrap();
    for at in [0, 20, 150, 300, text.len() / 2, text.len() - 2] {
        let mut bent = text.clone();
        bent[at] ^= 1;
        fs::write(&kept, bent).unwrap();
        assert!(!is_kept(), "byte {at} of {}", text.len());
    }
    fs::write(&kept, &text[..text.len() / 3]).unwrap();
    assert!(!is_kept());
    keep();
    assert!(is_kept());
}

#[test]
fn trust_is_judged_on_each_run() {
    let site = Site::new();
    let store = site.store();
    let image = site.local();
    store.local(&image, None, false).unwrap().finish(&store).unwrap();
    assert!(store.local(&image, None, false).is_ok());

    let stranger = TestCertificate::throwaway(8).unwrap();
    fs::write(site.home.path().join("stranger.asc"), stranger.armored().unwrap()).unwrap();
    assert!(
        refused(site.road_with(false, "stranger.asc").local(&image, None, false)).contains("unknown-key")
    );

    let good = fs::read(beside(&image)).unwrap();
    fs::write(beside(&image), stranger.sign(&fs::read(&image).unwrap()).unwrap()).unwrap();
    assert!(refused(store.local(&image, None, false)).contains("unknown-key"));
    fs::write(beside(&image), site.certificate.sign(b"something else").unwrap()).unwrap();
    assert!(refused(store.local(&image, None, false)).contains("bad-signature"));
    assert!(refused(store.local(&image, None, true)).contains("bad-signature"));
    fs::write(beside(&image), good).unwrap();
    assert!(store.local(&image, None, false).is_ok());
}

#[test]
fn unsigned_serves_unsigned_alone() {
    let site = Site::new();
    let store = site.store();
    let image = site.local();
    let signature = site.home.path().join("elsewhere.sig");
    fs::rename(beside(&image), &signature).unwrap();
    assert!(refused(store.local(&image, None, false)).contains("there is no signature"));
    let unsigned = store.local(&image, None, true).unwrap();
    assert_eq!(unsigned.origin().signer, None);
    unsigned.finish(&store).unwrap();
    assert!(refused(store.local(&image, None, false)).contains("there is no signature"));
    let signed = store.local(&image, Some(&signature), false).unwrap();
    assert!(signed.origin().signer.is_some());
}

#[test]
fn a_download_that_broke_off_goes_on_in_the_next_run() {
    let site = Site::new();
    let store = site.store();
    site.server.trouble(IMAGE, 1, Misbehavior::CutAfter(5000));
    site.server.trouble(IMAGE, 3, Misbehavior::Status(503, None));
    let error = store.release(&site.wanted(), &any).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed, "{error}");
    assert!(error.to_string().contains("503"), "{error}");
    assert!(!holds_an_image(&site), "{:?}", files(&site.shelf()));
    assert!(files(&site.shelf()).iter().any(|name| name.ends_with(".cpio.gz.partial")));

    let before = site.server.requests().len();
    store.release(&site.wanted(), &any).unwrap().unwrap();
    let requests = site.server.requests();
    let taken_up = requests[before..].iter().find(|request| request.path == IMAGE).unwrap();
    assert_eq!(taken_up.range_from(), Some(5000), "{taken_up:?}");
    assert!(holds_an_image(&site));
    assert!(!files(&site.shelf()).iter().any(|name| name.contains("partial")));
}

#[test]
fn a_resumed_download_with_a_bad_signature_starts_once_from_zero() {
    let site = Site::new();
    let store = site.store();
    site.server.trouble(IMAGE, 1, Misbehavior::CutAfter(5000));
    site.server.trouble(IMAGE, 3, Misbehavior::Status(503, None));
    assert!(store.release(&site.wanted(), &any).is_err());
    let partial = site.shelf().join("coreos_production_pxe_image.cpio.gz.partial");
    let mut bytes = fs::read(&partial).unwrap();
    bytes[100] ^= 1;
    fs::write(&partial, bytes).unwrap();
    let before = site.downloads();
    assert!(store.release(&site.wanted(), &any).unwrap().is_some());
    assert_eq!(site.downloads() - before, 2);
}

#[test]
fn an_image_that_changes_under_way_is_begun_anew() {
    let site = Site::new();
    let whole = { fs::read(site.fetch()).unwrap() };
    for trouble in [Misbehavior::IgnoreRange, Misbehavior::WrongRange(3), Misbehavior::ChangeEntity(whole)] {
        let site = Site::new();
        site.server.trouble(IMAGE, 1, Misbehavior::CutAfter(5000));
        site.server.trouble(IMAGE, 1, trouble.clone());
        assert!(site.store().release(&site.wanted(), &any).is_ok_and(|image| image.is_some()), "{trouble:?}");
    }
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let mut bent = {
        let site = Site::new();
        fs::read(site.fetch()).unwrap()
    };
    let at = bent.len() / 2;
    bent[at] ^= 1;
    let site = Site::new();
    site.server.put(IMAGE, bent);
    let store = site.store();
    assert!(refused(store.release(&site.wanted(), &any).map(Option::unwrap)).contains("bad-signature"));
    assert_eq!(files(&site.shelf()), ["lock"]);
    assert!(files(&site.cache().join("trees")).is_empty());

    let before = site.downloads();
    let stranger = TestCertificate::throwaway(8).unwrap();
    site.server.put(&format!("{IMAGE}.sig"), stranger.sign(b"").unwrap());
    assert!(refused(store.release(&site.wanted(), &any).map(Option::unwrap)).contains("unknown-key"));
    assert_eq!(site.downloads(), before, "a verdict that stands needs no download");

    site.server.put(&format!("{IMAGE}.sig"), b"<html>sign in</html>".to_vec());
    let error = store.release(&site.wanted(), &any).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.to_string().contains("HTML"), "{error}");

    site.server.remove(&format!("{IMAGE}.sig"));
    assert!(
        refused(store.release(&site.wanted(), &any).map(Option::unwrap)).contains("there is no signature")
    );
    site.server.remove(IMAGE);
    assert!(store.release(&site.wanted(), &any).unwrap().is_none());
    assert_eq!(files(&site.shelf()).iter().filter(|name| name.as_str() != "lock").count(), 0);
}

#[test]
fn what_is_nowhere_leaves_no_folder() {
    let site = Site::new();
    let nowhere = site.mirror(&[]).url();
    assert!(!site.shelf().exists());
    let _ = site.store().release(&site.wanted_at(&[&nowhere]), &any);
    assert!(site.road_with(true, "key.asc").release(&site.wanted(), &any).is_err());
    assert!(!site.shelf().exists());
}

#[test]
fn offline_takes_what_is_there() {
    let site = Site::new();
    let offline = site.road_with(true, "key.asc");
    let error = offline.release(&site.wanted(), &any).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("--offline"), "{error}");
    site.fetch();
    let requests = site.server.requests().len();
    assert!(offline.release(&site.wanted(), &any).unwrap().unwrap().verified_path(&offline).is_ok());
    assert_eq!(site.server.requests().len(), requests);
}

#[test]
fn two_at_once_download_once() {
    let site = Site::new();
    site.server.slow_down(2_000_000);
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| site.fetch())).map(|thread| thread.join().unwrap());
        assert_eq!(both[0], both[1]);
    });
    assert_eq!(site.downloads(), 1);
}

/// Who only looks at what is kept does not wait for who downloads.
#[test]
fn a_kept_image_is_there_while_another_process_holds_the_lock() {
    let site = Site::new();
    let kept = site.fetch();
    let lock = fs::OpenOptions::new().write(true).open(site.shelf().join("lock")).unwrap();
    lock.lock().unwrap();
    let (done, wait) = mpsc::channel();
    std::thread::scope(|scope| {
        let in_time = scope.spawn(move || {
            let in_time = wait.recv_timeout(Duration::from_secs(10)).is_ok();
            lock.unlock().unwrap();
            in_time
        });
        assert_eq!(site.fetch(), kept);
        let _ = done.send(());
        assert!(in_time.join().unwrap(), "it waited for the lock");
    });
}

#[test]
fn trees_of_images_that_are_gone_or_of_long_ago_make_room() {
    let site = Site::new();
    let store = site.store();
    let image = site.local();
    let keep = |name: &str| {
        let copy = site.home.path().join(name);
        fs::copy(&image, &copy).unwrap();
        fs::copy(beside(&image), beside(&copy)).unwrap();
        settle();
        store.local(&copy, None, false).unwrap().finish(&store).unwrap();
        copy
    };
    let trees = || files(&site.cache().join("trees"));
    let gone = keep("gone");
    let first = trees();
    keep("old");
    let old = trees().into_iter().find(|name| !first.contains(name)).unwrap();
    fs::remove_file(gone).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(31 * 24 * 3600);
    fs::File::open(site.cache().join("trees").join(&old)).unwrap().set_modified(long_ago).unwrap();
    keep("last");
    assert_eq!(trees().len(), 1, "{:?}", trees());
    assert!(!trees().contains(&first[0]) && !trees().contains(&old));
}

#[test]
fn bytes_are_proved_again_before_they_are_handed_on() {
    let site = Site::new();
    let store = site.store();
    let image = store.release(&site.wanted(), &any).unwrap().unwrap();
    let path = image.verified_path(&store).unwrap().to_owned();
    let good = fs::read(&path).unwrap();
    let mut bent = good.clone();
    bent[50] ^= 1;
    fs::write(&path, bent).unwrap();
    assert_eq!(image.verified_path(&store).unwrap_err().kind, ErrorKind::Refused);
    // The next run does not take it either, and gets it again.
    assert_eq!(site.fetch(), path);
    assert_eq!(fs::read(&path).unwrap(), good);
    assert_eq!(site.downloads(), 2);
}

#[test]
fn latest_is_read_from_a_signed_file() {
    let site = Site::new();
    let store = site.store();
    let dir = site.wanted().places.remove(0);
    let error = store.latest(&dir.current(None), Brand::CoreOs).unwrap_err();
    assert!(error.to_string().contains("amd64-usr/current/version.txt"), "{error}");
    let text = b"COREOS_BUILD=1032\nCOREOS_VERSION=1032.0.0+x\nCOREOS_VERSION_ID=1032.0.0\n".to_vec();
    let current = "amd64-usr/current/version.txt";
    site.server.put(current, text.clone());
    assert_eq!(store.latest(&dir.current(None), Brand::CoreOs).unwrap_err().kind, ErrorKind::Refused);
    site.server.put(&format!("{current}.sig"), site.certificate.sign(&text).unwrap());
    assert_eq!(store.latest(&dir.current(None), Brand::CoreOs).unwrap().0.as_str(), "1032.0.0");
    assert!(store.latest(&dir.current(None), Brand::Flatcar).is_err());
    assert!(site.server.requests().iter().all(|request| !request.path.starts_with(DIR)));
}
