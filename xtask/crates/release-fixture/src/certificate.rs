//! A throwaway OpenPGP certificate with the structure of the vendors': a primary key that only certifies, and a subkey
//! that signs, with a primary key binding (RFC 9580, sections 5.2.1 and 10.1).
//!
//! EdDSA with Ed25519Legacy, which every GnuPG since 2.1 reads. The keys are derived from a seed and the dates are fixed,
//! so that the same call gives the same bytes; the keys are not secret.

use pgp::composed::{ArmorOptions, DetachedSignature, SignedKeyDetails, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::ed25519::{Mode, SecretKey as Ed25519};
use pgp::crypto::eddsa_legacy::SecretKey as Legacy;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{
    KeyFlags, PubKeyInner, PublicKey, PublicSubkey, SecretKey, SecretSubkey, Signature, SignatureConfig,
    SignatureType, Subpacket, SubpacketData, UserId,
};
use pgp::ser::Serialize;
use pgp::types::{
    Duration, EddsaLegacyPublicParams, KeyDetails, KeyVersion, PacketHeaderVersion, Password,
    PlainSecretParams, PublicParams, SecretParams, SigningKey, Tag, Timestamp,
};

use coreos_types::error::{Result, ResultExt};

/// The creation time of the keys of [`TestCertificate::throwaway`]: 2016-01-01 00:00 UTC.
pub const MADE_AT: u32 = 1_451_606_400;
/// The creation time of the signatures of [`TestCertificate::sign`]: 2016-04-30 00:00 UTC, after 991.0.0 and 1032.0.0.
pub const SIGNED_AT: u32 = 1_461_974_400;

/// A certificate with its secret keys.
#[derive(Debug)]
pub struct TestCertificate {
    primary: SecretKey,
    subkey: SecretSubkey,
    public: SignedPublicKey,
}

/// The dates of a certificate, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Dates {
    /// The creation time of both keys and of the binding.
    pub made_at: u32,
    /// The lifetime of the subkey in seconds; `None` for no expiration.
    pub subkey_valid_for: Option<u32>,
}

impl TestCertificate {
    /// A certificate made on [`MADE_AT`] that never expires. Each seed gives another vendor.
    ///
    /// # Errors
    /// The OpenPGP library refuses its own packets, which no seed causes.
    pub fn throwaway(seed: u8) -> Result<TestCertificate> {
        TestCertificate::with_dates(seed, Dates { made_at: MADE_AT, subkey_valid_for: None })
    }

    /// A certificate with these dates.
    ///
    /// # Errors
    /// As [`TestCertificate::throwaway`].
    pub fn with_dates(seed: u8, dates: Dates) -> Result<TestCertificate> {
        TestCertificate::build(seed, dates).with_context(|| "cannot make the throwaway certificate")
    }

    fn build(seed: u8, dates: Dates) -> pgp::errors::Result<TestCertificate> {
        let made_at = Timestamp::from_secs(dates.made_at);
        let (inner, secret) = key_material([seed; 32], made_at)?;
        let primary = SecretKey::new(PublicKey::from_inner(inner)?, secret)?;
        let (inner, secret) = key_material([seed ^ 0xff; 32], made_at)?;
        let subkey = SecretSubkey::new(PublicSubkey::from_inner(inner)?, secret)?;

        let mut certify = KeyFlags::default();
        certify.set_certify(true);
        let user = UserId::from_str(
            PacketHeaderVersion::New,
            format!("Throwaway Buildbot {seed} <bot@example.invalid>"),
        )?;
        let mut self_signature = signature_of(&primary, SignatureType::CertPositive, dates.made_at)?;
        self_signature.hashed_subpackets.push(Subpacket::regular(SubpacketData::KeyFlags(certify))?);
        let public_primary = primary.public_key().clone();
        let certified = self_signature.sign_certification(
            &primary,
            &public_primary,
            &Password::empty(),
            Tag::UserId,
            &user,
        )?;

        let binding = bind(&primary, &subkey, dates)?;
        let public = SignedPublicKey::new(
            public_primary,
            SignedKeyDetails::new(vec![], vec![], vec![user.into_signed(certified)], vec![]),
            vec![SignedPublicSubKey::new(subkey.public_key().clone(), vec![binding])],
        );
        Ok(TestCertificate { primary, subkey, public })
    }

