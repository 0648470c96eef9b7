//! Certificates from loopback key servers: only the pinned one is accepted, cached, and refreshed for a missing key.

use std::fs;
use std::path::Path;

use coreos_types::{Error, ErrorKind, Result};
use openpgp_policy::{Certificate, DetachedSignatures, Pin, TrustPolicy, VerificationResults};
use release_fixture::server::Server;
use tempfile::TempDir;
use xtask::http::{Client, ClientConfig, MAX_LIST_LEN};
use xtask::keyring::Keyring;

use crate::openpgp::{NOW, fixture};

/// Starts a key server that serves the fixture `certificate` under the fingerprint of `requested`.
fn server(requested: &Certificate, certificate: &str) -> Server {
    let path = format!("vks/v1/by-fingerprint/{}", requested.fingerprint());
    Server::start([(path, fs::read(fixture(certificate)).unwrap())].into()).unwrap()
}

fn certificate(name: &str) -> Certificate {
    Certificate::parse(&fs::read(fixture(name)).unwrap(), name).unwrap()
}

/// A keyring that trusts the primary key of `plain.pgp` and fetches its certificate from these servers.
fn keyring(servers: &[&Server], directory: &Path) -> Keyring {
    let pin = Pin::built_in_or_new(certificate("plain.pgp").fingerprint().clone(), "a throwaway key");
    let addresses =
        servers.iter().map(|server| format!("{}/vks/v1/by-fingerprint/{{fingerprint}}", server.url()));
    let policy = TrustPolicy { pins: vec![pin], now: NOW };
    Keyring::new(policy, Some(directory.to_owned())).with_servers(Some(addresses.collect()))
}

fn verify(keyring: &Keyring, signature: &str, online: bool) -> Result<VerificationResults> {
    let client = Client::new(ClientConfig::default());
    let fetch = |url: &str| {
        client.get_bytes(url, MAX_LIST_LEN)?.ok_or_else(|| Error::failed(format!("{url}: not found")))
    };
    let signature = DetachedSignatures::parse(&fs::read(fixture(signature)).unwrap(), signature).unwrap();
    let mut verification =
        keyring.begin_verification(&signature, if online { Some(&fetch) } else { None })?;
    verification.update(&fs::read(fixture("signed-file")).unwrap());
    Ok(verification.finish())
}

fn rule(verdicts: &VerificationResults) -> &'static str {
    verdicts.signatures[0].rule
}

#[test]
fn certificate_without_user_ids_is_fetched_once() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "no-user-id.pgp");
    let keyring = keyring(&[&server], &directory.path().join("certificates"));
    assert_eq!(rule(&verify(&keyring, "good.sig", true).unwrap()), "good");
    assert_eq!(rule(&verify(&keyring, "good.sig", true).unwrap()), "good");
    assert_eq!(rule(&verify(&keyring, "good.sig", false).unwrap()), "good");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn other_primary_key_from_a_server_is_refused() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let wrong = server(&plain, "other.pgp");
    let error = verify(&keyring(&[&wrong], directory.path()), "good.sig", true).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Failed);
    let other = certificate("other.pgp");
    assert!(error.causes[0].contains(other.fingerprint().as_str()), "{error}");
    assert!(error.causes[0].contains(plain.fingerprint().as_str()), "{error}");
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing is cached");

    // The next server in the list has the requested certificate.
    let correct = server(&plain, "plain.pgp");
    assert_eq!(
        rule(&verify(&keyring(&[&wrong, &correct], directory.path()), "good.sig", true).unwrap()),
        "good"
    );
}

#[test]
fn unknown_subkey_refreshes_the_certificate() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    // The cached copy has the subkey's revocation; the server's copy does not, but has a new subkey.
    let cached = directory.path().join(format!("{}.pgp", plain.fingerprint()));
    fs::copy(fixture("revoked-compromised.pgp"), &cached).unwrap();
    let server = server(&plain, "late.pgp");
    let keyring = keyring(&[&server], directory.path());
    assert_eq!(rule(&verify(&keyring, "good.sig", true).unwrap()), "subkey-revoked");
    assert!(server.requests().is_empty(), "a known key causes no request");
    assert_eq!(rule(&verify(&keyring, "before-key.sig", true).unwrap()), "before-key");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(rule(&verify(&keyring, "good.sig", true).unwrap()), "subkey-revoked");
}

