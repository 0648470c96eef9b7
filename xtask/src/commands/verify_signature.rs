//! `verify-signature FILE`: what `gpg --verify` did in the guide, under the pinned keys.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::json;

use crate::cache::sig_file;
use openpgp_policy::{DetachedSignature, SignatureResult, Verification, VerificationResults};

use crate::cli::VerifySignature;
use crate::keyring::{FetchFn, Keyring};
use crate::report::Report;
use coreos_types::error::{Error, Result, ResultExt};

/// Verifies a file's detached signature. `keyring` is the vendors', or `--signing-key`'s; `fetch` gets newer
/// certificates, `None` under `--offline`.
pub fn run(flags: &VerifySignature, keyring: &Keyring, fetch: Option<FetchFn<'_>>) -> Report {
    let mut report = Report { command: "verify-signature".into(), ..Report::default() };
    report.extra.insert("signatures", json!([]));
    match verdicts(flags, keyring, fetch) {
        Ok(verdicts) => fill_report(&mut report, &flags.file, verdicts),
        Err(error) => report.error = Some(error),
    }
    report
}

fn verdicts(
    flags: &VerifySignature,
    keyring: &Keyring,
    fetch: Option<FetchFn<'_>>,
) -> Result<VerificationResults> {
    // The file first: a mistyped name is an error, not a rejected signature.
    let mut file =
        File::open(&flags.file).with_context(|| format!("cannot open {}", flags.file.display()))?;
    if file.metadata().is_ok_and(|what| what.is_dir()) {
        return Err(Error::failed(format!(
            "{} is a directory: expected a signed file",
            flags.file.display()
        ))
        .with_hint("cargo xtask verify-signature FILE"));
    }
    let signature = read_signature(flags)?;
    let mut verification = keyring.begin_verification(&signature, fetch)?;
    if verification.needs_data() {
        feed(&mut verification, &mut file)
            .with_context(|| format!("cannot read {}", flags.file.display()))?;
    }
    Ok(verification.finish())
}

fn read_signature(flags: &VerifySignature) -> Result<DetachedSignature> {
    let path = flags.signature.clone().unwrap_or_else(|| sig_file::sig_path(&flags.file));
    let bytes = sig_file::read(&path)?.ok_or_else(|| {
        sig_file::missing_signature(path.display())
            .with_hint("download FILE.sig next to the file, or pass it: --signature FILE")
    })?;
    DetachedSignature::parse(&bytes, &path.display().to_string())
}

fn feed(verification: &mut Verification, file: &mut File) -> std::io::Result<()> {
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

fn fill_report(report: &mut Report, file: &Path, verdicts: VerificationResults) {
    report.extra.insert("signatures", verdicts.signatures.iter().map(row).collect());
    report.output = verdicts.signatures.iter().map(|one| sentence(file, one)).collect();
    report.error = verdicts.into_signer().err();
}

fn row(one: &SignatureResult) -> serde_json::Value {
    json!({
        "verdict": one.verdict.id(),
        "rule": one.rule,
        "signed_by": one.signed_by,
        "signing_subkey": one.signing_subkey,
        "signed_at": one.signed_at,
        "message": one.message,
    })
}

fn sentence(file: &Path, one: &SignatureResult) -> String {
    format!("{}: {} signature ({}): {}", file.display(), one.verdict.id(), one.rule, one.message)
}
