//! The validity of a certificate's key at a point in time: bound, allowed to sign, not expired, not revoked.

use super::certificate::{Certificate, Component};
use super::hash::{self, Hash};
use super::key::Key;
use super::signature::SignaturePacket;
use super::trust_policy::{CLOCK_SKEW, Pin};
use super::violation::Violation;
use coreos_types::calendar::date;
use pgp::packet::SignatureType;

const FLAG_SIGN: u8 = 0x02;
/// The embedded signatures of a binding that are checked: a real binding has one, and a server can add any number to
/// the unhashed area.
const MAX_EMBEDDED: usize = 16;

/// The validity of a key that may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyValidity {
    /// The expiration time of the key by its active self-signature, Unix seconds.
    pub(super) expires: Option<u64>,
    /// A soft revocation (superseded or retired) of the key or its primary key.
    pub(super) soft_revocation: Option<Revocation>,
}

/// A certificate with its pin and the time of verification, for a signature made at some time.
pub(super) struct PinnedCertificate<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) pin: &'a Pin,
    /// The time of verification, Unix seconds.
    pub(super) now: u64,
    /// The creation time of the file signature, Unix seconds.
    pub(super) signed_at: u64,
}

impl PinnedCertificate<'_> {
    /// Checks `key` as the signer of the file. Returns the first violated rule; hard revocations come first, because they
    /// void everything else.
    pub(super) fn check_key(&self, key: &Key) -> Result<KeyValidity, Violation> {
        let Certificate { primary, direct, subkeys, .. } = self.certificate;
        // The revocations by a defective primary key cannot be verified either.
        primary.check_usable("primary key")?;
        key.check_usable("key")?;
        let soft_revocation = self.check_not_revoked(primary, direct)?;
        match subkeys.iter().find(|subkey| subkey.content == *key) {
            None => self.check_primary(soft_revocation),
            Some(subkey) => self.check_subkey(subkey, soft_revocation),
        }
    }

    fn check_primary(&self, soft_revocation: Option<Revocation>) -> Result<KeyValidity, Violation> {
        let expires = self.check_primary_lifetime("signing-key-expired")?;
        let active = self.primary_self_signatures();
        self.check_key_flags(&self.certificate.primary, active.iter().find_map(|one| one.key_flags()))?;
        Ok(KeyValidity { expires, soft_revocation })
    }

    fn check_subkey(
        &self,
        Component { content: key, signatures }: &Component<Key>,
        soft_revocation: Option<Revocation>,
    ) -> Result<KeyValidity, Violation> {
        let own = self.check_not_revoked(key, signatures)?;
        self.check_primary_lifetime("primary-expired")?;
        let binding = self.active_binding(key, signatures)?;
        self.check_key_flags(key, binding.key_flags())?;
        self.check_primary_key_binding(key, binding)?;
        let expires = self.check_lifetime("signing-key-expired", key, binding.key_lifetime())?;
        Ok(KeyValidity { expires, soft_revocation: own.or(soft_revocation) })
    }

    fn is_primary(&self, key: &Key) -> bool {
        *key == self.certificate.primary
    }

    /// A key as messages name it.
    fn describe(&self, key: &Key) -> String {
        format!("{} {}", if self.is_primary(key) { "primary key" } else { "subkey" }, key.fingerprint)
    }

    /// The octets that a binding or revocation of a subkey signs.
    fn subkey_parts<'k>(&'k self, key: &'k Key) -> [&'k [u8]; 2] {
        [&self.certificate.primary.hashed_form, &key.hashed_form]
    }

    fn check_key_flags(&self, key: &Key, flags: Option<u8>) -> Result<(), Violation> {
        match flags {
            Some(flags) if flags & FLAG_SIGN != 0 => Ok(()),
            _ => {
                let key = self.describe(key);
                let message = format!("{key} may not sign files: its key flags do not allow it");
                Err(Violation::new("key-flags", message))
            }
        }
    }

    /// Checks the lifetime of the primary key, from its active self-signatures.
    fn check_primary_lifetime(&self, rule: &'static str) -> Result<Option<u64>, Violation> {
        let lifetimes = self.primary_self_signatures().into_iter().filter_map(SignaturePacket::key_lifetime);
        self.check_lifetime(rule, &self.certificate.primary, lifetimes.min())
    }

    /// The active certification of a user ID, and the active direct-key signature.
    fn primary_self_signatures(&self) -> Vec<&SignaturePacket> {
        let Certificate { primary, direct, user_ids, .. } = self.certificate;
        let key = &primary.hashed_form[..];
        let direct = direct
            .iter()
            .filter(|one| one.typ == SignatureType::Key && self.accepts_self_signature(primary, one, &[key]));
        let certifications = user_ids.iter().flat_map(|Component { content: user_id, signatures }| {
            signatures.iter().filter(move |one| {
                one.is_certification()
                    && self.accepts_self_signature(primary, one, &[key, &user_id.hashed_form])
            })
        });
        let active = [
            active_or_oldest_signature(certifications.collect(), self.signed_at),
            active_or_oldest_signature(direct.collect(), self.signed_at),
        ];
        active.into_iter().flatten().collect()
    }

    /// The active binding signature of a subkey.
    fn active_binding<'s>(
        &self,
        key: &Key,
        signatures: &'s [SignaturePacket],
    ) -> Result<&'s SignaturePacket, Violation> {
        let primary = &self.certificate.primary;
        let bindings: Vec<_> =
            signatures.iter().filter(|one| one.typ == SignatureType::SubkeyBinding).collect();
        let is_valid =
            |one: &&SignaturePacket| self.accepts_self_signature(primary, one, &self.subkey_parts(key));
        let valid = bindings.iter().copied().filter(is_valid).collect();
        active_or_oldest_signature(valid, self.signed_at).ok_or_else(|| {
            let why = match bindings.iter().find(|binding| !self.allows_self_signature_hash(binding)) {
                Some(weak) => {
                    let hash = hash::display_name(weak.hash_number);
                    format!("its binding is made with {hash}, which is not accepted")
                }
                None if bindings.is_empty() => "it has no binding signature".to_owned(),
                None => "none of its binding signatures is valid".to_owned(),
            };
            let (key, primary) = (self.describe(key), self.describe(primary));
            Violation::new("binding", format!("{key} is not bound to {primary}: {why}"))
        })
    }

    /// Checks the subkey's primary key binding (RFC 9580, 5.2.1.9): without it anyone could claim another's signing key
    /// as a subkey.
    fn check_primary_key_binding(&self, key: &Key, binding: &SignaturePacket) -> Result<(), Violation> {
        let embedded: Vec<_> = binding.parse_embedded_signatures().take(MAX_EMBEDDED).collect();
        let is_valid = |one: &SignaturePacket| {
            one.typ == SignatureType::KeyBinding
                && self.accepts_self_signature(key, one, &self.subkey_parts(key))
        };
        if embedded.iter().flatten().any(is_valid) {
            return Ok(());
        }
        let found = if embedded.is_empty() { "is missing" } else { "is not valid" };
        let (key, primary) = (self.describe(key), self.describe(&self.certificate.primary));
        let message = format!("{key} is not cross-certified for {primary}: its back-signature {found}");
        Err(Violation::new("back-signature", message))
    }

    /// Whether a self-signature, binding or back-signature is accepted: date, hash, critical subpackets and
    /// cryptographic check.
    fn accepts_self_signature(&self, signer: &Key, signature: &SignaturePacket, parts: &[&[u8]]) -> bool {
        signature.created().is_some_and(|created| created <= self.now.saturating_add(CLOCK_SKEW))
            && self.allows_self_signature_hash(signature)
            && signature.unknown_critical().is_none()
            && signer.verify_with_any_hash(signature, parts)
    }

    fn allows_self_signature_hash(&self, signature: &SignaturePacket) -> bool {
        signature.acceptable_hash().is_some_and(|hash| hash != Hash::Sha1 || self.pin.sha1_until.is_some())
    }

    /// Checks the list of revoked subkeys and the verified revocations among a key's signatures, with any hash: ignoring
    /// one would be the greater risk. Returns the first soft revocation, made later than the file signature.
    fn check_not_revoked(
        &self,
        key: &Key,
        signatures: &[SignaturePacket],
    ) -> Result<Option<Revocation>, Violation> {
        let parts = self.subkey_parts(key);
        let (rule, typ, parts) = match self.is_primary(key) {
            true => ("primary-revoked", SignatureType::KeyRevocation, &parts[..1]),
            false => ("subkey-revoked", SignatureType::SubkeyRevocation, &parts[..]),
        };
        if let Some((known, why)) =
            REVOKED_SUBKEYS.iter().find(|(known, _)| *known == key.fingerprint.as_str())
        {
            return Err(Violation::new(rule, format!("subkey {known}{why}")));
        }
        let primary = &self.certificate.primary;
        let verified =
            signatures.iter().filter(|one| one.typ == typ && primary.verify_with_any_hash(one, parts));
        let revocations: Vec<_> = verified.map(Revocation::new).collect();
        let key = self.describe(key);
        if let Some(Revocation { at, reason, .. }) = revocations.iter().find(|revocation| revocation.is_hard)
        {
            let message = format!(
                "{key} was revoked on {} ({reason}), which invalidates all of its signatures",
                date(*at)
            );
            return Err(Violation::new(rule, message));
        }
        match revocations.iter().min_by_key(|revocation| revocation.at) {
            Some(first) if first.at <= self.signed_at => {
                let (revoked, signed) = (date(first.at), date(self.signed_at));
                let message =
                    format!("{key} was {} on {revoked}, before this signature of {signed}", first.reason);
                Err(Violation::new(rule, message))
            }
            first => Ok(first.copied()),
        }
    }

    /// Checks that a key was valid when it signed the file, and returns its expiration time.
    fn check_lifetime(
        &self,
        rule: &'static str,
        key: &Key,
        lifetime: Option<u64>,
    ) -> Result<Option<u64>, Violation> {
        let (name, signed) = (self.describe(key), date(self.signed_at));
        if self.signed_at < key.created {
            let created = date(key.created);
            let message = format!("it was made on {signed}, before {name} was created on {created}");
            return Err(Violation::new("before-key", message));
        }
        match lifetime.map(|lifetime| key.created + lifetime) {
            Some(until) if until <= self.signed_at => {
                let message =
                    format!("{name} had expired on {}, before this signature of {signed}", date(until));
                Err(Violation::new(rule, message))
            }
            until => Ok(until),
        }
    }
}

