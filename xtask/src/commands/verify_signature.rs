//! `verify-signature FILE`: verifies a detached signature under the pinned keys, like `gpg --verify` in the guide.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::json;

use crate::cache::{Cache, sig_file};
use crate::cli::VerifySignature;
use crate::config::Config;
use crate::http::ClientConfig;
use crate::keyring::{FetchFn, Keyring};
use crate::report::Report;
use crate::terminal::Term;
use crate::verbose_log::{log_keys, logging_http_client};
use coreos_types::{Error, Result, ResultExt};
use openpgp_policy::{DetachedSignatures, SignatureResult, Verification, VerificationResults};

/// Verifies a file's detached signature with the keys of the configuration and the cache.
///
/// # Errors
/// The configuration or a certificate in it is not valid.
pub(crate) fn verify_with_configured_keys(term: &Term, flags: &VerifySignature) -> Result<Report> {
    // Without HOME there is no cache, and fetched certificates are used only in this run.
    let directory = Cache::from_env(None).ok().and_then(|cache| cache.certificates_dir());
    let keyring = Config::read()?.keyring(None, flags.signing_key.as_deref(), directory)?;
    log_keys(term, &keyring);
    let config = ClientConfig { offline: flags.offline, ..ClientConfig::from_env() };
    let client = logging_http_client(term, config);
    let fetch = |url: &str| client.get_certificate(url);
    Ok(verify_signature(flags, &keyring, (!flags.offline).then_some(&fetch)))
}

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
