//! What twelve real bumps of rkt did to its manifests, as rows: the tree before, the image after, what changes.
//!
//! Images and trees are of the release factory; nothing is packed. Each row also verifies what holds for every bump:
//! nothing that the image lacks is ever added, each changed line has its one fix, a file that was sorted stays so,
//! and a second bump changes nothing.

mod bumps;
mod flatcar;
mod layouts;
mod libraries;
mod lists;
mod loader;
mod properties;
mod renames;
mod row;
mod unseen;
mod vanished;
