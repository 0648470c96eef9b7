//! Whom TLS trusts: the bundle that `SSL_CERT_FILE` names, else the system's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use coreos_types::error::{Error, Result, ResultExt};

/// Where distributions keep their bundle: Debian, Fedora, openSUSE, Alpine and Arch, older Red Hat.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// TLS with `ring` and the certificates of `named` (the value of `SSL_CERT_FILE`), else of the system.
pub(super) fn tls(named: Option<OsString>) -> Result<TlsConfig> {
    let certificates = read(&bundle(named)?)?;
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::from(certificates))
        .build())
}

fn bundle(named: Option<OsString>) -> Result<PathBuf> {
    if let Some(path) = named.filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
        Error::failed(format!(
            "there are no certificates to check https with: none of {} is there",
            BUNDLES.join(", ")
        ))
        .with_hint("install the package ca-certificates, or set SSL_CERT_FILE to a PEM bundle")
    })
}

fn read(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let about = || format!("cannot read the certificates of {}", path.display());
    let hint = "set SSL_CERT_FILE to a PEM file of certificates";
    let pem = std::fs::read(path).with_context(about).map_err(|fault| fault.with_hint(hint))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Error::failed(about()).with_cause("it holds no certificate in PEM form").with_hint(hint));
    }
    Ok(certificates)
}
