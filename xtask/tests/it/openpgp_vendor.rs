//! The signature policy on the vendors' own certificates and signatures.
//!
//! CoreOS and Flatcar made the signatures over one `version.txt`, as test data of their tools.

use std::fs;

use coreos_types::{Vendor, Vendors};
use openpgp_policy::{
    COREOS_FINGERPRINT, Certificate, DetachedSignatures, FLATCAR_FINGERPRINT, Pin, SignatureStatus,
    TrustPolicy, Verification,
};
use xtask::cli::VerifySignature;
use xtask::commands::verify_signature;
use xtask::keyring::Keyring;
use xtask::report::Report;

use crate::openpgp::{NOW, fixture};

/// A keyring of the built-in certificates, without a cache directory.
fn vendors() -> Keyring {
    Keyring::new(TrustPolicy::for_vendors(&Vendors::default(), NOW), None)
}

fn verify(name: &str, keyring: &Keyring) -> Report {
    let flags = VerifySignature {
        file: fixture("vendor/version.txt"),
        signature: Some(fixture(&format!("vendor/{name}.sig"))),
        signing_key: None,
        offline: true,
    };
    verify_signature::verify_signature(&flags, keyring, None)
}

#[test]
fn built_in_certificates_match_the_pins() {
    let keys: Vec<_> = vendors()
        .local_certificates()
        .iter()
        .map(|certificate| certificate.fingerprint().to_string())
        .collect();
    assert_eq!(keys, [COREOS_FINGERPRINT, FLATCAR_FINGERPRINT]);
    let subkeys = [
        "B42942E2EC8E6AA9A7826913A541ECB274E7E361",
        "EEFA7555E481D026CC40D8E6A5A96635E5676EFC",
        "DBFC52DBB963767AD20BA90807FA9ED31CB5FA26",
        "A5FA42549745ABBC7B827E368633FB13B58844F1",
        "07F23A2F63D6D4A17F552EF348F9B96A2E16137F",
        "8826AD9569F575AD3F5643E7DE2F8F87EF4B4ED9",
        "4D7241B14AA47290515D6A8D7FB32ABC0638EB2F",
        "FD986FB096482F906F55B2EA01C9CAE767B3CA0E",
        "1E100DD7A677A6F9A532C9F9B51DE377064D542D",
        "A621F1DA96C93C639506832D603443A1D0FC498C",
        "628CC212938065DAB4E3B949A8ABF005896E394F",
        "C8FE85310122E626753DB0CF3BC20FF8AF9CF1AF",
        "782B3BC9F10CF638A5DCF5105B2910CBFCBEAB91",
        "858A560F97C9AEB22EC1C732961DDDD5250D4A42",
        "8D6DA7853CFE1B1ED346ED0DEDBDF411267EC954",
        "E9426D8B67E35DF476BD048185F7C8868837E271",
        "52F145DFD00BBDCD928CBB5A32DA80F91EF52974",
    ];
    let certificates = vendors().local_certificates();
    let known: Vec<&str> =
        certificates.iter().flat_map(Certificate::fingerprints).map(|key| key.as_str()).collect();
    assert!(subkeys.iter().all(|subkey| known.contains(subkey)));
    assert_eq!(certificates[0].fingerprint().as_str(), COREOS_FINGERPRINT);
}

#[test]
fn signatures_of_expired_subkeys_are_valid() {
    let table = [
        // SHA-1 in all signatures, and an issuer key ID without a fingerprint, as in the manual procedure's example.
        ("coreos-2015-E5676EFC", COREOS_FINGERPRINT, "2015-06-27T01:47:02Z", "2014-09-08 to 2015-09-08"),
        ("coreos-2019-67B3CA0E", COREOS_FINGERPRINT, "2019-02-04T19:44:17Z", "2019-02-04 to 2021-06-01"),
        ("flatcar-2018-896E394F", FLATCAR_FINGERPRINT, "2018-10-05T14:20:56Z", "2018-09-26 to 2019-09-26"),
    ];
    for (name, primary, signed_at, validity) in table {
        let report = verify(name, &vendors());
        assert_eq!(report.exit_code(), 0, "{name}: {:?}", report.error);
        let row = &report.extra["signatures"][0];
        assert_eq!([&row["verdict"], &row["signed_by"], &row["signed_at"]], ["good", primary, signed_at]);
        let expected = format!("signed {}, within the validity of the subkey ({validity})", &signed_at[..10]);
        assert!(report.output[0].contains(&expected), "{}", report.output[0]);
    }
}

