//! Comparison with gpg and gpgv: signatures of the fixture, and signatures that gpg makes.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use openpgp_policy::{Certificate, DetachedSignatures, SignatureStatus, TrustPolicy, Verification};
use release_fixture::certificate::TestCertificate as Maker;

use super::output;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn verify_signature(certificate: &[u8], signature: &[u8], data: &[u8]) -> SignatureStatus {
    let certificates = Certificate::parse_all(certificate, "a test").unwrap();
    let policy = TrustPolicy::from_certificates(&certificates, now());
    let signature = DetachedSignatures::parse(signature, "a test").unwrap();
    let mut verification = Verification::new(&signature, &certificates, &policy);
    verification.update(data);
    verification.finish().signatures[0].status
}

fn gpg(home: &Path, arguments: &[&str]) -> String {
    let mut all = vec![
        "--homedir",
        home.to_str().unwrap(),
        "--batch",
        "--quiet",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ];
    all.extend(arguments);
    output("gpg", &all)
}

#[test]
#[ignore = "needs gpg and gpgv"]
fn gpgv_accepts_signatures_of_the_fixture() {
    let home = tempfile::tempdir().unwrap();
    let maker = Maker::throwaway(3).unwrap();
    let [key, signature, data] = ["key.gpg", "data.sig", "data"].map(|name| home.path().join(name));
    fs::write(&key, maker.binary().unwrap()).unwrap();
    fs::write(&signature, maker.sign(b"data").unwrap()).unwrap();
    fs::write(&data, b"data").unwrap();
    let [key, signature, data] = [&key, &signature, &data].map(|path| path.to_str().unwrap());
    output("gpgv", &["--keyring", key, signature, data]);
    assert_eq!(
        verify_signature(&maker.binary().unwrap(), &maker.sign(b"data").unwrap(), b"data"),
        SignatureStatus::Good
    );
}

#[test]
#[ignore = "needs gpg and gpgv"]
fn gpg_signatures_verify_and_changed_data_fails() {
    // The path of a socket is limited to 108 bytes (unix(7)); gpg-agent creates one below its home directory.
    let home = tempfile::tempdir_in("/tmp").unwrap();
    let data = home.path().join("data");
    fs::write(&data, b"data").unwrap();
    for (number, algorithm) in ["rsa2048", "ed25519"].iter().enumerate() {
        let user = format!("Signer {number} <signer{number}@test.invalid>");
        gpg(home.path(), &["--quick-generate-key", &user, algorithm, "cert", "never"]);
        let colons = gpg(home.path(), &["--with-colons", "--list-keys", &user]);
        let primary = colons
            .lines()
            .find_map(|line| line.strip_prefix("fpr:::::::::"))
            .unwrap()
            .trim_end_matches(':')
            .to_owned();
        gpg(home.path(), &["--quick-add-key", &primary, algorithm, "sign", "1y"]);
        let key = home.path().join(format!("key{number}.gpg"));
        gpg(home.path(), &["--output", key.to_str().unwrap(), "--export", &primary]);
        for digest in ["SHA256", "SHA512", "SHA1"] {
            let signature = home.path().join(format!("{number}.{digest}.sig"));
            let (path, file) = (signature.to_str().unwrap(), data.to_str().unwrap());
            gpg(
                home.path(),
                &["--local-user", &primary, "--digest-algo", digest, "--output", path, "--detach-sign", file],
            );
            output("gpgv", &["--weak-digest", "MD5", "--keyring", key.to_str().unwrap(), path, file]);
            let (key, signature) = (fs::read(&key).unwrap(), fs::read(&signature).unwrap());
            // SHA-1 is accepted for the CoreOS key only, which is stricter than gpg.
            let expected = if digest == "SHA1" { SignatureStatus::Refused } else { SignatureStatus::Good };
            assert_eq!(verify_signature(&key, &signature, b"data"), expected, "{algorithm} {digest}");
            assert_eq!(
                verify_signature(&key, &signature, b"date"),
                SignatureStatus::Refused,
                "{algorithm} {digest}"
            );
        }
    }
    let _agent = std::process::Command::new("gpgconf")
        .arg("--homedir")
        .arg(home.path())
        .args(["--kill", "all"])
        .status();
}
