//! A cached image is used only for the URLs that are known to serve it.

use std::fs;

use coreos_types::{Error, Result};
use release_fixture::certificate::TestCertificate;
use xtask::cache::ImageHandle;

use super::site::{CacheSite, accept_any, signature_path};
use super::{IMAGE, files, has_image, refusal_message};

const SIGNATURE: &str = "amd64-usr/991.0.0/coreos_production_pxe_image.cpio.gz.sig";

/// Source URL of the site's image when requested from these mirrors; `None` if no mirror has the image.
fn image_source(site: &CacheSite, offline: bool, mirrors: &[&str]) -> Result<Option<String>> {
    let image = site.store_with(offline, "key.asc").open_release(
        &site.release_cache(),
        &site.urls_from(mirrors),
        &accept_any,
    )?;
    Ok(image.map(|image| image.provenance().source.clone()))
}

#[test]
fn new_url_is_checked_for_the_same_signature() {
    let site = CacheSite::new();
    site.fetch();
    let mirror = site.mirror(&[IMAGE, SIGNATURE]);
    let empty = site.mirror(&[]);
    let signature_only = site.mirror(&[SIGNATURE]);
    let (own_url, mirror_url) = (site.server.url(), mirror.url());
    let (own_image_url, mirror_image_url) = (format!("{own_url}/{IMAGE}"), format!("{mirror_url}/{IMAGE}"));
    let before = site.server.requests().len();

    assert_eq!(image_source(&site, false, &[&own_url]), Ok(Some(own_image_url.clone())));
    assert_eq!(image_source(&site, false, &[&empty.url()]), Ok(None));
    assert_eq!(
        image_source(&site, false, &[&signature_only.url()]),
        Ok(None),
        "a signature without its image"
    );
    assert_eq!(image_source(&site, false, &[&empty.url(), &own_url]), Ok(Some(own_image_url.clone())));
    assert_eq!(site.server.requests().len(), before, "the known origin is not requested again");

    assert_eq!(image_source(&site, false, &[&mirror_url, &own_url]), Ok(Some(mirror_image_url.clone())));
    let requests = mirror.requests().len();
    assert_eq!(image_source(&site, false, &[&mirror_url]), Ok(Some(mirror_image_url.clone())));
    assert_eq!(mirror.requests().len(), requests, "nor is a mirror that served the same image");
    assert_eq!(site.downloads(), 1 + 1, "creating the mirror downloads once more");
}

#[test]
fn offline_accepts_and_reports_any_known_origin() {
    let site = CacheSite::new();
    site.fetch();
    let own_url = site.server.url();
    let own_image_url = format!("{own_url}/{IMAGE}");
    let unknown_mirror = "https://mirror.example";
    assert_eq!(image_source(&site, true, &[unknown_mirror]), Ok(Some(own_image_url.clone())));
    assert_eq!(image_source(&site, true, &[unknown_mirror, &own_url]), Ok(Some(own_image_url)));
    let error = image_source(&site, true, &["http://mirror.example"]).unwrap_err();
    assert!(error.to_string().contains("plain http"), "{error}");
}

#[test]
fn image_of_unknown_origin_is_refused_offline() {
    let site = CacheSite::new();
    let origin_file = site.fetch().with_file_name("from");
    let own_url = site.server.url();
    for content in [None, Some("nonsense\n"), Some("")] {
        match content {
            None => fs::remove_file(&origin_file).unwrap(),
            Some(text) => fs::write(&origin_file, text).unwrap(),
        }
        let error = image_source(&site, true, &[&own_url]).unwrap_err();
        let cause = format!("an image is cached, and {} does not name its origin", origin_file.display());
        assert!(error.causes.contains(&cause), "{error}");
        assert!(image_source(&site, false, &[&own_url]).unwrap().is_some());
        assert!(image_source(&site, true, &[&own_url]).unwrap().is_some());
    }
    assert_eq!(site.downloads(), 1 + 3, "one request for each unknown origin");
}

#[test]
fn forbidden_url_is_not_served_from_the_cache() {
    let site = CacheSite::new();
    site.fetch();
    let error = image_source(&site, false, &["http://mirror.example"]).unwrap_err();
    assert!(error.to_string().contains("plain http is for loopback only"), "{error}");
    let dead_url = { site.mirror(&[]) }.url();
    let error = image_source(&site, false, &[&dead_url]).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(error.to_string().contains("--offline uses it"), "{error}");
}

#[test]
fn other_signature_requires_its_own_download() {
    let site = CacheSite::new();
    let image = fs::read(site.fetch()).unwrap();
    let resigned = site.mirror(&[IMAGE]);
    let url = resigned.url();
    resigned.put(SIGNATURE, TestCertificate::throwaway(8).unwrap().sign(&image).unwrap());
    assert!(
        refusal_message(
            site.store()
                .open_release(&site.release_cache(), &site.urls_from(&[&url]), &accept_any)
                .map(Option::unwrap)
        )
        .contains("unknown-key")
    );
    // The cached image is unchanged.
    let before = site.server.requests().len();
    assert!(image_source(&site, false, &[&site.server.url()]).is_ok());
    assert_eq!(site.server.requests().len(), before);
}

/// A wrong image may have a valid signature; it must not be cached in place of the right one.
#[test]
fn wrong_release_is_not_cached() {
    let site = CacheSite::new();
    let store = site.store();
    let wrong = |_: &ImageHandle| -> Result<()> { Err(Error::refused("it is release 990.0.0")) };
    assert!(
        refusal_message(store.open_release(&site.release_cache(), &site.urls(), &wrong).map(Option::unwrap))
            .contains("990.0.0")
    );
    assert!(
        !has_image(&site) && files(&site.release_path()) == ["lock"],
        "{:?}",
        files(&site.release_path())
    );
    assert!(site.open(&store).unwrap().is_some());

    // A wrong image that an earlier version cached is requested once more, and then refused.
    let before = site.downloads();
    assert!(
        refusal_message(store.open_release(&site.release_cache(), &site.urls(), &wrong).map(Option::unwrap))
            .contains("990.0.0")
    );
    assert_eq!(site.downloads() - before, 1);
}

#[test]
fn directory_as_cached_signature_is_named_in_the_hint() {
    let site = CacheSite::new();
    let signature = signature_path(&site.fetch());
    fs::remove_file(&signature).unwrap();
    fs::create_dir(&signature).unwrap();
    let error = site.open(&site.store()).map(|_| ()).unwrap_err();
    assert_eq!(error.hint, Some(format!("rm -r -- {}", signature.display())), "{error}");
    fs::remove_dir(&signature).unwrap();
    assert!(site.open(&site.store()).unwrap().is_some());
}
