//! The real loader, in a chroot of the built root filesystem.
