//! Every rule of the signature policy, tested with a corpus of certificates and signatures (fixtures/openpgp).

use std::fs;
use std::path::{Path, PathBuf};

use coreos_types::{Error, ErrorKind, Result};
use expect_test::expect;
use openpgp_policy::{Certificate, DetachedSignatures, Pin, SHA1_CUTOFF, TrustPolicy};
use regex::Regex;
use xtask::cli::VerifySignature;
use xtask::commands::verify_signature;
use xtask::keyring::Keyring;
use xtask::report::Report;

/// Verification time in Unix seconds: 2026-01-01T12:00:00Z.
pub(super) const NOW: u64 = 1_767_268_800;

/// A row of `cases.txt`.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) certificate: String,
    pub(super) signature: String,
    pub(super) pin: String,
    pub(super) exit: u8,
    pub(super) verdict: String,
    pub(super) rule: String,
    pub(super) description: String,
}

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/openpgp").join(name)
}

pub(super) fn cases() -> Vec<Case> {
    let text = fs::read_to_string(fixture("cases.txt")).unwrap();
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(parse_case).collect()
}

fn parse_case(line: &str) -> Case {
    let (words, description) = line.split_once(": ").unwrap();
    let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
    let [certificate, signature, pin, exit, verdict, rule] = words.try_into().unwrap();
    let exit = exit.parse().unwrap();
    Case { certificate, signature, pin, exit, verdict, rule, description: description.to_owned() }
}

impl Case {
    /// Runs `verify-signature` on this case.
    pub(super) fn run(&self) -> Report {
        let flags = VerifySignature {
            file: fixture("signed-file"),
            signature: Some(fixture(&self.signature)),
            signing_key: None,
            offline: true,
        };
        match self.keyring() {
            Ok(keyring) => verify_signature::verify_signature(&flags, &keyring, None),
            Err(error) => Report { error: Some(error), ..Report::default() },
        }
    }

    fn keyring(&self) -> Result<Keyring> {
        let path = fixture(&format!("{}.pgp", self.certificate));
        let keyring = Keyring::from_file(&path, NOW)?;
        if self.pin == "own" {
            return Ok(keyring);
        }
        // Other pins use certificates from a cache, like a vendor's pin.
        let bytes = fs::read(&path).map_err(|error| Error::failed(error.to_string()))?;
        let certificate = Certificate::parse(&bytes, "the fixture")?;
        let trusted = match self.pin.as_str() {
            "sha1" => certificate.fingerprint().clone(),
            other => Certificate::parse(&fs::read(fixture(other)).unwrap(), other)?.fingerprint().clone(),
        };
        let sha1_until = (self.pin == "sha1").then_some(SHA1_CUTOFF);
        let pin = Pin { sha1_until, ..Pin::built_in_or_new(trusted, "a throwaway key") };
        Ok(Keyring::from_certificates(TrustPolicy { pins: vec![pin], now: NOW }, vec![certificate]))
    }
}

