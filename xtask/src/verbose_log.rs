//! Log output of `-v`: the tree, the trusted keys, the responses of servers.

use crate::http::{Client, ClientConfig, Event, redact};
use crate::keyring::Keyring;
use crate::repo::Repo;
use crate::terminal::Term;
use coreos_types::Board;
use manifest::common_mk::CommonMk;
use manifest::stage1_sources::Stage1Sources;

/// Creates a client that prints each retry, and under `-v` each response.
pub(crate) fn logging_http_client(term: &Term, config: ClientConfig) -> Client {
    let term = term.clone();
    Client::new(config).with_logger(move |event| match event {
        Event::Response(response) => term.detail("response", response),
        Event::Retry(failure) => term.stage("retry", failure),
    })
}

pub(crate) fn log_keys(term: &Term, keyring: &Keyring) {
    if !term.is_verbose() {
        return;
    }
    for certificate in keyring.local_certificates() {
        let (fingerprint, name) =
            (certificate.fingerprint(), certificate.printable_user_id().unwrap_or("no name"));
        term.detail("trusted", format!("{fingerprint}, {name}"));
        for subkey in certificate.fingerprints().skip(1) {
            term.trace("trusted", format!("{subkey}, subkey of {fingerprint}"));
        }
    }
}

/// Logs the tree's path, pinned release and manifests.
pub(super) fn log_tree(term: &Term, tree: &Repo, sources: &Stage1Sources, pins: &CommonMk) {
    if !term.is_verbose() {
        return;
    }
    let lines = |bytes: &[u8]| bytes.split_inclusive(|byte| *byte == b'\n').count();
    let all: usize = sources.manifests.values().map(|bytes| lines(bytes)).sum();
    let boards: Vec<&str> = sources.boards().into_iter().map(Board::id).collect();
    let (root, count, boards) = (tree.root().display(), sources.manifests.len(), boards.join(" and "));
    term.detail("tree", format!("{root}: {count} manifests of {all} lines for {boards}"));
    let (release, systemd, url) = (pins.release(), pins.systemd(), redact(pins.url_as_written()));
    term.detail("pinned", format!("{release} with systemd {systemd}, at {url}"));
    for (path, bytes) in &sources.manifests {
        term.trace("manifest", format!("{path}: {} lines", lines(bytes)));
    }
}
