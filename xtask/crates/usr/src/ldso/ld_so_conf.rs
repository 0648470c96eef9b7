//! `etc/ld.so.conf` of an image (ldconfig(8)).

use super::DynamicLoader;
use crate::file_info::FileInfo;
use crate::path::UsrPath;

const MAIN: &str = "etc/ld.so.conf";

/// The directories and the files of one configuration. Real ones have a tenth of that.
const MAX_DIRECTORIES: usize = 64;
const MAX_FILES: usize = 64;

impl DynamicLoader<'_> {
    /// The absolute directories that `etc/ld.so.conf` and the files that it includes name, in order.
    pub(super) fn conf_directories(&self) -> Vec<String> {
        let (mut directories, mut files) = (Vec::new(), 0);
        if let Ok(main) = UsrPath::new(MAIN) {
            self.read_conf(&main, &mut directories, &mut files);
        }
        directories
    }

    fn read_conf(&self, file: &UsrPath, directories: &mut Vec<String>, files: &mut usize) {
        *files += 1;
        let Some(FileInfo::Text(text)) = self.tree.file_info(file.as_str()).filter(|_| *files <= MAX_FILES)
        else {
            return;
        };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(patterns) = line.strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t']))
            {
                for pattern in patterns.split_whitespace() {
                    let included = self.matching_files(file, pattern);
                    included.iter().for_each(|path| self.read_conf(path, directories, files));
                }
            } else if line.starts_with('/') && directories.len() < MAX_DIRECTORIES {
                directories.push(line.to_owned());
            }
        }
    }

    /// The files that an `include` pattern matches, in byte order. The pattern is absolute, where `/etc` is the image's
    /// `etc`, or relative to the directory of the file that has it; `*` and `?` are wildcards in its last component.
    fn matching_files(&self, file: &UsrPath, pattern: &str) -> Vec<UsrPath> {
        let absolute = match pattern.strip_prefix('/') {
            Some(absolute) => absolute.strip_prefix("usr/").unwrap_or(absolute).to_owned(),
            None => {
                file.parent().map_or_else(|| pattern.to_owned(), |directory| format!("{directory}/{pattern}"))
            }
        };
        let Some((directory, glob)) = absolute.rsplit_once('/') else { return Vec::new() };
        let Ok(directory) = UsrPath::new(directory) else { return Vec::new() };
        let below = self.tree.below(&directory).map(|(path, _)| path);
        let direct = below.filter(|path| path.parent().as_ref() == Some(&directory));
        let is_match = |path: &&UsrPath| {
            let is_hidden = path.name().starts_with('.') && !glob.starts_with('.');
            !is_hidden && matches_glob(path.name().as_bytes(), glob.as_bytes())
        };
        direct.filter(is_match).take(MAX_FILES).cloned().collect()
    }
}

/// Whether a name matches a glob(7) pattern of `*` and `?`.
fn matches_glob(name: &[u8], glob: &[u8]) -> bool {
    let (mut at, mut in_glob) = (0, 0);
    // The position to retry from if the pattern after the last `*` does not match.
    let mut retry: Option<(usize, usize)> = None;
    while at < name.len() {
        match glob.get(in_glob) {
            Some(b'*') => {
                retry = Some((at, in_glob));
                in_glob += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == name[at] => {
                at += 1;
                in_glob += 1;
            }
            _ => match &mut retry {
                Some((start, star)) => {
                    *start += 1;
                    (at, in_glob) = (*start, *star + 1);
                }
                None => return false,
            },
        }
    }
    glob[in_glob..].iter().all(|&rest| rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        for (name, glob, matches) in [
            ("x.conf", "*.conf", true),
            ("x.conf.disabled", "*.conf", false),
            (".conf", "*.conf", true),
            ("a.conf", "?.conf", true),
            ("ab.conf", "?.conf", false),
            ("aXbXc", "a*b*c", true),
            ("a", "a**", true),
            ("", "*", true),
            ("b", "a", false),
        ] {
            assert_eq!(matches_glob(name.as_bytes(), glob.as_bytes()), matches, "{name} {glob}");
        }
    }
}
