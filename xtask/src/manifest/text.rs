//! A manifest file and its lines, byte for byte.
