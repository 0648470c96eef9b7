//! Finds a tree and reads its sources.
