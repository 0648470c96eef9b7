//! What stage1 takes from the image: the manifests, what is wrong in them, and how that is mended.

pub mod finding;
pub mod order;
pub mod text;
