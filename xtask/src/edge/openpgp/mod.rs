//! Who signed it, and whether that counts: an OpenPGP policy on top of the pgp crate's mathematics.
