//! Certificates from key servers, on loopback: only the pinned one is taken, kept, and refreshed when it lacks a key.

use std::fs;
use std::path::Path;

use coreos_types::error::{Error, ErrorKind, Result};
use openpgp_policy::{Certificate, DetachedSignature, Pin, TrustPolicy, VerificationResults};
use release_fixture::server::Server;
use tempfile::TempDir;
use xtask::http::{Client, ClientConfig, MAX_LIST_LEN};
use xtask::keyring::Keyring;

use crate::openpgp::{NOW, fixture};

/// A key server that has `certificate` under the fingerprint of `asked`.
fn server(asked: &Certificate, certificate: &str) -> Server {
    let path = format!("vks/v1/by-fingerprint/{}", asked.fingerprint());
    Server::start([(path, fs::read(fixture(certificate)).unwrap())].into()).unwrap()
}

fn certificate(name: &str) -> Certificate {
    Certificate::parse(&fs::read(fixture(name)).unwrap(), name).unwrap()
}

/// Trusts the primary key of plain.pgp, and asks these servers for it.
fn keyring(servers: &[&Server], directory: &Path) -> Keyring {
    let pin = Pin::new(certificate("plain.pgp").fingerprint().clone(), "a throwaway key");
    let addresses = servers.iter().map(|one| format!("{}/vks/v1/by-fingerprint/{{fingerprint}}", one.url()));
    let policy = TrustPolicy { pins: vec![pin], now: NOW };
    Keyring::new(policy, Some(directory.to_owned())).with_servers(addresses.collect())
}

fn verify(keyring: &Keyring, signature: &str, online: bool) -> Result<VerificationResults> {
    let client = Client::new(ClientConfig::default());
    let fetch = |url: &str| {
        client.get_bytes(url, MAX_LIST_LEN)?.ok_or_else(|| Error::failed(format!("{url} is not there")))
    };
    let signature = DetachedSignature::parse(&fs::read(fixture(signature)).unwrap(), signature).unwrap();
    let mut verification =
        keyring.begin_verification(&signature, if online { Some(&fetch) } else { None })?;
    verification.update(&fs::read(fixture("signed-file")).unwrap());
    Ok(verification.finish())
}

fn rule(verdicts: &VerificationResults) -> &'static str {
    verdicts.signatures[0].rule
}

#[test]
fn a_certificate_without_user_ids_is_fetched_once_and_kept() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "no-user-id.pgp");
    let keyring = keyring(&[&server], &directory.path().join("certificates"));
    assert_eq!(rule(&verify(&keyring, "good.sig", true).unwrap()), "good");
    assert_eq!(rule(&verify(&keyring, "good.sig", true).unwrap()), "good");
    assert_eq!(rule(&verify(&keyring, "good.sig", false).unwrap()), "good");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn another_primary_key_under_the_asked_name_is_turned_away() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let liar = server(&plain, "other.pgp");
    let error = verify(&keyring(&[&liar], directory.path()), "good.sig", true).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Failed);
    let other = certificate("other.pgp");
    assert!(error.causes[0].contains(other.fingerprint().as_str()), "{error}");
    assert!(error.causes[0].contains(plain.fingerprint().as_str()), "{error}");
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing is kept");

    // The next server in the list is honest.
    let honest = server(&plain, "plain.pgp");
    assert_eq!(
        rule(&verify(&keyring(&[&liar, &honest], directory.path()), "good.sig", true).unwrap()),
        "good"
    );
}

#[test]
fn an_unknown_subkey_makes_it_ask_again_and_forget_nothing() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    // What was kept knows the subkey as revoked; the server's copy does not, but has the year's new subkey.
    let kept = directory.path().join(format!("{}.pgp", plain.fingerprint()));
    fs::copy(fixture("revoked-compromised.pgp"), &kept).unwrap();
    let server = server(&plain, "late.pgp");
    let keyring = keyring(&[&server], directory.path());
    assert_eq!(rule(&verify(&keyring, "good.sig", true).unwrap()), "subkey-revoked");
    assert!(server.requests().is_empty(), "a known key is no reason to ask");
    assert_eq!(rule(&verify(&keyring, "before-key.sig", true).unwrap()), "before-key");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(rule(&verify(&keyring, "good.sig", true).unwrap()), "subkey-revoked");
}

#[test]
fn offline_or_unreachable_says_what_is_missing() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "plain.pgp");
    let keyring = keyring(&[&server], directory.path());
    let error = verify(&keyring, "good.sig", false).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.message.contains(plain.fingerprint().as_str()), "{error}");
    assert!(error.hint.unwrap().contains("--signing-key"));

    server.remove(&format!("vks/v1/by-fingerprint/{}", plain.fingerprint()));
    let error = verify(&keyring, "good.sig", true).err().unwrap();
    assert!(error.causes[0].contains("is not there"), "{error}");
}

#[test]
fn a_page_in_place_of_a_certificate_is_named() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "html.sig");
    let error = verify(&keyring(&[&server], directory.path()), "good.sig", true).err().unwrap();
    assert!(error.causes[0].contains("HTML"), "{error}");
}

#[test]
fn a_spoiled_copy_in_the_cache_counts_as_none() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "plain.pgp");
    let kept = directory.path().join(format!("{}.pgp", plain.fingerprint()));
    fs::write(&kept, b"half a cert").unwrap();
    let keyring = keyring(&[&server], directory.path());
    assert_eq!(rule(&verify(&keyring, "good.sig", true).unwrap()), "good");
    assert_eq!(fs::read(&kept).unwrap(), plain.to_bytes());
}

#[test]
fn a_key_that_no_server_has_stays_unknown() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "plain.pgp");
    let verdicts = verify(&keyring(&[&server], directory.path()), "by-other.sig", true).unwrap();
    assert_eq!(rule(&verdicts), "unknown-key");
    assert_eq!(verdicts.into_signer().unwrap_err().kind, ErrorKind::Refused);
}

/// The kept image asks first, then its download; neither a refusal nor an answer is requested again.
#[test]
fn no_address_is_asked_twice_in_a_run() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let (dead, alive) = (server(&plain, "plain.pgp"), server(&plain, "plain.pgp"));
    dead.remove(&format!("vks/v1/by-fingerprint/{}", plain.fingerprint()));
    let run = keyring(&[&dead, &alive], directory.path());
    let told = [(); 2].map(|()| verify(&run, "by-other.sig", true).unwrap().into_signer().unwrap_err());
    assert_eq!(told[0], told[1]);
    assert!(told[0].causes.iter().any(|cause| cause.contains("is not there")), "{}", told[0]);
    assert_eq!([&dead, &alive].map(|one| one.requests().len()), [1, 1]);
    // The next run asks again.
    verify(&keyring(&[&dead, &alive], directory.path()), "by-other.sig", true).unwrap();
    assert_eq!(dead.requests().len(), 2);
}

#[test]
fn why_no_newer_certificate_could_be_got_is_told_where_one_might_help() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "revoked-compromised.pgp");
    let verdicts = |signature| verify(&keyring(&[&server], directory.path()), signature, true).unwrap();
    assert_eq!(rule(&verdicts("good.sig")), "subkey-revoked");

    server.remove(&format!("vks/v1/by-fingerprint/{}", plain.fingerprint()));
    let causes = |signature| verdicts(signature).into_signer().unwrap_err().causes;
    let unknown = causes("by-other.sig");
    assert!(unknown.len() == 1 && unknown[0].contains("is not there"), "{unknown:?}");
    let refused = causes("unknown-then-good.sig");
    assert!(refused.len() == 1 && refused[0].starts_with("another signature in it"), "{refused:?}");
}
