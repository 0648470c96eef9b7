//! Twelve historical bumps of rkt as test cases: the tree before, the image after, the expected changes.
//!
//! Images and trees are made in memory by `release_fixture`. Each case also verifies the invariants of every bump:
//! added lines are in the image, each changed line has exactly one fix, a sorted file remains sorted,
//! and a second bump changes nothing.

mod bumps;
mod flatcar;
mod layouts;
mod libraries;
mod lists;
mod loader;
mod properties;
mod removed;
mod renames;
mod row;
mod unseen;
