//! A release server on loopback: HTTP/1.1 (RFC 9110, RFC 9112) as far as a download needs it.
//!
//! GET and HEAD, one request per connection, ranges with `If-Range`, `ETag` and `Last-Modified`. A test can script
//! failures with [`Server::misbehave`]; see [`Misbehavior`].

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use self::exchange::Exchange;
pub use self::misbehavior::Misbehavior;
pub use self::request::Request;
use super::site::Site;
use coreos_types::{Result, ResultExt};

mod exchange;
mod misbehavior;
mod request;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

/// The state that the threads of a server share.
#[derive(Debug)]
struct State {
    stop: AtomicBool,
    content: Mutex<MutableState>,
}

#[derive(Debug, Default)]
struct MutableState {
    site: Site,
    /// The scripted failures by path: the remaining number of times, and the failure.
    misbehaviors: BTreeMap<String, VecDeque<(usize, Misbehavior)>>,
    requests: Vec<Request>,
    /// The rate of every body in bytes per second.
    speed: Option<usize>,
}

impl Server {
    /// Serves a site on a free port of 127.0.0.1.
    pub fn start(site: Site) -> Result<Server> {
        let failed = || "cannot start the release server on 127.0.0.1";
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).with_context(failed)?;
        let address = listener.local_addr().with_context(failed)?;
        let content = MutableState { site, ..MutableState::default() };
        let state = Arc::new(State { stop: AtomicBool::new(false), content: Mutex::new(content) });
        let shared = Arc::clone(&state);
        let accepting = std::thread::Builder::new()
            .name(String::from("release-server"))
            .spawn(move || accept(&listener, &shared))
            .with_context(failed)?;
        Ok(Server { address, state, accepting: Some(accepting) })
    }

    /// The URL before `/BOARD/RELEASE/FILE`: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds or replaces a file of the site; its `ETag` and `Last-Modified` change with its bytes.
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.state.lock().site.insert(path.to_owned(), bytes);
    }

    /// Removes a file from the site.
    pub fn remove(&self, path: &str) {
        self.state.lock().site.remove(path);
    }

    /// Scripts a failure of the next `times` requests for a path (`usize::MAX`: all of them), after the failures scripted
    /// for this path before.
    pub fn misbehave(&self, path: &str, times: usize, misbehavior: Misbehavior) {
        self.state.lock().misbehaviors.entry(path.to_owned()).or_default().push_back((times, misbehavior));
    }

    /// Limits the rate of every body, in bytes per second.
    pub fn slow_down(&self, bytes_per_second: usize) {
        self.state.lock().speed = Some(bytes_per_second);
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().requests.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.accepting.take() {
            drop(thread.join());
        }
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, MutableState> {
        // A test that panics while it holds the lock has failed already.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Sleeps until the time is over or the server is dropped.
    fn sleep(&self, time: Duration) {
        const STEP: Duration = Duration::from_millis(10);
        let mut left = time;
        while !left.is_zero() && !self.stopped() {
            let step = left.min(STEP);
            std::thread::sleep(step);
            left -= step;
        }
    }
}

impl MutableState {
    fn next_misbehavior(&mut self, path: &str) -> Option<Misbehavior> {
        let queue = self.misbehaviors.get_mut(path)?;
        let (times, misbehavior) = queue.front_mut()?;
        let misbehavior = misbehavior.clone();
        *times = times.saturating_sub(1);
        if *times == 0 {
            queue.pop_front();
        }
        Some(misbehavior)
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.stopped() {
            return;
        }
        let (Ok(stream), state) = (stream, Arc::clone(state)) else { continue };
        // Ignore a client that closes the connection early.
        std::thread::spawn(move || drop(serve(stream, &state)));
    }
}

fn serve(stream: TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    let Some(request) = Request::read(&stream)? else { return Ok(()) };
    let (misbehavior, bytes, speed) = {
        let mut content = state.lock();
        content.requests.push(request.clone());
        let misbehavior = content.next_misbehavior(&request.path);
        if let Some(Misbehavior::ChangeEntity(bytes)) = &misbehavior {
            content.site.insert(request.path.clone(), bytes.clone());
        }
        (misbehavior, content.site.get(&request.path).cloned(), content.speed)
    };
    Exchange { stream, request: &request, state, speed, misbehavior }.respond(bytes.as_deref())
}
