//! The shapes that twelve real bumps of rkt had, as rows: the tree before, the image after, the fixes.
