//! The flavors of stage1.

use std::fmt;

/// A flavor of stage1, named after its directory: `usr_from_coreos` is `coreos`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flavor(String);

impl Flavor {
    /// The flavor of this name; `None` for an empty one.
    pub fn new(name: &str) -> Option<Flavor> {
        (!name.is_empty()).then(|| Flavor(name.to_owned()))
    }

    /// The flavor whose directory has coreos-common.mk.
    pub fn coreos() -> Flavor {
        Flavor("coreos".to_owned())
    }

    /// The flavor of a directory below `stage1/`, or `None` if the directory is not one of a flavor.
    pub fn from_dir_name(name: &str) -> Option<Flavor> {
        Flavor::new(name.strip_prefix("usr_from_")?)
    }

    /// The name, `coreos` or `kvm`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
