//! `etc/ld.so.conf` of an image (ldconfig(8)).

use super::DynamicLoader;
use crate::file_info::FileInfo;
use crate::path::UsrPath;

/// The file, and the directory that its `include` lines name by custom.
const MAIN: &str = "etc/ld.so.conf";
const PARTS: &str = "etc/ld.so.conf.d";

/// Directories beyond which a file is hostile.
const MAX_DIRECTORIES: usize = 512;

impl DynamicLoader<'_> {
    /// The absolute directories that the files name. An `include` line stands for every file of `etc/ld.so.conf.d`,
    /// in byte order.
    pub(super) fn conf_directories(&self) -> Vec<String> {
        let texts =
            self.conf_files().into_iter().filter_map(|path| match self.tree.file_info(path.as_str()) {
                Some(FileInfo::Text(text)) => Some(text),
                _ => None,
            });
        let absolute = |line: &str| {
            let line = line.split('#').next().unwrap_or_default().trim();
            line.starts_with('/').then(|| line.to_owned())
        };
        texts.flat_map(|text| text.lines()).filter_map(absolute).take(MAX_DIRECTORIES).collect()
    }

    /// The main file behind those it includes, as far as the image has them.
    fn conf_files(&self) -> Vec<UsrPath> {
        let (Ok(main), Ok(parts)) = (UsrPath::new(MAIN), UsrPath::new(PARTS)) else { return Vec::new() };
        let includes = match self.tree.file_info(MAIN) {
            Some(FileInfo::Text(text)) => text.lines().any(|line| line.trim_start().starts_with("include")),
            _ => return Vec::new(),
        };
        let included = self.tree.below(&parts).map(|(path, _)| path.clone()).filter(|_| includes);
        let mut files: Vec<UsrPath> = included.collect();
        files.push(main);
        files
    }
}
