//! Drives the tree's own build (xshell).
