//! Downloads from nginx, an independent server: ranges, entity tags, encodings and TLS.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use xtask::http::{CaBundle, Client, ClientConfig, DownloadLimits, MAX_IMAGE_LEN, MAX_LIST_LEN, ResumePoint};
use xtask::terminal::Progress;

/// An nginx process with its own certificate authority; dropping the value kills the process.
struct Nginx {
    home: TempDir,
    child: Child,
    http_port: u16,
    https_port: u16,
}

const FILE: &str = "amd64-usr/1032.0.0/coreos_production_pxe_image.cpio.gz";
const LIST: &str = "amd64-usr/1032.0.0/coreos_production_image_contents.txt";

impl Nginx {
    fn start() -> Nginx {
        let home = tempfile::tempdir().unwrap();
        let [http_port, https_port] = [(); 2].map(|()| free_port());
        create_certificates(home.path());
        fs::create_dir_all(home.path().join("www/amd64-usr/1032.0.0")).unwrap();
        fs::write(home.path().join("nginx.conf"), configuration(home.path(), http_port, https_port)).unwrap();
        let child = Command::new("nginx")
            .args(["-p", home.path().to_str().unwrap(), "-c", "nginx.conf", "-e", "error.log"])
            .spawn()
            .expect("nginx is not installed: apt-get install nginx-light");
        let nginx = Nginx { home, child, http_port, https_port };
        nginx.put(FILE, &file());
        nginx.put(LIST, "./usr/bin/bash\n".repeat(5000).as_bytes());
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", nginx.http_port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(10), "nginx does not start: {}", nginx.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        nginx
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        fs::write(self.home.path().join("www").join(path), bytes).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("error.log")).unwrap_or_default()
    }

    fn http_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.http_port)
    }

    fn https_url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.https_port)
    }

    fn client(&self, authority: Option<&str>) -> Client {
        let limits = DownloadLimits {
            initial_backoff: Duration::from_millis(10),
            max_retries: 2,
            ..DownloadLimits::default()
        };
        let ca_bundle =
            CaBundle { file: authority.map(|name| self.home.path().join(name).into()), dir: None };
        Client::new(ClientConfig { ca_bundle, limits, ..ClientConfig::default() })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn configuration(home: &Path, http_port: u16, https_port: u16) -> String {
    let home = home.display();
    format!(
        "daemon off; master_process off; pid {home}/pid;\n\
         events {{ worker_connections 64; }}\n\
         http {{\n\
           access_log off; gzip on; gzip_types *; gzip_min_length 1; gzip_vary on;\n\
           default_type application/octet-stream; root {home}/www;\n\
           client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3;\n\
           uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;\n\
           server {{ listen 127.0.0.1:{http_port}; location /encoded/ {{ alias {home}/www/; add_header Content-Encoding gzip; }} }}\n\
           server {{ listen 127.0.0.1:{https_port} ssl; ssl_certificate {home}/server.pem; ssl_certificate_key {home}/server.key;\n\
             location /downgrade/ {{ return 302 http://127.0.0.1:{http_port}/{FILE}; }}\n\
             location /same-scheme/ {{ return 302 /{FILE}; }} }}\n\
         }}\n"
    )
}

/// Writes a certificate authority, a certificate that it issued for localhost, and an unrelated authority.
fn create_certificates(home: &Path) {
    let openssl = |args: &str| {
        let output = Command::new("openssl").args(args.split(' ')).current_dir(home).output();
        let output = output.expect("openssl is not installed: apt-get install openssl");
        assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for authority in ["authority", "unrelated"] {
        openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={authority} -keyout {authority}.key -out {authority}.pem"
        ));
    }
    openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr");
    fs::write(home.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile names -out server.pem",
    );
}

fn file() -> Vec<u8> {
    (0..500_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn download_bytes(client: &Client, url: &str, resume: Option<&ResumePoint>) -> Result<Vec<u8>, String> {
    let download =
        client.get(url, MAX_IMAGE_LEN, resume, Progress::silent()).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    download.ok_or("missing")?.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[test]
#[ignore = "needs nginx and openssl"]
fn nginx_range_resumes_under_the_same_etag() {
    let nginx = Nginx::start();
    let client = nginx.client(None);
    let url = nginx.http_url(FILE);
    let first = client.get(&url, MAX_IMAGE_LEN, None, Progress::silent()).unwrap().unwrap();
    let resume = first.resume_point_at(700_000).unwrap();
    drop(first);
    assert_eq!(resume.total, Some(2_000_000));
    assert!(resume.validator.starts_with('"'), "{}", resume.validator);
    assert!(download_bytes(&client, &url, Some(&resume)).as_deref() == Ok(&file()[700_000..]));
    // Another file under the same name is sent from its beginning.
    nginx.put(FILE, &file()[4..]);
    assert!(download_bytes(&client, &url, Some(&resume)).as_deref() == Ok(&file()[4..]));
    assert_eq!(download_bytes(&client, &nginx.http_url("amd64-usr/none"), None), Err("missing".to_owned()));
}

#[test]
#[ignore = "needs nginx and openssl"]
fn nginx_gzip_is_not_requested() {
    let nginx = Nginx::start();
    let client = nginx.client(None);
    let list = client.get_bytes(&nginx.http_url(LIST), MAX_LIST_LEN).unwrap().unwrap();
    assert!(list == "./usr/bin/bash\n".repeat(5000).as_bytes());
    assert!(download_bytes(&client, &nginx.http_url(&format!("encoded/{FILE}")), None) == Ok(file()));
    // A label alone does no harm; encoded bytes do.
    let labelled = client.get_bytes(&nginx.http_url(&format!("encoded/{LIST}")), MAX_LIST_LEN);
    assert!(labelled.unwrap().unwrap() == list);
    nginx.put(LIST, b"\x1f\x8b\x08");
    let error =
        client.get_bytes(&nginx.http_url(&format!("encoded/{LIST}")), MAX_LIST_LEN).unwrap_err().to_string();
    assert!(error.contains("with Content-Encoding gzip, expected none"), "{error}");
}

#[test]
#[ignore = "needs nginx and openssl"]
fn nginx_tls_requires_a_trusted_authority() {
    let nginx = Nginx::start();
    let client = nginx.client(Some("authority.pem"));
    assert!(download_bytes(&client, &nginx.https_url(FILE), None) == Ok(file()));
    assert!(download_bytes(&client, &nginx.https_url("same-scheme/"), None) == Ok(file()));
    let error = download_bytes(&client, &nginx.https_url("downgrade/"), None).unwrap_err();
    assert!(error.contains("refusing the redirect from https to http://"), "{error}");
    let other_client = nginx.client(Some("unrelated.pem"));
    let error = other_client.get_bytes(&nginx.https_url(LIST), MAX_LIST_LEN).unwrap_err();
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("SSL_CERT_FILE")), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}
