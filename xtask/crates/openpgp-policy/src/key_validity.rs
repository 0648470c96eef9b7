//! The validity of a certificate's key at a point in time: bound, allowed to sign, not expired, not revoked.

use super::certificate::{Certificate, KEY_REVOCATION, Subkey};
use super::hash;
use super::key::Key;
use super::self_signature_filter::kind;
use super::signature::SignaturePacket;
use super::trust_policy::{CLOCK_SKEW, Pin};
use coreos_types::calendar::date;

const FLAG_SIGN: u8 = 0x02;
/// The embedded signatures of a binding that are checked: a real binding has one, and a server can add any number to the
/// unhashed area.
const MAX_EMBEDDED: usize = 16;

/// A violated rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// The rule's name in reports.
    pub(super) rule: &'static str,
    /// The description of the violation, with the keys.
    pub(super) message: String,
}

impl Violation {
    pub(super) fn new(rule: &'static str, message: String) -> Violation {
        Violation { rule, message }
    }
}

/// The validity of a key that may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyValidity {
    /// The creation time of the key, Unix seconds.
    pub(super) created: u64,
    /// The expiration time of the key by its active self-signature, Unix seconds.
    pub(super) expires: Option<u64>,
    /// The time and reason of a soft revocation (superseded or retired) of the key or its primary key.
    pub(super) soft_revocation: Option<(u64, &'static str)>,
}

/// A certificate with its pin and the time of verification.
pub(super) struct PinnedCertificate<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) pin: &'a Pin,
    /// The time of verification, Unix seconds.
    pub(super) now: u64,
}

