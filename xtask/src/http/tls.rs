//! Trusted TLS certificates: those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, else the system's bundle.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use coreos_types::{Error, Result, ResultExt};

/// Bundles of distributions: Debian, Fedora, openSUSE, Alpine and Arch, older Red Hat.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// Sources of certificates; without either, the system's bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaBundle {
    /// The value of `SSL_CERT_FILE`.
    pub file: Option<OsString>,
    /// The value of `SSL_CERT_DIR`: directories of PEM files, separated by colons.
    pub dir: Option<OsString>,
}

impl CaBundle {
    /// Reads the environment; an empty variable is not set.
    pub fn from_env() -> CaBundle {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        CaBundle { file: set("SSL_CERT_FILE"), dir: set("SSL_CERT_DIR") }
    }

    fn read(&self) -> Result<Vec<Certificate<'static>>> {
        let mut certificates = match &self.file {
            Some(file) => read_file(Path::new(file))?,
            None if self.dir.is_none() => read_file(&find_system_bundle()?)?,
            None => Vec::new(),
        };
        if let Some(dirs) = &self.dir {
            certificates.extend(env::split_paths(dirs).flat_map(|dir| read_dir(&dir)));
            if certificates.is_empty() {
                let dirs = Path::new(dirs).display();
                return Err(Error::failed(format!("no certificate in PEM form in SSL_CERT_DIR={dirs}"))
                    .with_hint("set SSL_CERT_DIR to a directory of PEM files, or unset it"));
            }
        }
        Ok(certificates)
    }
}

/// Creates a TLS configuration with `ring` and these certificates.
pub(super) fn config(bundle: &CaBundle) -> Result<TlsConfig> {
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::from(bundle.read()?))
        .build())
}

fn find_system_bundle() -> Result<PathBuf> {
    BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
        Error::failed(format!("no certificates to check https with: none of {} exists", BUNDLES.join(", ")))
            .with_hint("install the package ca-certificates, or set SSL_CERT_FILE to a PEM bundle")
    })
}

fn read_file(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let about = || format!("cannot read the certificates of {}", path.display());
    let hint = "set SSL_CERT_FILE to a PEM file of certificates";
    let pem = fs::read(path).with_context(about).map_err(|error| error.with_hint(hint))?;
    let certificates = parse_certificates(&pem);
    if certificates.is_empty() {
        return Err(Error::failed(about()).with_cause("it has no certificate in PEM form").with_hint(hint));
    }
    Ok(certificates)
}

/// Reads the certificates of a directory. Other files in it (revocation lists, a README) are ignored.
fn read_dir(dir: &Path) -> Vec<Certificate<'static>> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    files.filter_map(|path| fs::read(path).ok()).flat_map(|pem| parse_certificates(&pem)).collect()
}

fn parse_certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let items = parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    items.collect()
}
