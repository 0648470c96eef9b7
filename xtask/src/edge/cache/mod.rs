//! Keeps images, signatures, certificates and text forms between runs.
