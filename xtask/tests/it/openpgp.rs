//! Every rule of the signature policy, over a corpus of certificates and signatures (fixtures/openpgp).

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use xtask::cmd::verify_signature;
use xtask::edge::openpgp::{Certificate, DetachedSignature, Keyring, Pin, SHA1_ENDS, TrustPolicy};
use xtask::fault::{Fault, FaultKind, Result};
use xtask::flags::VerifySignature;
use xtask::report::Report;

/// 2026-01-01T12:00:00Z, the moment of judgement.
pub(super) const NOW: u64 = 1_767_268_800;

/// A row of cases.txt.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) certificate: String,
    pub(super) signature: String,
    pub(super) pin: String,
    pub(super) exit: u8,
    pub(super) verdict: String,
    pub(super) rule: String,
    pub(super) shows: String,
}

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/openpgp").join(name)
}

pub(super) fn cases() -> Vec<Case> {
    let text = fs::read_to_string(fixture("cases.txt")).unwrap();
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(case).collect()
}

fn case(line: &str) -> Case {
    let (words, shows) = line.split_once(": ").unwrap();
    let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
    let [certificate, signature, pin, exit, verdict, rule] = words.try_into().unwrap();
    let exit = exit.parse().unwrap();
    Case { certificate, signature, pin, exit, verdict, rule, shows: shows.to_owned() }
}

impl Case {
    /// What the command says of it.
    pub(super) fn run(&self) -> Report {
        let flags = VerifySignature {
            file: fixture("signed-file"),
            signature: Some(fixture(&self.signature)),
            signing_key: None,
            offline: true,
        };
        match self.keyring() {
            Ok(keyring) => verify_signature::run(&flags, &keyring, None),
            Err(fault) => Report { error: Some(fault), ..Report::default() },
        }
    }

    fn keyring(&self) -> Result<Keyring> {
        let path = fixture(&format!("{}.pgp", self.certificate));
        let of_file = Keyring::of_file(&path, NOW)?;
        if self.pin == "own" {
            return Ok(of_file);
        }
        // Other pins come through the cache, as a vendor's do.
        let bytes = fs::read(&path).map_err(|error| Fault::failed(error.to_string()))?;
        let given = Certificate::parse(&bytes, "the fixture")?;
        let trusted = match self.pin.as_str() {
            "sha1" => given.fingerprint().clone(),
            other => Certificate::parse(&fs::read(fixture(other)).unwrap(), other)?.fingerprint().clone(),
        };
        let sha1_until = (self.pin == "sha1").then_some(SHA1_ENDS);
        let pin = Pin { sha1_until, ..Pin::new(trusted, "a throwaway key") };
        Ok(Keyring::holding(TrustPolicy { pins: vec![pin], now: NOW }, vec![given]))
    }
}

#[test]
fn every_case_gets_its_verdict() {
    let wrong: Vec<_> = cases().iter().filter_map(difference).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_corpus_covers_every_file() {
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
fn each_refusal_names_its_key_and_what_to_do() {
    let fingerprint = Regex::new("[0-9A-F]{40}").unwrap();
    for case in cases().iter().filter(|case| case.exit == 3) {
        let fault = case.run().error.unwrap();
        assert!(fault.hint.is_some(), "{} {}", case.certificate, case.signature);
        // What cannot be read names no key.
        let is_read = !["-", "malformed", "version"].contains(&case.rule.as_str());
        let names_a_key = fingerprint.is_match(&fault.message);
        assert!(names_a_key || !is_read, "{} {}: {fault}", case.certificate, case.signature);
    }
}

#[test]
fn what_is_no_signature_is_told_by_its_looks() {
    for (name, looks) in [
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
    ] {
        let fault = DetachedSignature::parse(&fs::read(fixture(name)).unwrap(), name).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Failed);
        assert!(fault.message.contains(looks), "{fault}");
    }
}

#[test]
fn a_sig_of_more_than_64_kib_is_refused() {
    let good = fs::read(fixture("good.sig")).unwrap();
    let many = 64 * 1024 / good.len();
    assert!(DetachedSignature::parse(&good.repeat(16), "within.sig").is_ok());
    for (count, told) in [(17, "at most 16"), (many, "at most 16"), (many + 1, "at most 65536")] {
        let fault = DetachedSignature::parse(&good.repeat(count), "beyond.sig").unwrap_err();
        assert_eq!(fault.kind, FaultKind::Refused);
        assert!(fault.message.contains(told), "{fault}");
    }
}

/// The first octets of shattered-1.pdf (Stevens and others, 2017), which bear the mark of the attack on SHA-1.
#[test]
fn bytes_with_the_mark_of_a_collision_attack_are_refused() {
    let case = cases().into_iter().find(|case| case.signature == "rsa-sha1-2017.sig").unwrap();
    let signature = fs::read(fixture(&case.signature)).unwrap();
    let signature = DetachedSignature::parse(&signature, &case.signature).unwrap();
    let rule = |bytes: &[u8]| {
        let mut verification = case.keyring().unwrap().open(&signature, None).unwrap();
        verification.update(bytes);
        verification.finish().signatures[0].rule
    };
    assert_eq!(rule(&fs::read(fixture("signed-file")).unwrap()), "good");
    let marked = fs::read(fixture("collision-mark")).unwrap();
    assert_eq!(rule(&marked), "collision");
    assert_eq!(rule(&marked[..marked.len() - 64]), "bad-signature");
}

fn difference(case: &Case) -> Option<String> {
    let report = case.run();
    let (verdict, rule) = told(&report);
    let is_so = report.exit_code() == case.exit && verdict == case.verdict && rule == case.rule;
    let found = format!("exit {}, {verdict} {rule}, {:?}", report.exit_code(), report.error);
    (!is_so).then(|| format!("{} {} ({}): {found}", case.certificate, case.signature, case.shows))
}

/// The verdict and rule that decide, `-` where the file was turned away.
pub(super) fn told(report: &Report) -> (String, String) {
    let rows = report.extra.get("signatures").and_then(|rows| rows.as_array()).cloned().unwrap_or_default();
    let decides = rows.iter().find(|row| row["verdict"] == "good").or(rows.first());
    let word = |key: &str| decides.map_or("-".to_owned(), |row| row[key].as_str().unwrap().to_owned());
    (word("verdict"), word("rule"))
}
