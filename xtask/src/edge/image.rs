//! From a stream of bytes to a verified image, and from that to a tree.