impl PinnedCertificate<'_> {
    /// Checks `key` as the signer of a file signature made at `at`. Returns the first violated rule; hard revocations come
    /// first, because they void everything else.
    pub(super) fn check_key(&self, key: &Key, at: u64) -> Result<KeyValidity, Violation> {
        let primary = &self.certificate.primary;
        // The revocations by a defective primary key cannot be verified either.
        check_defect("primary key", primary)?;
        check_defect("key", key)?;
        let soft_revocation = self.check_revocations(
            "primary-revoked",
            "primary key",
            primary,
            &self.primary_revocations(),
            at,
        )?;
        match self.certificate.subkeys.iter().find(|subkey| subkey.key.fingerprint == key.fingerprint) {
            None => self.check_primary(at, soft_revocation),
            Some(subkey) => self.check_subkey(subkey, at, soft_revocation),
        }
    }

    fn check_primary(&self, at: u64, soft_revocation: SoftRevocation) -> Result<KeyValidity, Violation> {
        let primary = &self.certificate.primary;
        let expires = self.check_primary_lifetime("signing-key-expired", at)?;
        let active = self.primary_self_signatures(at);
        let flags = active.iter().find_map(|signature| signature.key_flags());
        if flags.is_none_or(|flags| flags & FLAG_SIGN == 0) {
            let message = format!(
                "primary key {} may not sign files: its key flags do not allow it",
                primary.fingerprint
            );
            return Err(Violation::new("key-flags", message));
        }
        Ok(KeyValidity { created: primary.created, expires, soft_revocation })
    }

    fn check_subkey(
        &self,
        subkey: &Subkey,
        at: u64,
        soft_revocation: SoftRevocation,
    ) -> Result<KeyValidity, Violation> {
        let key = &subkey.key;
        let revocations = self.subkey_revocations(subkey);
        let own = self.check_revocations("subkey-revoked", "subkey", key, &revocations, at)?;
        self.check_primary_lifetime("primary-expired", at)?;
        let binding = self.binding(subkey, at)?;
        if binding.key_flags().is_none_or(|flags| flags & FLAG_SIGN == 0) {
            let message =
                format!("subkey {} may not sign files: its key flags do not allow it", key.fingerprint);
            return Err(Violation::new("key-flags", message));
        }
        self.check_primary_key_binding(subkey, binding)?;
        let expires = check_lifetime("signing-key-expired", "subkey", key, binding.key_lifetime(), at)?;
        Ok(KeyValidity { created: key.created, expires, soft_revocation: own.or(soft_revocation) })
    }

    /// Checks the lifetime of the primary key, from its active self-signatures at that time.
    fn check_primary_lifetime(&self, rule: &'static str, at: u64) -> Result<Option<u64>, Violation> {
        let lifetimes =
            self.primary_self_signatures(at).into_iter().filter_map(SignaturePacket::key_lifetime);
        check_lifetime(rule, "primary key", &self.certificate.primary, lifetimes.min(), at)
    }

    /// The active certification of a user ID, and the active direct-key signature.
    fn primary_self_signatures(&self, at: u64) -> Vec<&SignaturePacket> {
        let key = self.certificate.primary.hashed_form();
        let direct = self.certificate.direct.iter().filter(|signature| {
            signature.typ == kind::DIRECT && self.is_valid(&self.certificate.primary, signature, &[&key])
        });
        let over_ids = self.certificate.user_ids.iter().flat_map(|user_id| {
            let hashed = user_id.hashed_form();
            let key = key.clone();
            user_id.signatures.iter().filter(move |signature| {
                (0x10..=0x13).contains(&signature.typ)
                    && self.is_valid(&self.certificate.primary, signature, &[&key, &hashed])
            })
        });
        active_signature(over_ids.collect(), at)
            .into_iter()
            .chain(active_signature(direct.collect(), at))
            .collect()
    }

    /// The active binding signature of a subkey at that time.
    fn binding<'s>(&self, subkey: &'s Subkey, at: u64) -> Result<&'s SignaturePacket, Violation> {
        let primary = &self.certificate.primary;
        let parts = [&primary.hashed_form()[..], &subkey.key.hashed_form()];
        let bindings: Vec<_> =
            subkey.signatures.iter().filter(|one| one.typ == kind::SUBKEY_BINDING).collect();
        let valid =
            bindings.iter().copied().filter(|binding| self.is_valid(primary, binding, &parts)).collect();
        active_signature(valid, at).ok_or_else(|| {
            let why = match bindings.iter().find(|binding| !self.allows_hash(binding)) {
                Some(weak) => {
                    format!(
                        "its binding is made with {}, which is not accepted",
                        hash::display_name(weak.hash_number)
                    )
                }
                None if bindings.is_empty() => "it has no binding signature".to_owned(),
                None => "none of its binding signatures is valid".to_owned(),
            };
            let message = format!(
                "subkey {} is not bound to primary key {}: {why}",
                subkey.key.fingerprint, primary.fingerprint
            );
            Violation::new("binding", message)
        })
    }

    /// Checks the subkey's primary key binding (RFC 9580, 5.2.1.9): without it anyone could claim another's signing key as
    /// a subkey.
    fn check_primary_key_binding(&self, subkey: &Subkey, binding: &SignaturePacket) -> Result<(), Violation> {
        let parts = [&self.certificate.primary.hashed_form()[..], &subkey.key.hashed_form()];
        let holds = binding.embedded().take(MAX_EMBEDDED).flatten().any(|embedded| {
            embedded.typ == kind::PRIMARY_BINDING && self.is_valid(&subkey.key, &embedded, &parts)
        });
        if holds {
            return Ok(());
        }
        let found = if binding.embedded().next().is_some() { "is not valid" } else { "is missing" };
        let message = format!(
            "subkey {} is not cross-certified for primary key {}: its back-signature {found}",
            subkey.key.fingerprint, self.certificate.primary.fingerprint
        );
        Err(Violation::new("back-signature", message))
    }

    /// Whether a self-signature, binding or back-signature is accepted: date, hash, critical subpackets and cryptographic
    /// check.
    fn is_valid(&self, signer: &Key, signature: &SignaturePacket, parts: &[&[u8]]) -> bool {
        signature.created().is_some_and(|created| created <= self.now.saturating_add(CLOCK_SKEW))
            && self.allows_hash(signature)
            && signature.unknown_critical().is_none()
            && is_verified(signer, signature, parts)
    }

    fn allows_hash(&self, signature: &SignaturePacket) -> bool {
        signature.hash().is_some_and(|hash| hash != hash::Hash::Sha1 || self.pin.sha1_until.is_some())
    }

    /// The verified revocations of the primary key, with any hash: ignoring one would be the greater risk.
    fn primary_revocations(&self) -> Vec<Revocation> {
        let primary = &self.certificate.primary;
        let direct = self.certificate.direct.iter().filter(|one| one.typ == KEY_REVOCATION);
        let valid = direct.filter(|one| is_verified(primary, one, &[&primary.hashed_form()]));
        valid.map(Revocation::new).collect()
    }

    fn subkey_revocations(&self, subkey: &Subkey) -> Vec<Revocation> {
        let primary = &self.certificate.primary;
        let parts = [&primary.hashed_form()[..], &subkey.key.hashed_form()];
        let all = subkey.signatures.iter().filter(|one| one.typ == kind::SUBKEY_REVOCATION);
        all.filter(|one| is_verified(primary, one, &parts)).map(Revocation::new).collect()
    }

    fn check_revocations(
        &self,
        rule: &'static str,
        what: &str,
        key: &Key,
        revocations: &[Revocation],
        at: u64,
    ) -> Result<SoftRevocation, Violation> {
        let known = DENYLIST.iter().find(|known| known.key == key.fingerprint.as_str());
        if let Some(known) = known {
            return Err(Violation::new(rule, known.message.to_owned()));
        }
        if let Some(hard) = revocations.iter().find(|revocation| revocation.is_hard) {
            let message = format!(
                "{what} {} was revoked on {} ({}), which invalidates all of its signatures",
                key.fingerprint,
                date(hard.at),
                hard.reason
            );
            return Err(Violation::new(rule, message));
        }
        let Some(first) = revocations.iter().min_by_key(|revocation| revocation.at) else { return Ok(None) };
        if first.at <= at {
            let message = format!(
                "{what} {} was {} on {}, before this signature of {}",
                key.fingerprint,
                first.reason,
                date(first.at),
                date(at)
            );
            return Err(Violation::new(rule, message));
        }
        Ok(Some((first.at, first.reason)))
    }
}

