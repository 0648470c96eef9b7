//! `etc/ld.so.conf` of an image (ldconfig(8)).

use super::DynamicLoader;
use crate::file_info::FileInfo;
use crate::glob;
use crate::path::UsrPath;

const MAIN: &str = "etc/ld.so.conf";

/// The directories, and the files and `include` patterns of one configuration. Real ones have a tenth of that.
const MAX_DIRECTORIES: usize = 64;
const MAX_FILES: usize = 64;
/// The files below the directory of a pattern that take as long to look at as a lookup.
const FILES_PER_LOOKUP: usize = 16;

impl DynamicLoader<'_> {
    /// The absolute directories that `etc/ld.so.conf` and the files that it includes name, in order.
    pub(super) fn read_conf_directories(&self) -> Vec<String> {
        let (mut directories, mut files) = (Vec::new(), 0);
        if let Ok(main) = UsrPath::new(MAIN) {
            self.read_conf(&main, &mut directories, &mut files);
        }
        directories
    }

    fn read_conf(&self, file: &UsrPath, directories: &mut Vec<String>, files: &mut usize) {
        *files += 1;
        if *files > MAX_FILES {
            return;
        }
        let Some(FileInfo::Text(text)) = self.tree.read_file_info(file.as_str()) else { return };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(patterns) = line.strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t']))
            {
                for pattern in patterns.split_whitespace().take(MAX_FILES.saturating_sub(*files)) {
                    *files += 1;
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
        let Some((directory, pattern)) = absolute.rsplit_once('/') else { return Vec::new() };
        let Ok(directory) = UsrPath::new(directory) else { return Vec::new() };
        let below = self.tree.below(&directory).map(|(path, _)| path).enumerate();
        let below = below.inspect(|(at, _)| self.charge(usize::from(at % FILES_PER_LOOKUP == 0)));
        let below = below.take_while(|_| !self.is_exhausted()).map(|(_, path)| path);
        let direct = below.filter(|path| path.parent().as_ref() == Some(&directory));
        let is_match = |path: &&UsrPath| {
            let is_hidden = path.name().starts_with('.') && !pattern.starts_with('.');
            !is_hidden && glob::match_counting_steps(pattern, path.name()).0
        };
        direct.filter(is_match).take(MAX_FILES).cloned().collect()
    }
}
