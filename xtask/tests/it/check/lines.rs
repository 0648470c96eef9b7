//! At which line each mistake is told.

use std::collections::BTreeMap;

use coreos_types::release::Board;
use expect_test::{Expect, expect};
use manifest::plan::bump::verify;
use release_fixture::elf::ElfStub;
use release_fixture::image::ImageSpec;
use usr::elf::DlopenPriority;
use xtask::demo::example;

use super::request;
use crate::bump::{SYSTEMD, sources};

/// The guide's tree with these lines at the end of systemd.manifest, from line 117 on, against its image after
/// `change`.
fn finds(added: &str, change: impl FnOnce(ImageSpec) -> ImageSpec, expected: &Expect) {
    let mut sources = sources();
    sources.manifests.get_mut(SYSTEMD).unwrap().extend(added.bytes());
    let tree = change(example::image_before().unwrap()).tree();
    let request = request(Some(DlopenPriority::Required), None);
    let findings = verify(&sources, &request, &BTreeMap::from([(Board::Amd64, &tree)])).unwrap();
    let told = findings.iter().map(|f| {
        assert_eq!(f.file, SYSTEMD);
        format!("{} {} {}: {}\n", f.line.unwrap(), f.severity.id(), f.kind.id(), f.message)
    });
    expected.assert_eq(&told.collect::<String>());
}

#[test]
fn each_line_is_told_by_its_own_number() {
    finds(
        "/bin/logger\nlib64/gone\n../etc/passwd\nlib64/twin\nshare\n",
        |image| {
            let image = image.program("bin/logger", &["libc.so.6"]).without("lib64/libpcre.so");
            image.text("lib64/one/twin", "one").text("lib64/other/twin", "other")
        },
        &expect![[r#"
            64 error missing: lib64/libpcre.so is redundant: the image has no symlink of this name any more; programs load libpcre.so.1
            117 warning tidy: paths are relative to /usr, without a leading slash
            118 error missing: lib64/gone is not in the image: the image has no file of this name, and none that is certain to replace it
            119 error missing: the path leaves /usr, so it cannot be a file of the image
            120 error missing: lib64/twin is not in the image: the image has no file of this name, and none that is certain to replace it
            121 warning tidy: share is redundant: share is a directory in this image; listed, it would add all 4 files below it
        "#]],
    );
}

/// rkt's LD_LIBRARY_PATH is not there for PID 1, and its RUNPATH leads through a link.
#[test]
fn a_link_that_a_runpath_needs() {
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
fn what_moved_together_is_told_once() {
    finds(
        "bin/mount\nlib64/old/a\nlib64/old/b\n",
        |image| image.text("lib64/new/a", "a").text("lib64/new/b", "b"),
        &expect![[r#"
            117 warning tidy: the line is there already
            118 error missing: lib64/old/a and 1 more of lib64/old moved: the image has them in lib64/new
        "#]],
    );
}

#[test]
fn a_listed_link_that_leads_nowhere() {
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
fn a_file_that_only_begins_as_elf() {
    finds(
        "",
        |image| image.text("bin/mount", "\u{7f}ELF\u{2}\u{1}\u{1}"),
        &expect![[r#"
            3 error wrong-machine: bin/mount has an ELF magic and is not a valid ELF file: Invalid ELF header size or alignment
        "#]],
    );
}
