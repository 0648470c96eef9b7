//! A proxy that forwards each host name to a loopback server.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write, copy};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use release_fixture::server::Server;

pub(super) struct Proxy {
    port: u16,
    servers: Arc<BTreeMap<String, Server>>,
}

impl Proxy {
    /// Starts the proxy, which ends with the test process.
    pub(super) fn start(servers: BTreeMap<String, Server>) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy { port: listener.local_addr().unwrap().port(), servers: Arc::new(servers) };
        let servers = Arc::clone(&proxy.servers);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let servers = Arc::clone(&servers);
                thread::spawn(move || forward(&stream, &servers));
            }
        });
        proxy
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Number of requests to all servers.
    pub(super) fn requests(&self) -> usize {
        self.servers.values().map(|server| server.requests().len()).sum()
    }
}

/// Forwards `GET http://HOST/PATH` to the host's server, and the response to the client.
fn forward(client: &TcpStream, servers: &BTreeMap<String, Server>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let (host, rest) = head.strip_prefix("GET http://")?.split_once('/')?;
    let Some(server) = servers.get(host) else {
        return (&mut &*client).write_all(b"HTTP/1.1 403 no such host\r\n\r\n").ok();
    };
    let server = TcpStream::connect(server.url().strip_prefix("http://")?).ok()?;
    (&mut &server).write_all(format!("GET /{rest}").as_bytes()).ok()?;
    let _ = copy(&mut &server, &mut &*client);
    client.shutdown(Shutdown::Both).ok()
}
