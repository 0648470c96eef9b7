//! Layouts of rkt's trees over the years, and invalid entries of manifest directories.

#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;
use coreos_types::Board;

struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new(files: &[&str]) -> Fixture {
        let fixture = Fixture(tempfile::tempdir().unwrap());
        fixture.put(COMMON_MK);
        files.iter().for_each(|file| fixture.put(file));
        fixture
    }

    fn put(&self, file: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{file}\n")).unwrap();
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn read(&self) -> Result<LoadedRepo> {
        Repo::find(Some(self.0.path()), Path::new("/")).unwrap().recover_and_read()
    }

    fn error(&self) -> String {
        self.read().unwrap_err().to_string()
    }
}

const BASH: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/bash.manifest";
const KVM_BASH: &str = "stage1/usr_from_kvm/manifest-amd64-usr.d/bash.manifest";

#[test]
fn tree_is_found_in_parents_or_at_repo() {
    let fixture = Fixture::new(&[BASH]);
    let root = fs::canonicalize(fixture.0.path()).unwrap();
    let below = root.join("stage1/usr_from_coreos");
    assert_eq!(Repo::find(None, &below).unwrap().root(), root);
    assert_eq!(Repo::find(Some(Path::new("../..")), &below).unwrap().root(), root);
    let error = Repo::find(Some(Path::new(".")), &below).unwrap_err();
    assert!(error.message.contains("is not an rkt-style tree") && error.hint.unwrap().contains("--repo /"));
    assert!(Repo::find(None, Path::new("/")).is_err());
    assert!(Repo::find(Some(Path::new("nowhere")), &below).is_err());
}

#[test]
fn symlinked_manifest_is_read_once() {
    let fixture = Fixture::new(&[
        BASH,
        "stage1/usr_from_coreos/manifest-arm64-usr.d/notes~",
        "stage1/usr_from_coreos/manifest-amd64-usr.d/.hidden",
        "stage1/usr_from_kvm/manifest-amd64-usr.d/ip.manifest",
        "stage1/usr_from_src/README",
        "stage1/common/manifest-amd64-usr.d/not-a-flavor",
        "stage1/usr_from_coreos/manifest-ppc64-usr.d/x",
    ]);
    symlink("../../usr_from_coreos/manifest-amd64-usr.d/bash.manifest", fixture.path(KVM_BASH)).unwrap();
    let LoadedRepo { sources, warnings } = fixture.read().unwrap();
    let shown: Vec<String> = sources
        .manifest_refs
        .iter()
        .map(|manifest_ref| {
            format!(
                "{} {} {} {}",
                manifest_ref.board,
                manifest_ref.flavor,
                manifest_ref.directory_entry.rsplit('/').next().unwrap(),
                manifest_ref.file == manifest_ref.directory_entry
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "amd64-usr coreos bash.manifest true",
            "arm64-usr coreos notes~ true",
            "amd64-usr kvm bash.manifest false",
            "amd64-usr kvm ip.manifest true",
        ]
    );
    assert_eq!(sources.manifests.len(), 3);
    assert_eq!(sources.manifests[BASH], format!("{BASH}\n").into_bytes());
    assert!(sources.outside.is_empty());
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("manifest-ppc64-usr.d is ignored"), "{warnings:?}");
}

#[test]
fn linked_common_mk_has_its_real_path() {
    let fixture = Fixture::new(&[BASH, "stage1/real.mk"]);
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    let link = fixture.path(COMMON_MK);
    for (target, path, outside) in
        [(Path::new("../real.mk"), "stage1/real.mk", false), (elsewhere.path(), COMMON_MK, true)]
    {
        fs::remove_file(&link).unwrap();
        symlink(target, &link).unwrap();
        let sources = fixture.read().unwrap().sources;
        assert_eq!(sources.common_mk_path, path);
        assert_eq!(sources.outside.contains_key(COMMON_MK), outside);
        assert_eq!(sources.files().next().unwrap(), (path, fs::read(&link).unwrap().as_slice()));
    }
}

