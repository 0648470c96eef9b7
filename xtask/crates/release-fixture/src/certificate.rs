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
    EddsaLegacyPublicParams, KeyDetails, KeyVersion, PacketHeaderVersion, Password, PlainSecretParams,
    PublicParams, SecretParams, SigningKey, Tag, Timestamp,
};

use coreos_types::{Result, ResultExt};

/// The creation time of the keys and of their bindings: 2016-01-01 00:00 UTC.
const KEYS_CREATED_AT: u32 = 1_451_606_400;
/// The creation time of the signatures of [`TestCertificate::sign`]: 2016-04-30 00:00 UTC, after 991.0.0 and 1032.0.0.
const SIGNED_AT: u32 = 1_461_974_400;

/// A certificate with its secret keys.
#[derive(Debug)]
pub struct TestCertificate {
    primary: SecretKey,
    subkey: SecretSubkey,
    public: SignedPublicKey,
}

impl TestCertificate {
    /// A certificate that never expires. Each seed gives another vendor.
    pub fn throwaway(seed: u8) -> Result<TestCertificate> {
        TestCertificate::build(seed).with_context(|| "cannot make the throwaway certificate")
    }

    fn build(seed: u8) -> pgp::errors::Result<TestCertificate> {
        let (inner, secret) = key_material([seed; 32])?;
        let primary = SecretKey::new(PublicKey::from_inner(inner)?, secret)?;
        let (inner, secret) = key_material([seed ^ 0xff; 32])?;
        let subkey = SecretSubkey::new(PublicSubkey::from_inner(inner)?, secret)?;

        let mut certify = KeyFlags::default();
        certify.set_certify(true);
        let user = UserId::from_str(
            PacketHeaderVersion::New,
            format!("Throwaway Buildbot {seed} <bot@example.invalid>"),
        )?;
        let mut self_signature = signature_config(&primary, SignatureType::CertPositive, KEYS_CREATED_AT)?;
        self_signature.hashed_subpackets.push(Subpacket::regular(SubpacketData::KeyFlags(certify))?);
        let public_primary = primary.public_key().clone();
        let certified = self_signature.sign_certification(
            &primary,
            &public_primary,
            &Password::empty(),
            Tag::UserId,
            &user,
        )?;

        let binding = sign_subkey_binding(&primary, &subkey)?;
        let public = SignedPublicKey::new(
            public_primary,
            SignedKeyDetails::new(vec![], vec![], vec![user.into_signed(certified)], vec![]),
            vec![SignedPublicSubKey::new(subkey.public_key().clone(), vec![binding])],
        );
        Ok(TestCertificate { primary, subkey, public })
    }

    /// The certificate as an armored file.
    pub fn armored(&self) -> Result<String> {
        self.public.to_armored_string(ArmorOptions::default()).with_context(|| "cannot armor the certificate")
    }

    /// The certificate as a binary file.
    pub fn binary(&self) -> Result<Vec<u8>> {
        self.public.to_bytes().with_context(|| "cannot write the certificate")
    }

    /// A detached binary signature by the subkey, made on 2016-04-30.
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>> {
        signature_config(&self.subkey, SignatureType::Binary, SIGNED_AT)
            .and_then(|config| config.sign(&self.subkey, &Password::empty(), data))
            .and_then(|signature| DetachedSignature::new(signature).to_bytes())
            .with_context(|| "cannot sign")
    }

    /// The fingerprint of the primary key, upper-case hex.
    pub fn fingerprint(&self) -> String {
        format!("{:X}", self.primary.fingerprint())
    }
}

/// The public and the secret half of a version 4 key.
fn key_material(seed: [u8; 32]) -> pgp::errors::Result<(PubKeyInner, SecretParams)> {
    let key = Ed25519::try_from_bytes(seed, Mode::EdDSALegacy)?;
    let public = PublicParams::EdDSALegacy(EddsaLegacyPublicParams::from(&key));
    let inner = PubKeyInner::new(
        KeyVersion::V4,
        PublicKeyAlgorithm::EdDSALegacy,
        Timestamp::from_secs(KEYS_CREATED_AT),
        None,
        public,
    )?;
    Ok((inner, SecretParams::Plain(PlainSecretParams::EdDSALegacy(Legacy::Ed25519(key)))))
}

/// The configuration of a signature by a key, with the three subpackets that every signature has.
fn signature_config(
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

fn sign_subkey_binding(primary: &SecretKey, subkey: &SecretSubkey) -> pgp::errors::Result<Signature> {
    let (public_primary, public_subkey) = (primary.public_key(), subkey.public_key());
    let back = signature_config(subkey, SignatureType::KeyBinding, KEYS_CREATED_AT)?
        .sign_primary_key_binding(subkey, public_subkey, &Password::empty(), public_primary)?;
    let mut flags = KeyFlags::default();
    flags.set_sign(true);
    let mut binding = signature_config(primary, SignatureType::SubkeyBinding, KEYS_CREATED_AT)?;
    binding.hashed_subpackets.push(Subpacket::regular(SubpacketData::KeyFlags(flags))?);
    binding.hashed_subpackets.push(Subpacket::regular(SubpacketData::EmbeddedSignature(Box::new(back)))?);
    binding.sign_subkey_binding(primary, public_primary, &Password::empty(), public_subkey)
}