#[test]
fn revoked_flatcar_subkeys_have_their_own_message() {
    for (name, words) in [
        (
            "flatcar-2018-064D542D",
            "which signed Flatcar's first releases, was revoked as compromised on 2018-03-14",
        ),
        ("flatcar-2018-D0FC498C", "was revoked as compromised on 2018-09-26, when the next key replaced it"),
    ] {
        let report = verify(name, &vendors());
        assert_eq!(report.exit_code(), 3);
        let error = report.error.unwrap();
        assert!(error.message.contains(words), "{}", error.message);
        assert!(error.hint.unwrap().contains("use another release"));
    }
}

#[test]
fn key_of_releases_1045_and_1047_is_refused() {
    // Only CoreOS can make a valid signature with this key; the rule is applied before the cryptographic check.
    let key_id = [0x86, 0x33, 0xfb, 0x13, 0xb5, 0x88, 0x44, 0xf1];
    let created = 1_463_000_000_u32.to_be_bytes();
    let body = [&[4, 0, 1, 8, 0, 6, 5, 2][..], &created, &[0, 10, 9, 16], &key_id, &[0, 0, 0, 8, 1]].concat();
    let packet = [&[0xc2, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    let signature = DetachedSignatures::parse(&packet, "x.sig").unwrap();
    let verification = vendors().begin_verification(&signature, None).unwrap();
    assert!(!verification.needs_data(), "the image need not be downloaded");
    let verdict = verification.finish().signatures.remove(0);
    assert_eq!((verdict.status, verdict.rule), (SignatureStatus::Refused, "subkey-revoked"));
    assert!(
        verdict.message.contains("signed the CoreOS releases 1045 and 1047 alone"),
        "{}",
        verdict.message
    );
}

#[test]
fn sha1_exception_follows_the_primary_key() {
    let certificates = vendors().local_certificates();
    let policy = TrustPolicy::from_certificates(&certificates[..1], NOW);
    assert_eq!(policy.pins, Pin::for_vendor(Vendor::COREOS).collect::<Vec<_>>());
    // Under a pin without the exception, the same signature by the same certificate is refused.
    let strict = TrustPolicy { pins: vec![Pin { sha1_until: None, ..policy.pins[0].clone() }], now: NOW };
    let report = verify("coreos-2015-E5676EFC", &Keyring::from_certificates(strict, certificates));
    assert_eq!(report.extra["signatures"][0]["rule"], "binding");
}

#[test]
fn signature_of_another_vendor_is_refused() {
    let keyring = Keyring::new(TrustPolicy::for_vendor(Vendor::FLATCAR, NOW), None);
    let report = verify("coreos-2019-67B3CA0E", &keyring);
    assert_eq!(report.exit_code(), 3);
    assert_eq!(report.extra["signatures"][0]["verdict"], "unknown-key");
}

#[test]
fn certificate_round_trips_through_bytes() {
    for certificate in vendors().local_certificates() {
        let again = Certificate::parse(&certificate.to_bytes(), "again").unwrap();
        assert_eq!(again.to_bytes(), certificate.to_bytes());
    }
}

#[test]
fn verification_is_send() {
    fn is_send<T: Send>(_: &T) {}
    let bytes = fs::read(fixture("vendor/coreos-2019-67B3CA0E.sig")).unwrap();
    let signature = DetachedSignatures::parse(&bytes, "version.txt.sig").unwrap();
    let verification = Verification::new(
        &signature,
        &vendors().local_certificates(),
        &TrustPolicy::for_vendors(&Vendors::default(), NOW),
    );
    is_send(&verification);
}