#[test]
fn every_case_has_the_expected_verdict() {
    let differences: Vec<_> = cases().iter().filter_map(describe_difference).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn corpus_covers_every_file() {
    let cases = cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let is_used = |name: &str| {
        cases.iter().any(|case| case.signature == name || format!("{}.pgp", case.certificate) == name)
    };
    let files =
        fs::read_dir(fixture("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let unused: Vec<_> = files
        .filter(|name| name.ends_with(".pgp") || name.ends_with(".sig"))
        .filter(|name| !is_used(name))
        .collect();
    assert!(unused.is_empty(), "no case uses {unused:?}");
}

#[test]
fn refusal_has_a_key_and_a_hint() {
    let fingerprint = Regex::new("[0-9A-F]{40}").unwrap();
    for case in cases().iter().filter(|case| case.exit == 3) {
        let error = case.run().error.unwrap();
        assert!(error.hint.is_some(), "{} {}", case.certificate, case.signature);
        // A file that cannot be parsed has no key to name.
        let is_parsed = !["-", "malformed", "version"].contains(&case.rule.as_str());
        let has_fingerprint = fingerprint.is_match(&error.message);
        assert!(has_fingerprint || !is_parsed, "{} {}: {error}", case.certificate, case.signature);
    }
}

/// Full messages for every rule, every signature type, and every hash algorithm that is not accepted.
#[test]
fn refusal_messages_match_the_golden() {
    let mut text = String::new();
    for row in [
        "plain value-spoiled.sig own",
        "plain type-text.sig own",
        "plain type-standalone.sig own",
        "plain type-certification.sig own",
        "plain type-binding.sig own",
        "plain type-key.sig own",
        "plain type-revocation.sig own",
        "plain type-timestamp.sig own",
        "plain type-confirmation.sig own",
        "plain type-unknown.sig own",
        "plain two-dates.sig own",
        "plain undated.sig own",
        "plain future.sig own",
        "rsa rsa-sha1.sig own",
        "rsa rsa-md5.sig sha1",
        "rsa rsa-ripemd160.sig sha1",
        "rsa rsa-sha224.sig sha1",
        "other by-other.sig plain.pgp",
        "unbound good.sig own",
        "binding-spoiled good.sig own",
        "rsa-sha1 rsa-sha256.sig own",
        "revoked-compromised good.sig own",
        "plain by-other.sig own",
        "expired key-id-only.sig other.pgp",
        "other key-id-only.sig own",
        "expired unknown-then-good.sig own",
    ] {
        let error = parse_case(&format!("{row} 3 - -: ")).run().error.unwrap();
        text += &format!("{row}: {}\n", error.message.replace(fixture("").to_str().unwrap(), ""));
        error.causes.iter().for_each(|cause| text += &format!("  because: {cause}\n"));
        text += &format!("  hint: {}\n", error.hint.unwrap());
    }
    expect![[r#"
        plain value-spoiled.sig own: the signature value-spoiled.sig is refused (bad-signature): key CB63FCCBB84CD67520C471393E816FEC5E4702EF did not sign these bytes: the file or the signature was changed
          hint: download the file and its signature again; if that fails too, use another mirror or release
        plain type-text.sig own: the signature type-text.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (type): it is a signature of type 0x01 (over a text, with line ends changed): expected type 0x00, over a binary document
          hint: sign again with `gpg --detach-sign`, or use the `.sig` of the release server
        plain type-standalone.sig own: the signature type-standalone.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (type): it is a signature of type 0x02 (standalone): expected type 0x00, over a binary document
          hint: sign again with `gpg --detach-sign`, or use the `.sig` of the release server
        plain type-certification.sig own: the signature type-certification.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (type): it is a signature of type 0x13 (certifies a user id): expected type 0x00, over a binary document
          hint: sign again with `gpg --detach-sign`, or use the `.sig` of the release server
        plain type-binding.sig own: the signature type-binding.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (type): it is a signature of type 0x18 (binds a subkey): expected type 0x00, over a binary document
          hint: sign again with `gpg --detach-sign`, or use the `.sig` of the release server
        plain type-key.sig own: the signature type-key.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (type): it is a signature of type 0x1F (over a key): expected type 0x00, over a binary document
          hint: sign again with `gpg --detach-sign`, or use the `.sig` of the release server
        plain type-revocation.sig own: the signature type-revocation.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (type): it is a signature of type 0x20 (revokes): expected type 0x00, over a binary document
          hint: sign again with `gpg --detach-sign`, or use the `.sig` of the release server
        plain type-timestamp.sig own: the signature type-timestamp.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (type): it is a signature of type 0x40 (a timestamp): expected type 0x00, over a binary document
          hint: sign again with `gpg --detach-sign`, or use the `.sig` of the release server
        plain type-confirmation.sig own: the signature type-confirmation.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (type): it is a signature of type 0x50 (confirms another signature): expected type 0x00, over a binary document
          hint: sign again with `gpg --detach-sign`, or use the `.sig` of the release server
        plain type-unknown.sig own: the signature type-unknown.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (type): it is a signature of type 0x60 (of no known meaning): expected type 0x00, over a binary document
          hint: sign again with `gpg --detach-sign`, or use the `.sig` of the release server
        plain two-dates.sig own: the signature two-dates.sig is refused (malformed): it is malformed: its subpackets of type 2 contradict each other
          hint: download the file and its signature again; if that fails too, use another mirror or release
        plain undated.sig own: the signature undated.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (no-date): it has no creation time
          hint: sign again with `gpg --detach-sign`, or use the `.sig` of the release server
        plain future.sig own: the signature future.sig by CB63FCCBB84CD67520C471393E816FEC5E4702EF is refused (future): its creation time 2090-01-01 is in the future
          hint: check the clock of this machine
        rsa rsa-sha1.sig own: the signature rsa-sha1.sig by B1E5AFFC7F69C0C6A8240C0AF74D3A214728CD7C is refused (hash): it is made with SHA-1, which is not accepted under Throwaway <throwaway@example.org>
          hint: use a release that is signed with SHA-256 or better
        rsa rsa-md5.sig sha1: the signature rsa-md5.sig by B1E5AFFC7F69C0C6A8240C0AF74D3A214728CD7C is refused (hash): it is made with MD5, which is not accepted
          hint: use a release that is signed with SHA-256 or better
        rsa rsa-ripemd160.sig sha1: the signature rsa-ripemd160.sig by B1E5AFFC7F69C0C6A8240C0AF74D3A214728CD7C is refused (hash): it is made with RIPEMD-160, which is not accepted
          hint: use a release that is signed with SHA-256 or better
        rsa rsa-sha224.sig sha1: the signature rsa-sha224.sig by B1E5AFFC7F69C0C6A8240C0AF74D3A214728CD7C is refused (hash): it is made with SHA-224, which is not accepted
          hint: use a release that is signed with SHA-256 or better
        other by-other.sig plain.pgp: the signature by-other.sig is refused (not-pinned): key 215BDBB86496A4B0C2323799AD79B3698D62AF0F belongs to primary key 215BDBB86496A4B0C2323799AD79B3698D62AF0F, which is not trusted
          hint: for your own mirror or build, pass its certificate: --signing-key FILE
        unbound good.sig own: the signature good.sig is refused (binding): subkey CB63FCCBB84CD67520C471393E816FEC5E4702EF is not bound to primary key BC6132FAFE7AD15D21C66819BB43B709D751C39E: it has no binding signature
          hint: check the certificate; for your own mirror or build, sign again with a key that may sign files
        binding-spoiled good.sig own: the signature good.sig is refused (binding): subkey CB63FCCBB84CD67520C471393E816FEC5E4702EF is not bound to primary key BC6132FAFE7AD15D21C66819BB43B709D751C39E: none of its binding signatures is valid
          hint: check the certificate; for your own mirror or build, sign again with a key that may sign files
        rsa-sha1 rsa-sha256.sig own: the signature rsa-sha256.sig is refused (binding): subkey B1E5AFFC7F69C0C6A8240C0AF74D3A214728CD7C is not bound to primary key F774BBE22B2A29F7C6D15EC13089926EEFBAD193: its binding is made with SHA-1, which is not accepted
          hint: check the certificate; for your own mirror or build, sign again with a key that may sign files
        revoked-compromised good.sig own: the signature good.sig is refused (subkey-revoked): subkey CB63FCCBB84CD67520C471393E816FEC5E4702EF was revoked on 2021-01-01 (reason: the key was compromised), which invalidates all of its signatures
          hint: use another release: no option accepts a revoked key
        plain by-other.sig own: the signature by-other.sig is refused (unknown-key): no available certificate has its key 215BDBB86496A4B0C2323799AD79B3698D62AF0F; trusted: Throwaway <throwaway@example.org> (BC6132FAFE7AD15D21C66819BB43B709D751C39E)
          hint: for your own mirror or build, pass its certificate: --signing-key FILE
        expired key-id-only.sig other.pgp: the signature key-id-only.sig is refused (not-pinned): key CB63FCCBB84CD67520C471393E816FEC5E4702EF belongs to primary key BC6132FAFE7AD15D21C66819BB43B709D751C39E, which is not trusted
          hint: for your own mirror or build, pass its certificate: --signing-key FILE
        other key-id-only.sig own: the signature key-id-only.sig is refused (unknown-key): no available certificate has its key 3E816FEC5E4702EF; trusted: Other (215BDBB86496A4B0C2323799AD79B3698D62AF0F)
          hint: for your own mirror or build, pass its certificate: --signing-key FILE
        expired unknown-then-good.sig own: the signature unknown-then-good.sig is refused (signing-key-expired): subkey CB63FCCBB84CD67520C471393E816FEC5E4702EF had expired on 2020-05-01, before this signature of 2020-06-01
          because: another signature in it (unknown-key): no available certificate has its key 215BDBB86496A4B0C2323799AD79B3698D62AF0F; trusted: Throwaway <throwaway@example.org> (BC6132FAFE7AD15D21C66819BB43B709D751C39E)
          hint: check the certificate; for your own mirror or build, sign again with a key that may sign files
    "#]].assert_eq(&text);
}

#[test]
fn invalid_signature_file_type_is_reported() {
    for (name, file_type) in [
        ("empty.sig", "an empty file"),
        ("html.sig", "an HTML page"),
        ("html-short.sig", "an HTML page"),
        ("xml.sig", "an XML document"),
        ("json.sig", "a JSON document"),
        ("gzip.sig", "gzip data, perhaps the image itself"),
        ("zeros.sig", "a file of zeros"),
        ("text.sig", "plain text"),
        ("noise.sig", "random bytes"),
        ("certificate.sig", "an OpenPGP certificate"),
        ("secret.pgp", "an OpenPGP secret key"),
    ] {
        let error = DetachedSignatures::parse(&fs::read(fixture(name)).unwrap(), name).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failed);
        assert!(error.message.contains(file_type), "{error}");
    }
    // Text around an armored signature is not part of it, wherever it is.
    let armored = fs::read(fixture("armored.sig")).unwrap();
    for bytes in [[b"text\n", &armored[..]].concat(), [&armored[..], b"text\n"].concat()] {
        let error = DetachedSignatures::parse(&bytes, "x.sig").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains("an armored signature with other text"), "{error}");
    }
    // Data with the packet tag of a signature, data too large for a message, and types without a fixture.
    let large = fs::read(fixture("compressed.sig")).unwrap().repeat(1000);
    for (bytes, file_type) in [
        (&b"\xc2\x05Hello"[..], "random bytes"),
        (b"\xc2\xffHello, hello", "random bytes"),
        (b"\xc2", "random bytes"),
        (&large, "random bytes"),
        (b"\xfd7zXZ\0", "compressed data"),
        (b"\x28\xb5\x2f\xfd\0", "compressed data"),
        (b"\xff\xfe-\0-\0", "UTF-16 text"),
        (b" \n", "a blank file"),
    ] {
        let error = DetachedSignatures::parse(bytes, "noise.sig").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failed);
        assert!(error.message.contains(file_type), "{error}");
    }
}

#[test]
fn invalid_certificate_file_type_is_reported() {
    let plain = fs::read(fixture("plain.pgp")).unwrap();
    let filled = |size: usize| {
        let filler = vec![0; size - plain.len() - 6];
        [&plain[..], b"\xfc\xff", &u32::try_from(filler.len()).unwrap().to_be_bytes(), &filler].concat()
    };
    assert!(Certificate::parse(&filled(4 << 20), "plain.pgp").is_ok());
    for (bytes, text) in [
        (filled((4 << 20) + 1), "a certificate has far fewer"),
        (fs::read(fixture("two.pgp")).unwrap(), "has 2 certificates: expected one"),
        (fs::read(fixture("secret.pgp")).unwrap(), "a secret-key export"),
        (fs::read(fixture("secret-armored.pgp")).unwrap(), "a secret-key export"),
        (fs::read(fixture("good.sig")).unwrap(), "it does not begin with a public key"),
        (Vec::new(), "an empty file"),
    ] {
        let error = Certificate::parse(&bytes, "given.pgp").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failed);
        assert!(error.message.contains(text), "{error}");
    }
}

#[test]
fn armored_certificate_is_read_as_people_save_it() {
    let plain = String::from_utf8(fs::read(fixture("plain-armored.pgp")).unwrap()).unwrap();
    for (form, text) in [
        ("with a byte order mark", format!("\u{feff}{plain}")),
        ("with CRLF and a byte order mark", format!("\u{feff}{plain}").replace('\n', "\r\n")),
        ("out of a mail", format!("From: a\n\nkey:\n{plain}--\nsignature\n")),
        ("twice", plain.repeat(2)),
    ] {
        let read = Certificate::parse(text.as_bytes(), form).unwrap();
        assert_eq!(read.fingerprint(), Certificate::parse(plain.as_bytes(), "plain").unwrap().fingerprint());
    }
}

#[test]
fn signature_file_over_64_kib_is_refused() {
    let good = fs::read(fixture("good.sig")).unwrap();
    let filled = |size: usize| {
        let old = vec![3; size - good.len() - 6];
        [&good[..], b"\xc2\xff", &u32::try_from(old.len()).unwrap().to_be_bytes(), &old].concat()
    };
    assert!(DetachedSignatures::parse(&filled(64 * 1024), "within.sig").is_ok());
    let error = DetachedSignatures::parse(&filled(64 * 1024 + 1), "beyond.sig").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("at most 65536"), "{error}");
    assert!(DetachedSignatures::parse(&good.repeat(16), "within.sig").is_ok());
    let error = DetachedSignatures::parse(&good.repeat(17), "beyond.sig").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("at most 16"), "{error}");
}

