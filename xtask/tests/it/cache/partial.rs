//! Partial downloads whose files are damaged, or are something else.

use std::fs;
use std::os::unix::fs::symlink;

use coreos_types::ErrorKind;
use release_fixture::server::Misbehavior;

use super::site::CacheSite;
use super::{IMAGE, has_image};

const PARTIAL: &str = "coreos_production_pxe_image.cpio.gz.partial";
const STATE: &str = "coreos_production_pxe_image.cpio.gz.partial.state";

/// A site after an interrupted download.
fn interrupted() -> CacheSite {
    let site = CacheSite::new();
    site.server.misbehave(IMAGE, 1, Misbehavior::CutAfter(5000));
    site.server.misbehave(IMAGE, 3, Misbehavior::Status(503, None));
    assert!(site.open(&site.store()).is_err());
    site
}

#[test]
fn damaged_state_of_a_download_is_ignored() {
    for state in ["12345\n\0\0\0\0\n", "12345\n\"a\u{1}\"\n", "12345\n\"caf\u{e9}\"\n", "\0\0\0\0"] {
        let site = interrupted();
        fs::write(site.release_path().join(STATE), state).unwrap();
        assert!(site.open(&site.store()).unwrap().is_some(), "{state:?}");
        assert!(has_image(&site));
    }
}

#[test]
fn state_of_a_download_is_not_written_through_a_link() {
    let site = interrupted();
    let (state, elsewhere) = (site.release_path().join(STATE), site.home.path().join("elsewhere"));
    fs::rename(&state, &elsewhere).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    symlink(&elsewhere, &state).unwrap();
    site.server.misbehave(IMAGE, 1, Misbehavior::ChangeEntity(vec![1; 9000]));
    let _refused = site.open(&site.store());
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
}

#[test]
fn directory_instead_of_a_download_is_named_in_the_hint() {
    for name in [PARTIAL, STATE, "lock"] {
        let site = CacheSite::new();
        fs::create_dir_all(site.release_path().join(name)).unwrap();
        let error = site.open(&site.store()).map(|_| ()).unwrap_err();
        let hint = error.hint.clone().unwrap();
        assert!(hint.starts_with("rm -r -- ") && hint.ends_with(name), "{error:?}");
        fs::remove_dir_all(site.release_path().join(name)).unwrap();
        assert!(site.open(&site.store()).unwrap().is_some());
    }
}

#[test]
fn other_content_explains_a_bad_signature() {
    for (content, cause) in
        [(&b"{\"error\": 1}"[..], "the file is not a gzip file: it starts with"), (b"", "the file is empty")]
    {
        let site = CacheSite::new();
        site.server.put(IMAGE, content.to_vec());
        let error = site.open(&site.store()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(cause) && error.hint.is_some(), "{error:?}");
    }
    let site = CacheSite::new();
    site.server.put(IMAGE, b"\x1f\x8b\x08".to_vec());
    site.server.misbehave(IMAGE, 1, Misbehavior::GzipEncoding);
    let error = site.open(&site.store()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("the server sent it with Content-Encoding gzip"), "{error}");
}
