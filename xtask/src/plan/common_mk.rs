//! coreos-common.mk: read and set its `CCN_*` variables in text, and leave every other byte alone.