/// Whether a key made a signature; the outcome is cached in the packet.
fn is_verified(signer: &Key, signature: &SignaturePacket, parts: &[&[u8]]) -> bool {
    signature.is_verified.get_or_init(|| signer.verify_parts(signature, parts))
}

type SoftRevocation = Option<(u64, &'static str)>;

/// A revocation by the primary key.
struct Revocation {
    at: u64,
    is_hard: bool,
    reason: &'static str,
}

impl Revocation {
    /// Reads the reason of a revocation. Only "superseded" and "retired" leave older signatures valid; any other reason,
    /// and none, can mean that the key is compromised (RFC 9580, 5.2.3.31).
    fn new(signature: &SignaturePacket) -> Revocation {
        let (is_hard, reason) = match signature.revocation_reason() {
            Some((1, _)) => (false, "superseded"),
            Some((3, _)) => (false, "retired"),
            Some((2, _)) => (true, "reason: the key was compromised"),
            Some((0, _)) | None => (true, "no reason given"),
            Some(_) => (true, "for an unknown reason"),
        };
        Revocation { at: signature.created().unwrap_or(0), is_hard, reason }
    }
}

/// The active self-signature at a point in time: the newest that was valid then. If all were made later, the oldest: gpg
/// removes the old binding when a key's lifetime is extended.
fn active_signature(mut signatures: Vec<&SignaturePacket>, at: u64) -> Option<&SignaturePacket> {
    signatures.sort_by_key(|signature| signature.created());
    let in_force = |signature: &&&SignaturePacket| signature.expires().is_none_or(|end| at < end);
    let (until_then, later): (Vec<_>, Vec<_>) =
        signatures.iter().partition(|signature| signature.created().is_some_and(|created| created <= at));
    match until_then.is_empty() {
        true => later.first().copied(),
        false => until_then.iter().rev().copied().find(|signature| in_force(&signature)),
    }
}

/// Refuses keys that are too weak or not supported.
fn check_defect(what: &str, key: &Key) -> Result<(), Violation> {
    match key.defect() {
        None => Ok(()),
        Some(defect) => {
            Err(Violation::new(defect.rule, format!("{what} {} is {}", key.fingerprint, defect.description)))
        }
    }
}

/// Checks that a key was valid at `at`, and returns its expiration time.
fn check_lifetime(
    rule: &'static str,
    what: &str,
    key: &Key,
    lifetime: Option<u64>,
    at: u64,
) -> Result<Option<u64>, Violation> {
    if at < key.created {
        let message = format!(
            "it was made on {}, before {what} {} was created on {}",
            date(at),
            key.fingerprint,
            date(key.created)
        );
        return Err(Violation::new("before-key", message));
    }
    let until = lifetime.map(|lifetime| key.created + lifetime);
    match until {
        Some(until) if until <= at => {
            let message = format!(
                "{what} {} had expired on {}, before this signature of {}",
                key.fingerprint,
                date(until),
                date(at)
            );
            Err(Violation::new(rule, message))
        }
        _ => Ok(until),
    }
}

/// A vendor's subkey that is known to be revoked, also by a copy of the certificate without the revocation.
struct DeniedKey {
    key: &'static str,
    message: &'static str,
}

const DENYLIST: [DeniedKey; 3] = [
    // coreos/init#202: "used to sign releases 1045 and 1047 but nothing else".
    DeniedKey {
        key: "A5FA42549745ABBC7B827E368633FB13B58844F1",
        message: "subkey A5FA42549745ABBC7B827E368633FB13B58844F1 signed the CoreOS releases 1045 and 1047 alone, and \
                  was revoked on 2016-05-16 to void them: those two releases are withdrawn",
    },
    DeniedKey {
        key: "1E100DD7A677A6F9A532C9F9B51DE377064D542D",
        message: "subkey 1E100DD7A677A6F9A532C9F9B51DE377064D542D, which signed Flatcar's first releases, was revoked \
                  as compromised on 2018-03-14, when the next key replaced it: its signatures are no longer accepted",
    },
    DeniedKey {
        key: "A621F1DA96C93C639506832D603443A1D0FC498C",
        message: "subkey A621F1DA96C93C639506832D603443A1D0FC498C, which signed Flatcar's releases of March to September \
                  2018, was revoked as compromised on 2018-09-26, when the next key replaced it: its signatures are no \
                  longer accepted",
    },
];