#[test]
fn file_outside_the_tree_is_reported_with_its_link() {
    let fixture = Fixture::new(&[BASH]);
    let elsewhere = Fixture::new(&[KVM_BASH]);
    let directory = Path::new(KVM_BASH).parent().unwrap().to_str().unwrap();
    fs::create_dir_all(fixture.path(directory).parent().unwrap()).unwrap();
    symlink(elsewhere.path(directory), fixture.path(directory)).unwrap();
    let file = BASH.replace("bash", "other");
    symlink(elsewhere.path(KVM_BASH), fixture.path(&file)).unwrap();
    let twice = BASH.replace("bash", "twice");
    symlink("other.manifest", fixture.path(&twice)).unwrap();
    let outside = fixture.read().unwrap().sources.outside;
    let expected = [(twice, file.clone()), (file.clone(), file), (KVM_BASH.to_owned(), directory.to_owned())];
    assert_eq!(outside, expected.into());
}

#[test]
fn legacy_directory_is_amd64_unless_ambiguous() {
    let old = "stage1/usr_from_coreos/manifest.d/bash.manifest";
    let fixture = Fixture::new(&[old]);
    let manifest_ref = fixture.read().unwrap().sources.manifest_refs.remove(0);
    assert_eq!((manifest_ref.board, manifest_ref.file.as_str()), (Board::Amd64, old));
    fixture.put(BASH);
    assert!(fixture.error().contains("both exist"), "{}", fixture.error());
    fs::remove_file(fixture.path(old)).unwrap();
    assert_eq!(fixture.read().unwrap().sources.manifest_refs[0].file, BASH);
    let directory = fixture.path("stage1/usr_from_coreos/manifest.d");
    fs::remove_dir(&directory).unwrap();
    symlink("manifest-amd64-usr.d", &directory).unwrap();
    assert_eq!(fixture.read().unwrap().sources.manifest_refs.len(), 1);
}

#[test]
fn invalid_manifest_entry_is_named() {
    let fixture = Fixture::new(&[BASH]);
    let directory = fixture.path("stage1/usr_from_coreos/manifest-amd64-usr.d");
    fs::create_dir(directory.join("sub")).unwrap();
    assert!(fixture.error().contains("manifest-amd64-usr.d/sub is a directory"), "{}", fixture.error());
    fs::remove_dir(directory.join("sub")).unwrap();
    symlink("gone.manifest", directory.join("broken")).unwrap();
    assert!(
        fixture.error().contains("broken is a link to gone.manifest, which is not a file"),
        "{}",
        fixture.error()
    );
    assert!(fixture.read().unwrap_err().hint.unwrap().contains("rm /"));
    fs::remove_file(directory.join("broken")).unwrap();
    symlink("loop", directory.join("loop")).unwrap();
    assert!(fixture.error().contains("which is not a file"), "{}", fixture.error());
    fs::remove_file(directory.join("loop")).unwrap();
    let odd = directory.join(OsStr::from_bytes(b"\xff.manifest"));
    fs::write(&odd, "x").unwrap();
    assert!(fixture.error().contains("not UTF-8"), "{}", fixture.error());
    fs::remove_file(odd).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(directory.join("s")).unwrap();
    assert!(fixture.error().contains("s: not a regular file"), "{}", fixture.error());
}

#[test]
fn tree_without_manifests_is_an_error() {
    assert!(Fixture::new(&["stage1/usr_from_coreos/x"]).error().contains("no manifest in"));
}