/// The fixture has the first octets of shattered-1.pdf (Stevens et al., 2017), with the SHA-1 collision blocks.
#[test]
fn sha1_collision_bytes_are_refused() {
    let case = cases().into_iter().find(|case| case.signature == "rsa-sha1-2017.sig").unwrap();
    let signature = fs::read(fixture(&case.signature)).unwrap();
    let signature = DetachedSignatures::parse(&signature, &case.signature).unwrap();
    let rule = |bytes: &[u8]| {
        let mut verification = case.keyring().unwrap().begin_verification(&signature, None).unwrap();
        verification.update(bytes);
        verification.finish().signatures[0].rule
    };
    assert_eq!(rule(&fs::read(fixture("signed-file")).unwrap()), "good");
    let marked = fs::read(fixture("collision-mark")).unwrap();
    assert_eq!(rule(&marked), "collision");
    assert_eq!(rule(&marked[..marked.len() - 64]), "bad-signature");
}

fn describe_difference(case: &Case) -> Option<String> {
    let report = case.run();
    let (verdict, rule) = deciding_verdict(&report);
    let is_expected = report.exit_code() == case.exit && verdict == case.verdict && rule == case.rule;
    let actual = format!("exit {}, {verdict} {rule}, {:?}", report.exit_code(), report.error);
    (!is_expected)
        .then(|| format!("{} {} ({}): {actual}", case.certificate, case.signature, case.description))
}

/// Verdict and rule of the deciding signature; `-` for both if the file was not parsed.
pub(super) fn deciding_verdict(report: &Report) -> (String, String) {
    let rows = report.extra.get("signatures").and_then(|rows| rows.as_array()).cloned().unwrap_or_default();
    let decides = rows.iter().find(|row| row["verdict"] == "good").or(rows.first());
    let word = |key: &str| decides.map_or("-".to_owned(), |row| row[key].as_str().unwrap().to_owned());
    (word("verdict"), word("rule"))
}
