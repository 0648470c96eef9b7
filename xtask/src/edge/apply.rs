//! Puts an edit plan on disk, all of it or nothing.
