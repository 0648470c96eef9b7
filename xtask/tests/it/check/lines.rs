//! Line numbers of findings.

use std::collections::BTreeMap;

use coreos_types::Board;
use expect_test::{Expect, expect};
use manifest::plan::check_stage1_sources::check_stage1_sources;
use release_fixture::elf::ElfStub;
use release_fixture::image_spec::ImageSpec;
use usr::DlopenPriority;
use xtask::demo::example;

use super::request;
use crate::bump::{SYSTEMD, sources};

/// Verifies the guide's tree with `added` at the end of systemd.manifest, from line 117 on, against its image after
/// `change`.
fn finds(added: &str, change: impl FnOnce(ImageSpec) -> ImageSpec, expected: &Expect) {
    let mut sources = sources();
    sources.manifests.get_mut(SYSTEMD).unwrap().extend(added.bytes());
    let tree = change(example::image_before().unwrap()).tree();
    let request = request(Some(DlopenPriority::Required), None);
    let findings =
        check_stage1_sources(&sources, &request, &BTreeMap::from([(Board::Amd64, &tree)])).unwrap();
    let actual = findings.iter().map(|f| {
        assert_eq!(f.file, SYSTEMD);
        format!("{} {} {}: {}\n", f.line.unwrap(), f.severity.id(), f.kind.id(), f.message)
    });
    expected.assert_eq(&actual.collect::<String>());
}

#[test]
fn finding_has_the_number_of_its_line() {
    finds(
        "/bin/logger\nlib64/gone\n../etc/passwd\nlib64/twin\nshare\n",
        |image| {
            let image = image.program("bin/logger", &["libc.so.6"]).without("lib64/libpcre.so");
            image.text("lib64/one/twin", "one").text("lib64/other/twin", "other")
        },
        &expect![[r#"
            64 error missing: lib64/libpcre.so is redundant: the image has no symlink of this name any more; programs load libpcre.so.1
            117 warning tidy: paths are relative to /usr, without a leading slash
            118 error missing: lib64/gone is not in the image: the image has no file of this name and no certain replacement; decide whether to remove the line, or to stay with a release that has it
            119 error missing: the path is outside /usr, so it cannot be a file of the image
            120 error missing: lib64/twin is not in the image: the image has no file of this name and no certain replacement; decide whether a candidate replaces it
            121 warning tidy: share is redundant: share is a directory in this image; listed, it would add all 4 files below it
        "#]],
    );
}

/// PID 1 runs without rkt's LD_LIBRARY_PATH, and its RUNPATH contains a symlink.
#[test]
fn missing_link_of_a_runpath_is_reported() {
    let change = |image: ImageSpec| {
        let systemd = ElfStub::program(Board::Amd64).needs(["libcore.so", "libc.so.6"]);
        let systemd = systemd.runpath("/usr/lib/multiarch/systemd").systemd_version("225");
        image.link("lib64/multiarch", ".").elf("lib64/systemd/systemd", systemd).library(
            "lib64/systemd/libcore.so",
            "libcore.so",
            &["libc.so.6"],
        )
    };
    finds(
        "lib64/systemd/libcore.so\n",
        change,
        &expect![[r#"
            85 error needs-unlisted: lib64/systemd/systemd needs libcore.so; RUNPATH of lib64/systemd/systemd finds it through lib64/multiarch, which stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest does not list, and without that only LD_LIBRARY_PATH lib/systemd does
        "#]],
    );
}

#[test]
fn moved_directory_is_reported_once() {
    finds(
        "bin/mount\nlib64/old/a\nlib64/old/b\n",
        |image| image.text("lib64/new/a", "a").text("lib64/new/b", "b"),
        &expect![[r#"
            117 warning tidy: duplicate line
            118 error missing: lib64/old/a and 1 more of lib64/old moved: the image has them in lib64/new
        "#]],
    );
}

#[test]
fn dangling_listed_link_is_reported() {
    finds(
        "",
        |image| image.link("bin/mount", "none").link("bin/systemctl", "systemctl"),
        &expect![[r#"
            3 error dangling: bin/mount points to bin/none, which is not in the image
            4 error dangling: symlink loop at bin/systemctl: more than 40 symlinks
        "#]],
    );
}

#[test]
fn truncated_elf_file_is_reported() {
    finds(
        "",
        |image| image.text("bin/mount", "\u{7f}ELF\u{2}\u{1}\u{1}"),
        &expect![[r#"
            3 error wrong-machine: bin/mount has an ELF magic and is not a valid ELF file: it ends after 7 bytes, inside its ELF header
        "#]],
    );
}
