//! Users and groups of this system, as far as passwd(5) and group(5) name them.

use std::fs;

/// `/etc/passwd` and `/etc/group`.
#[derive(Debug, Clone, Default)]
pub(super) struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// The accounts of this system; files that cannot be read count as empty.
    pub(super) fn read() -> Accounts {
        let text = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Accounts::new(text("/etc/passwd").unwrap_or_default(), text("/etc/group").unwrap_or_default())
    }

    /// Accounts from the text of the two files.
    pub(super) fn new(passwd: impl Into<String>, group: impl Into<String>) -> Accounts {
        Accounts { passwd: passwd.into(), group: group.into() }
    }

    /// Whether a group is a user's private one: the user's primary group (for users that passwd does not name: the
    /// group of the same number), which has no other member and is nobody else's primary group.
    pub(super) fn is_private_group(&self, uid: u32, gid: u32) -> bool {
        let (own, others): (Vec<_>, Vec<_>) =
            colon_fields(&self.passwd).partition(|user| parse_field(user, 2) == Some(uid));
        let primary = own.first().map_or(Some(uid), |user| parse_field(user, 3));
        let is_other = |member: &str| !member.is_empty() && own.iter().all(|user| user[0] != member);
        let has_members =
            colon_fields(&self.group).filter(|fields| parse_field(fields, 2) == Some(gid)).any(|fields| {
                fields.get(3).is_some_and(|members| members.split(',').map(str::trim).any(is_other))
            });
        primary == Some(gid) && !has_members && others.iter().all(|user| parse_field(user, 3) != Some(gid))
    }

    /// `user alice (1000)`, or `user 1000` where passwd does not name the user.
    pub(super) fn describe_user(&self, uid: u32) -> String {
        match colon_fields(&self.passwd).find(|fields| parse_field(fields, 2) == Some(uid)) {
            Some(fields) => format!("user {} ({uid})", fields[0].escape_default()),
            None => format!("user {uid}"),
        }
    }
}

/// The number in a field.
fn parse_field(fields: &[&str], index: usize) -> Option<u32> {
    fields.get(index)?.parse().ok()
}

fn colon_fields(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_group_has_no_other_user() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:/\nbob:x:1001:1001::/:/\neve:x:1002:100::/:/\njoe:x:1003:100::/:/\n";
        let group = "root:x:0:\nann:x:1000:ann\nbob:x:1001:ann\nusers:x:100:\ndevs:x:50:ann,bob\n";
        let accounts = Accounts::new(passwd, group);
        let table = [
            ("root and its group", 0, 0, true),
            ("a group of the user alone", 1000, 1000, true),
            ("a group with another member", 1001, 1001, false),
            ("a primary group that two users share", 1002, 100, false),
            ("a group that is not the primary one", 1000, 50, false),
            ("an unknown user and the group of that number", 4711, 4711, true),
            ("an unknown user and another group", 4711, 4712, false),
            ("an unknown user and the group of a known user", 4711, 1000, false),
        ];
        for (what, uid, gid, expected) in table {
            assert_eq!(accounts.is_private_group(uid, gid), expected, "{what}");
        }
        assert_eq!(accounts.describe_user(1000), "user ann (1000)");
        assert_eq!(accounts.describe_user(7), "user 7");
    }
}
