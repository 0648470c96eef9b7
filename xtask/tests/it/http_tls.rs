//! TLS servers with certificates of each kind, and the hints about the invalid ones (fixtures/tls).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use coreos_types::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use xtask::http::{CaBundle, Client, ClientConfig, DownloadLimits};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// Starts a server that answers one request; `None` is a server without TLS.
fn serve(certificate: Option<&str>) -> (u16, JoinHandle<()>) {
    let config = certificate.map(|name| {
        let chain = CertificateDer::pem_file_iter(fixture(&format!("{name}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.map(|one| one.unwrap()).collect(), key)
            .unwrap()
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        // The client ends the connection when it refuses the certificate.
        let _ = match config {
            Some(config) => {
                let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
                answer(Stream::new(&mut connection, &mut socket))
            }
            None => answer(&mut socket as &mut TcpStream),
        };
    });
    (port, thread)
}

fn answer(mut stream: impl Read + Write) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _length = stream.read(&mut request)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")?;
    stream.flush()?;
    // A socket that is closed with unread data resets the connection, and the client loses the answer.
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}

fn download(certificate: Option<&str>, host: &str, ca_bundle: CaBundle) -> Result<Vec<u8>> {
    let (port, server) = serve(certificate);
    let limits = DownloadLimits { max_retries: 0, ..DownloadLimits::default() };
    let client = Client::new(ClientConfig { ca_bundle, limits, ..ClientConfig::default() });
    let found = client.get_bytes(&format!("https://{host}:{port}/x"), 100);
    // A client that makes no connection leaves the server waiting.
    let _ = TcpStream::connect(("127.0.0.1", port));
    server.join().unwrap();
    found.map(Option::unwrap)
}

fn root() -> CaBundle {
    CaBundle { file: Some(fixture("root.pem").into()), dir: None }
}

#[test]
fn tls_error_has_a_hint_for_its_cause() {
    for (certificate, cause, hint) in [
        (Some("expired"), "expired", "the server's certificate has expired: renew it"),
        (Some("not-yet-valid"), "not valid yet", "is not valid yet: check this machine's clock"),
        (Some("other-name"), "not valid for name", "for another host name: use a name"),
        (Some("unknown-issuer"), "UnknownIssuer", "set SSL_CERT_FILE to a PEM file with its issuer"),
        (
            Some("ca-as-server"),
            "CaUsedAsEndEntity",
            "uses a CA certificate as its own: issue one for the server",
        ),
        (None, "corrupt message", "does not speak TLS on this port: check the port"),
    ] {
        let error: Error = download(certificate, "localhost", root()).unwrap_err();
        assert!(error.to_string().contains(cause), "{certificate:?}: {error}");
        assert!(error.hint.clone().unwrap_or_default().contains(hint), "{certificate:?}: {error:?}");
    }
}

#[test]
fn ca_bundle_is_a_file_or_a_directory() {
    let (dir, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // As c_rehash(1) names certificates; other files are ignored.
    std::fs::copy(fixture("root.pem"), dir.path().join("9d66eef0.0")).unwrap();
    std::fs::write(dir.path().join("README"), "text").unwrap();
    let dirs = std::env::join_paths([empty.path(), dir.path()]).unwrap();
    for (what, bundle) in [
        ("a file", root()),
        ("a directory", CaBundle { file: None, dir: Some(dir.path().into()) }),
        ("two directories", CaBundle { file: None, dir: Some(dirs) }),
        (
            "another file, and a directory",
            CaBundle { file: Some(fixture("good.pem").into()), dir: Some(dir.path().into()) },
        ),
    ] {
        assert_eq!(download(Some("good"), "localhost", bundle).unwrap(), b"hello", "{what}");
    }
    assert_eq!(download(Some("good"), "127.0.0.1", root()).unwrap(), b"hello");
    for (bundle, message, hint) in [
        (
            CaBundle { file: None, dir: Some(empty.path().into()) },
            "no certificate in PEM form in SSL_CERT_DIR",
            "SSL_CERT_DIR",
        ),
        (
            CaBundle { file: Some("/nonexistent".into()), dir: None },
            "cannot read the certificates of /nonexistent",
            "SSL_CERT_FILE",
        ),
        (
            CaBundle { file: Some(fixture("make.sh").into()), dir: None },
            "has no certificate in PEM form",
            "SSL_CERT_FILE",
        ),
    ] {
        let error = download(Some("good"), "localhost", bundle).unwrap_err();
        assert!(error.to_string().contains(message) && error.hint.unwrap().contains(hint));
    }
}