/// A revocation by the primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revocation {
    /// Unix seconds.
    pub(super) at: u64,
    /// Whether older signatures are invalid too.
    is_hard: bool,
    pub(super) reason: &'static str,
}

impl Revocation {
    /// Reads the reason of a revocation. Only "superseded" and "retired" leave older signatures valid; any other
    /// reason, and none, can mean that the key is compromised (RFC 9580, 5.2.3.31).
    fn new(signature: &SignaturePacket) -> Revocation {
        let (is_hard, reason) = match signature.revocation_reason() {
            Some(1) => (false, "superseded"),
            Some(3) => (false, "retired"),
            Some(2) => (true, "reason: the key was compromised"),
            Some(0) | None => (true, "no reason given"),
            Some(_) => (true, "for an unknown reason"),
        };
        Revocation { at: signature.created().unwrap_or(0), is_hard, reason }
    }
}

/// The active self-signature at a point in time: the newest that was valid then. If all were made later, the oldest:
/// gpg removes the old binding when a key's lifetime is extended.
fn active_or_oldest_signature(mut signatures: Vec<&SignaturePacket>, at: u64) -> Option<&SignaturePacket> {
    signatures.sort_by_key(|signature| signature.created());
    let in_force = |signature: &&&SignaturePacket| signature.expires().is_none_or(|end| at < end);
    let (until_then, later): (Vec<_>, Vec<_>) =
        signatures.iter().partition(|signature| signature.created().is_some_and(|created| created <= at));
    match until_then.is_empty() {
        true => later.first().copied(),
        false => until_then.iter().rev().copied().find(|signature| in_force(&signature)),
    }
}

/// Vendors' subkeys that are known to be revoked, also by a copy of the certificate without the revocation; each with the
/// message after its name.
const REVOKED_SUBKEYS: [(&str, &str); 3] = [
    // coreos/init#202: "used to sign releases 1045 and 1047 but nothing else".
    (
        "A5FA42549745ABBC7B827E368633FB13B58844F1",
        " signed the CoreOS releases 1045 and 1047 alone, and was revoked on 2016-05-16 to void them: those two releases \
         are withdrawn",
    ),
    (
        "1E100DD7A677A6F9A532C9F9B51DE377064D542D",
        ", which signed Flatcar's first releases, was revoked as compromised on 2018-03-14, when the next key replaced it: \
         its signatures are no longer accepted",
    ),
    (
        "A621F1DA96C93C639506832D603443A1D0FC498C",
        ", which signed Flatcar's releases of March to September 2018, was revoked as compromised on 2018-09-26, when the \
         next key replaced it: its signatures are no longer accepted",
    ),
];
