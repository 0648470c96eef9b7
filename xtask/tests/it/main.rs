//! The integration tests: one binary, one link.
#![allow(clippy::disallowed_methods, reason = "tests make trees and run programs")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "tests print measurements and skipped parts")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accepted;
mod advisories;
mod apply;
mod budget;
mod bump;
mod cache;
mod chance;
mod channels;
mod check;
mod commit;
mod completions;
mod demo_command;
mod demo_factory;
mod demo_server;
mod diff_applies;
mod docs_man;
mod docs_screens;
mod documents;
mod e2e;
mod early_errors;
mod foreign_lock;
mod foreign_tree;
mod hints;
mod hostile;
mod http;
mod http_nginx;
mod http_proxy;
mod http_raw;
mod http_tls;
mod latest;
mod limited_process;
mod nightly;
mod old_state;
mod openpgp;
mod openpgp_gpg;
mod openpgp_keyserver;
mod openpgp_vendor;
mod oracle;
mod output;
mod output_browser;
mod own_vendor;
mod rendered;
mod replay;
mod scene;
mod schema;
mod series;
mod smoketest;
mod sort_manifests;
mod tidy;
mod unneeded;