#[test]
fn missing_certificate_is_reported() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "plain.pgp");
    let keyring = keyring(&[&server], directory.path());
    let error = verify(&keyring, "good.sig", false).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.message.contains(plain.fingerprint().as_str()), "{error}");
    assert!(error.hint.unwrap().contains("--signing-key"));

    server.remove(&format!("vks/v1/by-fingerprint/{}", plain.fingerprint()));
    let error = verify(&keyring, "good.sig", true).err().unwrap();
    assert!(error.causes[0].contains(": not found"), "{error}");
}

#[test]
fn html_page_as_certificate_is_reported() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "html.sig");
    let error = verify(&keyring(&[&server], directory.path()), "good.sig", true).err().unwrap();
    assert!(error.causes[0].contains("HTML"), "{error}");
}

#[test]
fn corrupt_cached_certificate_is_fetched_again() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "plain.pgp");
    let cached = directory.path().join(format!("{}.pgp", plain.fingerprint()));
    fs::write(&cached, b"half a cert").unwrap();
    let keyring = keyring(&[&server], directory.path());
    assert_eq!(rule(&verify(&keyring, "good.sig", true).unwrap()), "good");
    assert_eq!(fs::read(&cached).unwrap(), plain.to_bytes());
}

#[test]
fn key_without_a_server_stays_unknown() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "plain.pgp");
    let verdicts = verify(&keyring(&[&server], directory.path()), "by-other.sig", true).unwrap();
    assert_eq!(rule(&verdicts), "unknown-key");
    assert_eq!(verdicts.into_signer().unwrap_err().kind, ErrorKind::Refused);
}

/// The cached image and its download are verified with one keyring; neither a failure nor a response is requested again.
#[test]
fn url_is_requested_once_per_run() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let (empty, available) = (server(&plain, "plain.pgp"), server(&plain, "plain.pgp"));
    empty.remove(&format!("vks/v1/by-fingerprint/{}", plain.fingerprint()));
    let first_run = keyring(&[&empty, &available], directory.path());
    let errors =
        [(); 2].map(|()| verify(&first_run, "by-other.sig", true).unwrap().into_signer().unwrap_err());
    assert_eq!(errors[0], errors[1]);
    assert!(errors[0].causes.iter().any(|cause| cause.contains(": not found")), "{}", errors[0]);
    assert_eq!([&empty, &available].map(|server| server.requests().len()), [1, 1]);
    // The next run requests the certificate again.
    verify(&keyring(&[&empty, &available], directory.path()), "by-other.sig", true).unwrap();
    assert_eq!(empty.requests().len(), 2);
}

#[test]
fn failed_refresh_is_a_cause_of_unknown_key() {
    let (plain, directory) = (certificate("plain.pgp"), TempDir::new().unwrap());
    let server = server(&plain, "revoked-compromised.pgp");
    let verdicts = |signature| verify(&keyring(&[&server], directory.path()), signature, true).unwrap();
    assert_eq!(rule(&verdicts("good.sig")), "subkey-revoked");

    server.remove(&format!("vks/v1/by-fingerprint/{}", plain.fingerprint()));
    let causes = |signature| verdicts(signature).into_signer().unwrap_err().causes;
    let unknown_causes = causes("by-other.sig");
    assert!(unknown_causes.len() == 1 && unknown_causes[0].contains(": not found"), "{unknown_causes:?}");
    let other_causes = causes("unknown-then-good.sig");
    assert!(
        other_causes.len() == 1 && other_causes[0].starts_with("another signature in it"),
        "{other_causes:?}"
    );
}
