//! The user IDs of a sandbox.

use std::fs;
use std::io;

use crate::smoketest::host::is_root;

/// The user ID of confined programs where the caller is root: no account has it.
pub(super) const SANDBOX_UID: u32 = 65_533;

/// Which user a confined program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UserMap {
    /// The calling user, with rights inside the namespace only.
    Caller,
    /// [`SANDBOX_UID`]. The namespace maps all IDs of the caller to themselves.
    Unprivileged,
}

impl UserMap {
    pub(super) fn choose() -> UserMap {
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        match is_root() && includes(&map, SANDBOX_UID) {
            true => UserMap::Unprivileged,
            false => UserMap::Caller,
        }
    }

    /// Writes the maps of a process that has just made its user namespace (user_namespaces(7)); `Caller` has been
    /// mapped by unshare(1).
    pub(super) fn write_id_maps(self, pid: u32) -> io::Result<()> {
        if self == UserMap::Caller {
            return Ok(());
        }
        for file in ["uid_map", "gid_map"] {
            let own = fs::read_to_string(format!("/proc/self/{file}"))?;
            fs::write(format!("/proc/{pid}/{file}"), identity_map(&own))?;
        }
        Ok(())
    }
}

/// Lines of a map: first ID inside, first ID outside, count.
fn parse_id_map(map: &str) -> impl Iterator<Item = [u32; 3]> {
    map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
        Some([numbers.next()?, numbers.next()?, numbers.next()?])
    })
}

fn includes(map: &str, id: u32) -> bool {
    parse_id_map(map).any(|[inside, _, count]| id >= inside && id - inside < count)
}

/// The map that gives each ID of `map` the same number in a child namespace.
fn identity_map(map: &str) -> String {
    parse_id_map(map).map(|[inside, _, count]| format!("{inside} {inside} {count}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_containers_keep_their_ids() {
        for (map, identity, has_sandbox_uid) in [
            ("         0          0 4294967295\n", "0 0 4294967295\n", true),
            ("0 1000 1\n1 100000 65536\n", "0 0 1\n1 1 65536\n", true),
            ("0 1000 1\n", "0 0 1\n", false),
            ("0 100000 65533\n", "0 0 65533\n", false),
            ("", "", false),
        ] {
            assert_eq!(identity_map(map), identity);
            assert_eq!(includes(map, SANDBOX_UID), has_sandbox_uid, "{map}");
        }
    }
}
