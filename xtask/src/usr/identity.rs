//! Which release, board and systemd version the image says it is.