    /// The certificate as an armored file.
    ///
    /// # Errors
    /// As [`TestCertificate::throwaway`].
    pub fn armored(&self) -> Result<String> {
        self.public.to_armored_string(ArmorOptions::default()).with_context(|| "cannot armor the certificate")
    }

    /// The certificate as a binary file.
    ///
    /// # Errors
    /// As [`TestCertificate::throwaway`].
    pub fn binary(&self) -> Result<Vec<u8>> {
        self.public.to_bytes().with_context(|| "cannot write the certificate")
    }

    /// A detached binary signature by the subkey, made on [`SIGNED_AT`].
    ///
    /// # Errors
    /// As [`TestCertificate::throwaway`].
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>> {
        self.sign_at(data, SIGNED_AT)
    }

    /// A detached binary signature by the subkey, made at this time in seconds since 1970.
    ///
    /// # Errors
    /// As [`TestCertificate::throwaway`].
    pub fn sign_at(&self, data: &[u8], seconds: u32) -> Result<Vec<u8>> {
        signature_of(&self.subkey, SignatureType::Binary, seconds)
            .and_then(|config| config.sign(&self.subkey, &Password::empty(), data))
            .and_then(|signature| DetachedSignature::new(signature).to_bytes())
            .with_context(|| "cannot sign")
    }

    /// The fingerprint of the primary key, upper-case hex.
    pub fn fingerprint(&self) -> String {
        format!("{:X}", self.primary.fingerprint())
    }

    /// The fingerprint of the subkey that signs, upper-case hex.
    pub fn subkey_fingerprint(&self) -> String {
        format!("{:X}", self.subkey.fingerprint())
    }
}

/// The public and the secret half of a version 4 key.
fn key_material(seed: [u8; 32], made_at: Timestamp) -> pgp::errors::Result<(PubKeyInner, SecretParams)> {
    let key = Ed25519::try_from_bytes(seed, Mode::EdDSALegacy)?;
    let public = PublicParams::EdDSALegacy(EddsaLegacyPublicParams::from(&key));
    let inner = PubKeyInner::new(KeyVersion::V4, PublicKeyAlgorithm::EdDSALegacy, made_at, None, public)?;
    Ok((inner, SecretParams::Plain(PlainSecretParams::EdDSALegacy(Legacy::Ed25519(key)))))
}

/// The configuration of a signature by a key, with the three subpackets that every signature has.
fn signature_of(
    key: &impl SigningKey,
    kind: SignatureType,
    seconds: u32,
) -> pgp::errors::Result<SignatureConfig> {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha256);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(seconds)))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?];
    Ok(config)
}

/// The subkey binding, with the primary key binding by the subkey embedded.
fn bind(primary: &SecretKey, subkey: &SecretSubkey, dates: Dates) -> pgp::errors::Result<Signature> {
    let (public_primary, public_subkey) = (primary.public_key(), subkey.public_key());
    let back = signature_of(subkey, SignatureType::KeyBinding, dates.made_at)?.sign_primary_key_binding(
        subkey,
        public_subkey,
        &Password::empty(),
        public_primary,
    )?;
    let mut flags = KeyFlags::default();
    flags.set_sign(true);
    let mut binding = signature_of(primary, SignatureType::SubkeyBinding, dates.made_at)?;
    binding.hashed_subpackets.push(Subpacket::regular(SubpacketData::KeyFlags(flags))?);
    binding.hashed_subpackets.push(Subpacket::regular(SubpacketData::EmbeddedSignature(Box::new(back)))?);
    if let Some(seconds) = dates.subkey_valid_for {
        let expiry = SubpacketData::KeyExpirationTime(Duration::from_secs(seconds));
        binding.hashed_subpackets.push(Subpacket::regular(expiry)?);
    }
    binding.sign_subkey_binding(primary, public_primary, &Password::empty(), public_subkey)
}