#[test]
fn files_over_their_limits_are_refused() {
    let fixture = Fixture::new(&[BASH]);
    let size = |file: &str, bytes: u64| {
        fs::File::create(fixture.path(file)).unwrap().set_len(bytes).unwrap();
    };
    size(COMMON_MK, layout::MAX_COMMON_MK_LEN + 1);
    assert!(
        fixture.error().contains("coreos-common.mk: it has more than 262144 bytes"),
        "{}",
        fixture.error()
    );
    size(COMMON_MK, layout::MAX_COMMON_MK_LEN);
    size(BASH, layout::MAX_TOTAL_LEN + 1);
    assert!(fixture.error().contains("bash.manifest: it has more than 524288 bytes"), "{}", fixture.error());
    for number in 0..3 {
        size(&BASH.replace("bash", &format!("m{number}")), layout::MAX_TOTAL_LEN / 2);
    }
    fs::remove_file(fixture.path(BASH)).unwrap();
    assert!(fixture.error().contains("m2.manifest: it has more than 0 bytes"), "{}", fixture.error());
}

#[test]
fn manifests_over_15000_lines_are_refused() {
    let (one, other) =
        ("stage1/usr_from_coreos/manifest-amd64-usr.d/a", "stage1/usr_from_kvm/manifest-amd64-usr.d/b");
    let fixture = Fixture::new(&[one, other]);
    fs::write(fixture.path(one), "bin/x\n".repeat(14_000)).unwrap();
    assert!(fixture.read().is_ok());
    fs::write(fixture.path(other), "bin/x\n".repeat(14_000)).unwrap();
    assert!(fixture.error().contains("the manifests have more than 15000 lines"));
}

#[test]
fn directory_of_many_manifests_is_refused() {
    let fixture = Fixture::new(&[BASH]);
    let directory = fixture.path(BASH).parent().unwrap().to_owned();
    // 4,999 in each directory, then 5,001 in one.
    for number in 1..layout::MAX_ENTRIES {
        fs::File::create(directory.join(format!("m{number}"))).unwrap();
    }
    assert!(fixture.read().is_ok());
    let other = fixture.path("stage1/usr_from_kvm");
    symlink("usr_from_coreos", &other).unwrap();
    assert!(fixture.error().contains("the manifest directories have more than 5000 entries"));
    fs::remove_file(other).unwrap();
    fs::File::create(directory.join("one more")).unwrap();
    assert!(
        fixture.error().contains("manifest-amd64-usr.d has more than 5000 entries"),
        "{}",
        fixture.error()
    );
}

#[test]
fn flavors_that_share_manifests_are_bounded() {
    let fixture = Fixture::new(&[BASH]);
    let link =
        |number: usize| symlink("usr_from_coreos", fixture.path(&format!("stage1/usr_from_f{number}")));
    (1..64).for_each(|number| link(number).unwrap());
    assert!(fixture.read().is_ok());
    fs::write(fixture.path(BASH), "bin/x\n".repeat(300)).unwrap();
    assert!(fixture.error().contains("the manifests have more than 15000 lines"), "{}", fixture.error());
    link(64).unwrap();
    assert!(fixture.error().contains("stage1 has more than 64 manifest directories"), "{}", fixture.error());
}

#[test]
fn included_files_are_bounded() {
    let fixture = Fixture::new(&[BASH]);
    let directory = fixture.path(COMMON_MK).parent().unwrap().to_owned();
    let number_read = |text: &str| {
        fs::write(fixture.path(COMMON_MK), text).unwrap();
        fixture.read().unwrap().sources.included.len()
    };
    for number in 0..70 {
        fs::write(directory.join(format!("f{number}.mk")), "X := 1\n").unwrap();
        fs::write(directory.join(format!("large{number}.mk")), vec![b'#'; 200 << 10]).unwrap();
    }
    fs::write(directory.join("larger.mk"), vec![b'#'; 300 << 10]).unwrap();
    symlink("/etc/passwd", directory.join("outside.mk")).unwrap();
    let all = |name: &str| (0..70).map(|number| format!("include {name}{number}.mk\n")).collect::<String>();
    assert_eq!(number_read(&"include f1.mk f1.mk\n".repeat(1000)), 1);
    assert_eq!((number_read(&all("f")), number_read(&all("large"))), (64, 5));
    // A file that exists and is not read is unknown, not empty.
    assert_eq!(number_read("-include larger.mk outside.mk none.mk\n"), 1);
}
