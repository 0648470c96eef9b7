//! The order a manifest is kept in, and where a new line belongs.
