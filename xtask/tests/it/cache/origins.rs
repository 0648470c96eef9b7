//! A kept image stands for the URLs that are known to serve it, and for no others.

use std::fs;

use coreos_types::error::{Error, Result};
use release_fixture::certificate::TestCertificate;
use xtask::cache::ImageHandle;

use super::site::{Site, any};
use super::{IMAGE, files, holds_an_image, refused};

const SIGNATURE: &str = "amd64-usr/991.0.0/coreos_production_pxe_image.cpio.gz.sig";

/// Where the image of a site is said to come from when it is looked for at these mirrors.
fn source(site: &Site, offline: bool, mirrors: &[&str]) -> Result<Option<String>> {
    let image = site.road_with(offline, "key.asc").release(&site.wanted_at(mirrors), &any)?;
    Ok(image.map(|image| image.origin().source.clone()))
}

#[test]
fn another_url_is_asked_whether_it_serves_the_same() {
    let site = Site::new();
    site.fetch();
    let same = site.mirror(&[IMAGE, SIGNATURE]);
    let lacking = site.mirror(&[]);
    let half = site.mirror(&[SIGNATURE]);
    let (own, same_url) = (site.server.url(), same.url());
    let (at_own, at_same) = (format!("{own}/{IMAGE}"), format!("{same_url}/{IMAGE}"));
    let before = site.server.requests().len();

    assert_eq!(source(&site, false, &[&own]), Ok(Some(at_own.clone())));
    assert_eq!(source(&site, false, &[&lacking.url()]), Ok(None));
    assert_eq!(source(&site, false, &[&half.url()]), Ok(None), "a signature without its image");
    assert_eq!(source(&site, false, &[&lacking.url(), &own]), Ok(Some(at_own.clone())));
    assert_eq!(site.server.requests().len(), before, "its own origin is not asked again");

    assert_eq!(source(&site, false, &[&same_url, &own]), Ok(Some(at_same.clone())));
    let asked = same.requests().len();
    assert_eq!(source(&site, false, &[&same_url]), Ok(Some(at_same.clone())));
    assert_eq!(same.requests().len(), asked, "and neither is one that served the same");
    assert_eq!(site.downloads(), 1 + 1, "the mirror was made by one more");
}

#[test]
fn offline_any_origin_will_do_and_is_told() {
    let site = Site::new();
    site.fetch();
    let own = site.server.url();
    let at_own = format!("{own}/{IMAGE}");
    let nowhere = "https://mirror.example";
    assert_eq!(source(&site, true, &[nowhere]), Ok(Some(at_own.clone())));
    assert_eq!(source(&site, true, &[nowhere, &own]), Ok(Some(at_own)));
    let error = source(&site, true, &["http://mirror.example"]).unwrap_err();
    assert!(error.to_string().contains("plain http"), "{error}");
}

#[test]
fn an_image_of_unknown_origin_is_told_and_is_known_again_once_it_was_asked_for() {
    let site = Site::new();
    let from = site.fetch().with_file_name("from");
    let own = site.server.url();
    for lost in [None, Some("nonsense\n"), Some("")] {
        match lost {
            None => fs::remove_file(&from).unwrap(),
            Some(text) => fs::write(&from, text).unwrap(),
        }
        let error = source(&site, true, &[&own]).unwrap_err();
        let told = format!("an image is cached, and {} does not name its origin", from.display());
        assert!(error.causes.contains(&told), "{error}");
        assert!(source(&site, false, &[&own]).unwrap().is_some());
        assert!(source(&site, true, &[&own]).unwrap().is_some());
    }
    assert_eq!(site.downloads(), 1 + 3, "the head of each answer, and no more");
}

#[test]
fn an_address_that_may_not_be_asked_is_not_answered_from_the_cache() {
    let site = Site::new();
    site.fetch();
    let error = source(&site, false, &["http://mirror.example"]).unwrap_err();
    assert!(error.to_string().contains("plain http is for loopback only"), "{error}");
    let silent = { site.mirror(&[]) }.url();
    let error = source(&site, false, &[&silent]).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(error.to_string().contains("--offline uses it"), "{error}");
}

#[test]
fn another_signature_is_another_image_until_it_was_downloaded() {
    let site = Site::new();
    let whole = fs::read(site.fetch()).unwrap();
    let signed_anew = site.mirror(&[IMAGE]);
    let url = signed_anew.url();
    signed_anew.put(SIGNATURE, TestCertificate::throwaway(8).unwrap().sign(&whole).unwrap());
    assert!(
        refused(site.store().release(&site.wanted_at(&[&url]), &any).map(Option::unwrap))
            .contains("unknown-key")
    );
    // The kept one was not touched.
    let before = site.server.requests().len();
    assert!(source(&site, false, &[&site.server.url()]).is_ok());
    assert_eq!(site.server.requests().len(), before);
}

/// A wrong image may be signed as well as any: it must not stand in the way of the right one.
#[test]
fn what_was_not_asked_for_is_not_kept() {
    let site = Site::new();
    let store = site.store();
    let wrong = |_: &ImageHandle| -> Result<()> { Err(Error::refused("it is release 990.0.0")) };
    assert!(refused(store.release(&site.wanted(), &wrong).map(Option::unwrap)).contains("990.0.0"));
    assert!(!holds_an_image(&site) && files(&site.shelf()) == ["lock"], "{:?}", files(&site.shelf()));
    assert!(store.release(&site.wanted(), &any).unwrap().is_some());

    // One that an earlier version kept all the same is requested once more, and then refused.
    let before = site.downloads();
    assert!(refused(store.release(&site.wanted(), &wrong).map(Option::unwrap)).contains("990.0.0"));
    assert_eq!(site.downloads() - before, 1);
}
