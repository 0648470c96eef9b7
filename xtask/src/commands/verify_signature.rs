//! `verify-signature FILE`: verifies a detached signature under the pinned keys, like `gpg --verify` in the guide.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::json;

use crate::cache::sig_file;
use openpgp_policy::{DetachedSignatures, SignatureResult, Verification, VerificationResults};

use crate::cli::VerifySignature;
use crate::keyring::{FetchFn, Keyring};
use crate::report::Report;
use coreos_types::{Error, Result, ResultExt};

/// Verifies a file's detached signature. `keyring` has the vendors' keys, or those of `--signing-key`; `fetch`
/// downloads newer certificates, and is `None` under `--offline`.
pub fn verify_signature(flags: &VerifySignature, keyring: &Keyring, fetch: Option<FetchFn<'_>>) -> Report {
    let mut report = Report { command: "verify-signature".into(), ..Report::default() };
    report.extra.insert("signatures", json!([]));
    match verify(flags, keyring, fetch) {
        Ok(results) => {
            report.extra.insert("signatures", results.signatures.iter().map(to_json).collect());
            report.output = results.signatures.iter().map(|result| summary(&flags.file, result)).collect();
            report.error = results.into_signer().err();
        }
        Err(error) => report.error = Some(error),
    }
    report
}

fn verify(
    flags: &VerifySignature,
    keyring: &Keyring,
    fetch: Option<FetchFn<'_>>,
) -> Result<VerificationResults> {
    let path = flags.file.display();
    let hint = "pass the path of a downloaded file: cargo xtask verify-signature FILE";
    // The file first: a mistyped name is an error, not a rejected signature.
    let file = File::open(&flags.file).with_context(|| format!("cannot open {path}"));
    let mut file = file.map_err(|error: Error| error.with_hint(hint))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Error::failed(format!("{path} is a directory: expected a signed file"))
            .with_hint("cargo xtask verify-signature FILE"));
    }
    let signature = read_signature(flags)?;
    let mut verification = keyring.begin_verification(&signature, fetch)?;
    if verification.needs_data() {
        hash_file(&mut verification, &mut file).with_context(|| format!("cannot read {path}"))?;
    }
    Ok(verification.finish())
}

fn read_signature(flags: &VerifySignature) -> Result<DetachedSignatures> {
    let path = flags.signature.clone().unwrap_or_else(|| sig_file::sig_path(&flags.file));
    let bytes = sig_file::read(&path)?.ok_or_else(|| {
        sig_file::missing_signature_error(path.display())
            .with_hint("download FILE.sig next to the file, or pass it: --signature FILE")
    })?;
    DetachedSignatures::parse(&bytes, &path.display().to_string())
}

fn hash_file(verification: &mut Verification, file: &mut File) -> std::io::Result<()> {
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => verification.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn to_json(result: &SignatureResult) -> serde_json::Value {
    json!({
        "verdict": result.status.id(),
        "rule": result.rule,
        "signed_by": result.primary_key,
        "signing_subkey": result.signing_key,
        "signed_at": result.signed_at,
        "message": result.message,
    })
}

fn summary(file: &Path, result: &SignatureResult) -> String {
    format!("{}: {} signature ({}): {}", file.display(), result.status.id(), result.rule, result.message)
}
