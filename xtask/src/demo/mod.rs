//! A release factory: image, signature and loopback server, for `cargo xtask demo` and the tests.
