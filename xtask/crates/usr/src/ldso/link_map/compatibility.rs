//! The checks by which the loader skips a file or stops at it (glibc `open_verify`, `_dl_check_map_versions`).

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::super::search_dir::Candidate;
use super::super::{DynamicLoader, UndefinedVersion};
use super::LinkMap;
use crate::elf::{ElfInfo, VersionNeed};
use crate::file_info::FileInfo;

/// The outcome of the loader's check of a candidate (glibc `open_verify`).
pub(super) enum Compatibility<'a> {
    Compatible(&'a ElfInfo),
    /// The loader continues with the next directory.
    Skipped(String),
    /// The loader stops.
    Fatal(String),
}

impl<'a> LinkMap<'_, 'a> {
    /// The candidate's info if it is loaded, `Some(None)` if the loader stops at it, `None` if the loader skips it.
    #[allow(clippy::option_option)]
    pub(super) fn check_and_record(
        &mut self,
        candidate: &Rc<Candidate>,
        by: usize,
    ) -> Option<Option<&'a ElfInfo>> {
        let (why, is_fatal) = match self.check_compatibility(candidate) {
            Compatibility::Compatible(info) => return Some(Some(info)),
            Compatibility::Skipped(why) => (why, false),
            Compatibility::Fatal(why) => (why, true),
        };
        let rejected = self.rejected(candidate, by, why);
        if is_fatal {
            self.result.fatal.push(rejected);
        } else if !self.result.skipped.contains(&rejected) {
            self.result.skipped.push(rejected);
        }
        // A file of this name in a later directory does not help after a fatal mismatch. This one is treated as loaded,
        // without dependencies.
        is_fatal.then_some(None)
    }

    /// glibc `open_verify`: a file of another class or machine is skipped, any other mismatch stops the loader.
    pub(super) fn check_compatibility(&self, candidate: &Candidate) -> Compatibility<'a> {
        let root = self.root;
        match self.loader.tree.read_file_info(candidate.path.as_str()) {
            Some(FileInfo::Elf(info)) => {
                let bits = |info: &ElfInfo| if info.is_64 { 64 } else { 32 };
                let order = |info: &ElfInfo| if info.big_endian { "big-endian" } else { "little-endian" };
                if info.is_64 != root.is_64 {
                    Compatibility::Skipped(format!("it is a {}-bit file, not {}-bit", bits(info), bits(root)))
                } else if info.big_endian != root.big_endian {
                    Compatibility::Fatal(format!("it is {}, not {}", order(info), order(root)))
                } else if info.machine != root.machine {
                    let (machine, expected) = (info.machine, root.machine);
                    Compatibility::Skipped(format!("it is for machine {machine}, not {expected}"))
                } else if let Some(why) = &info.unloadable_reason {
                    Compatibility::Fatal(why.clone())
                } else if !info.has_dynamic_section {
                    Compatibility::Fatal("it has no dynamic section".to_owned())
                } else {
                    Compatibility::Compatible(info)
                }
            }
            Some(FileInfo::MalformedElf(why)) => Compatibility::Fatal(why.clone()),
            _ => Compatibility::Fatal("it is not an ELF file".to_owned()),
        }
    }

    /// glibc `_dl_check_map_versions`: a library without version definitions satisfies every needed version, and a
    /// missing weak version is only a warning.
    pub(super) fn check_versions(&mut self) {
        for object in &self.entries {
            let needs = object.info.map_or(&[][..], |info| &info.verneed);
            self.loader.charge(needs.len() / 4);
            for needs in needs.chunk_by(|one, other| one.library == other.library) {
                if self.loader.is_exhausted() {
                    return;
                }
                let Some(&Some(provider)) = self.by_name.get(&needs[0].library) else { continue };
                let provider = &self.entries[provider];
                let Some(info) = provider.info else { continue };
                let undefined = self.loader.undefined_versions(needs, info);
                self.result.undefined_versions.extend(undefined.iter().map(|version| UndefinedVersion {
                    library: provider.path.clone(),
                    version: (*version).to_owned(),
                    needed_by: object.path.clone(),
                }));
            }
        }
    }
}

/// The versions of the needs that a library does not define, by the address of both: most programs load the same
/// libraries, and what one needs of another is the same in each.
pub(in super::super) type UndefinedVersions<'a> =
    HashMap<(*const VersionNeed, *const ElfInfo), Rc<[&'a str]>>;

impl<'a> DynamicLoader<'a> {
    fn undefined_versions(&self, needs: &'a [VersionNeed], library: &'a ElfInfo) -> Rc<[&'a str]> {
        let compare = || {
            self.charge(library.verdef.len() / 16);
            let defined: HashSet<&str> = library.verdef.iter().map(String::as_str).collect();
            let is_defined = |need: &VersionNeed| {
                need.weak || defined.is_empty() || defined.contains(need.version.as_str())
            };
            needs.iter().filter(|need| !is_defined(need)).map(|need| need.version.as_str()).collect()
        };
        let mut known = self.undefined_versions.borrow_mut();
        Rc::clone(known.entry((needs.as_ptr(), std::ptr::from_ref(library))).or_insert_with(compare))
    }
}
