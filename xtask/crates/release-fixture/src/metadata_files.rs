//! The files that a release has next to an image: version and lists, as CoreOS and Flatcar write them.

use std::collections::{BTreeMap, BTreeSet};

use super::image_spec::{ImageSpec, NodeSpec};
use super::licenses_json;

/// `version.txt`: shell assignments (coreos/scripts `build_image`).
pub(super) fn version_txt(image: &ImageSpec) -> String {
    let prefix = image.vendor.variable_prefix;
    let version = image.release.version_id();
    let mut numbers = version.split('.');
    let mut next = || numbers.next().unwrap_or("0");
    format!(
        "{prefix}_BUILD={}\n{prefix}_BRANCH={}\n{prefix}_PATCH={}\n{prefix}_VERSION={}\n{prefix}_VERSION_ID={version}\n\
         {prefix}_BUILD_ID=\"\"\n{prefix}_SDK_VERSION={version}\n",
        next(),
        next(),
        next(),
        image.release,
    )
}

/// The list of files, `find -printf '%M %2n %-7u %-7g %7s %TY-%Tm-%Td %TH:%TM ./%P -> %l'` over the disk image
/// (`build_library/build_image_util.sh`): paths start with `./usr`, and lines of other files than symlinks end in ` -> `.
pub(super) fn contents_list(image: &ImageSpec) -> String {
    const DIRECTORY: (&str, usize, &str) = ("drwxr-xr-x", 4096, "");
    let mut entries = BTreeMap::from([("usr".to_owned(), DIRECTORY)]);
    for (path, content) in &image.files {
        let parents = std::iter::successors(path.parent(), |parent| parent.parent());
        entries.extend(parents.map(|parent| (format!("usr/{parent}"), DIRECTORY)));
        let entry = match content {
            NodeSpec::Directory => DIRECTORY,
            NodeSpec::Link(target) => ("lrwxrwxrwx", target.len(), target.as_str()),
            NodeSpec::Elf(_) | NodeSpec::Bytes(_) => {
                let mode = if content.mode() == 0o755 { "-rwxr-xr-x" } else { "-rw-r--r--" };
                (mode, content.bytes().len(), "")
            }
        };
        entries.insert(format!("usr/{path}"), entry);
    }
    let line = |(path, (mode, size, target)): (String, (&str, usize, &str))| {
        format!("{mode}  1 root    root    {size:>7} 2016-04-29 01:29 ./{path} -> {target}\n")
    };
    entries.into_iter().map(line).collect()
}

/// The list of packages, `category/name-version::repository`, sorted (`write_packages`).
pub(super) fn packages_list(image: &ImageSpec) -> String {
    let repository = if image.vendor.id == "coreos" { "coreos" } else { "portage-stable" };
    let fixed =
        [("app-shells/bash", "4.3_p42"), ("sys-apps/systemd", &image.systemd), ("sys-libs/glibc", "2.21-r2")];
    let fixed = fixed.map(|(name, version)| (name.to_owned(), version.to_owned()));
    let all: BTreeSet<(String, String)> =
        licenses_json::infer_packages(image).into_keys().chain(fixed).collect();
    all.iter().map(|(name, version)| format!("{name}-{version}::{repository}\n")).collect()
}
