//! What the loader would find, for whom, and how (ld.so(8)).
