//! Trusted primary keys by fingerprint, and the end of SHA-1.

use std::fmt;
use std::str::FromStr;

use coreos_types::{Error, Result, Vendor, Vendors};

use super::Certificate;

/// The primary key of CoreOS Container Linux, rsa4096, 2013-09-06.
pub const COREOS_FINGERPRINT: &str = Vendor::COREOS.pinned_fingerprints[0];
/// The primary key of Flatcar Container Linux, rsa4096, 2018-02-26.
pub const FLATCAR_FINGERPRINT: &str = Vendor::FLATCAR.pinned_fingerprints[0];
/// 2018-01-01T00:00:00Z, the end of SHA-1: CoreOS signed with it until some time in 2017.
pub const SHA1_CUTOFF: u64 = 1_514_764_800;
/// The seconds by which the signer's clock may be ahead of the local clock.
pub const CLOCK_SKEW: u64 = 24 * 60 * 60;

/// The fingerprint of a key, upper-case hex: 40 digits for version 4, 64 for version 6.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of these octets.
    pub(super) fn from_bytes(bytes: &[u8]) -> Fingerprint {
        Fingerprint(hex::encode_upper(bytes))
    }

    /// The hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key ID: the last 16 digits of a version 4 fingerprint, the first 16 of a version 6
    /// one (RFC 9580, 5.5.4).
    pub fn key_id(&self) -> &str {
        if self.0.len() == 64 { &self.0[..16] } else { &self.0[self.0.len() - 16..] }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = Error;
    /// Parses 40 or 64 hex digits in either case; blanks and a leading `0x` are allowed, a short key ID is not.
    fn from_str(text: &str) -> Result<Fingerprint> {
        let bare = text.trim().trim_start_matches("0x");
        let digits: String = bare.chars().filter(|c| !c.is_whitespace()).collect();
        if matches!(digits.len(), 40 | 64) && digits.chars().all(|c| c.is_ascii_hexdigit()) {
            return Ok(Fingerprint(digits.to_ascii_uppercase()));
        }
        Err(Error::failed(format!(
            "{text:?} is not a primary key's fingerprint: expected 40 or 64 hex digits, a key ID is not enough"
        )))
    }
}

/// A trusted primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The fingerprint of the primary key; nothing else of a certificate is accepted before it matches.
    pub fingerprint: Fingerprint,
    /// The owner's name in messages.
    pub name: String,
    /// The vendor's URL of the certificate.
    pub certificate_url: Option<&'static str>,
    /// SHA-1 is accepted in this certificate, and in file signatures made before this time (Unix seconds).
    /// `None`: SHA-1 is never accepted.
    pub sha1_until: Option<u64>,
}

impl Pin {
    /// The pins of a vendor; malformed ones are left out.
    pub fn for_vendor(vendor: &Vendor) -> impl Iterator<Item = Pin> + use<'_> {
        let pins = vendor.pinned_fingerprints.iter().filter_map(|pin| pin.parse().ok());
        pins.map(move |pin: Fingerprint| Pin {
            sha1_until: (pin.as_str() == COREOS_FINGERPRINT).then_some(SHA1_CUTOFF),
            fingerprint: pin,
            name: format!("the {vendor} image signing key"),
            certificate_url: vendor.certificate_url,
        })
    }

    /// A pin for any primary key. That of a built-in vendor gets the vendor's pin: whether SHA-1 is accepted depends
    /// on the fingerprint, for every source of the certificate.
    pub fn built_in_or_new(primary: Fingerprint, name: impl Into<String>) -> Pin {
        let mut built_in = Vendor::BUILT_IN.into_iter().flat_map(Pin::for_vendor);
        built_in.find(|pin| pin.fingerprint == primary).unwrap_or_else(|| Pin {
            fingerprint: primary,
            name: name.into(),
            certificate_url: None,
            sha1_until: None,
        })
    }
}

/// Everything that a verification depends on besides the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPolicy {
    /// The trusted primary keys.
    pub pins: Vec<Pin>,
    /// The time of verification, Unix seconds.
    pub now: u64,
}

impl TrustPolicy {
    /// Trusts the keys of these vendors.
    pub fn for_vendors(vendors: &Vendors, now: u64) -> TrustPolicy {
        TrustPolicy { pins: vendors.iter().flat_map(Pin::for_vendor).collect(), now }
    }

    /// Trusts one vendor's keys.
    pub fn for_vendor(vendor: &Vendor, now: u64) -> TrustPolicy {
        TrustPolicy { pins: Pin::for_vendor(vendor).collect(), now }
    }

    /// Trusts exactly these certificates (`--signing-key FILE`).
    pub fn from_certificates(certificates: &[Certificate], now: u64) -> TrustPolicy {
        let pins = certificates.iter().map(|certificate| {
            let name = certificate.printable_user_id().unwrap_or("the given signing key");
            Pin::built_in_or_new(certificate.fingerprint().clone(), name)
        });
        TrustPolicy { pins: pins.collect(), now }
    }

    /// The owner of a certificate in messages: the name of its pin, else its first user ID.
    pub(super) fn owner_name(&self, certificate: &Certificate) -> String {
        let pinned = self.pin(certificate.fingerprint()).map(|pin| pin.name.as_str());
        pinned.or_else(|| certificate.printable_user_id()).unwrap_or_default().to_owned()
    }

    /// The pin of a primary key; `None` if it is not trusted.
    pub fn pin(&self, primary: &Fingerprint) -> Option<&Pin> {
        self.pins.iter().find(|pin| pin.fingerprint == *primary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_needs_all_digits() {
        let spaced = "0x0412 7d0b fabe c887 1ffb  2cce 50e0 8855 93d2 dcb4";
        assert_eq!(
            spaced.parse().map(|read: Fingerprint| read.to_string()).ok().as_deref(),
            Some(COREOS_FINGERPRINT)
        );
        let (v4, v6) =
            (Fingerprint(COREOS_FINGERPRINT.to_owned()), Fingerprint("0123456789ABCDEF".repeat(4)));
        assert_eq!([v4.key_id(), v6.key_id()], ["50E0885593D2DCB4", "0123456789ABCDEF"]);
        for other in ["", "50E0885593D2DCB4", &COREOS_FINGERPRINT[1..], &COREOS_FINGERPRINT.replace('0', "O")]
        {
            assert!(other.parse::<Fingerprint>().is_err(), "{other}");
        }
    }
}
