//! Library search of the image's loader: several copies, private libraries, filters, processor levels, and programs
//! that other programs start.

use coreos_types::Board;
use expect_test::expect;
use release_fixture::elf::ElfStub;
use release_fixture::image_spec::NodeSpec;

use super::row::Row;

fn program(needs: &[&str]) -> ElfStub {
    ElfStub::program(Board::Amd64).needs(needs.iter().copied())
}

fn library(soname: &str, needs: &[&str]) -> ElfStub {
    ElfStub::library(Board::Amd64, soname).needs(needs.iter().copied())
}

#[test]
fn copy_with_the_needed_version_is_added() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/old", "bin/x", "lib64/libq.so.1"])
        .with_image(|image| {
            let versions = |names: &[&str]| library("libq.so.1", &[]).defines_versions(names.iter().copied());
            let x = program(&["libq.so.1"]).runpath("/usr/lib64/x").needs_version("libq.so.1", "Q_2");
            image
                .elf("bin/old", program(&["libq.so.1"]).needs_version("libq.so.1", "Q_1"))
                .elf("bin/x", x)
                .elf("lib64/libq.so.1", versions(&["Q_1"]))
                .elf("lib64/x/libq.so.1", versions(&["Q_1", "Q_2"]))
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/x/libq.so.1
        "#]]);
}

#[test]
fn copy_with_satisfied_dependencies_is_added() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libq.so.1"])
        .with_image(|image| {
            image
                .elf("bin/x", program(&["libq.so.1"]).rpath("/usr/libexec/x"))
                .elf("libexec/x/libq.so.1", library("libq.so.1", &[]))
                .elf("lib64/libq.so.1", library("libq.so.1", &["libnowhere.so.9"]))
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a libexec/x/libq.so.1
            LEFT   needs-nowhere coreos/amd64/a:2 libnowhere.so.9 needed by lib64/libq.so.1
        "#]]);
}

#[test]
fn copy_that_can_be_loaded_is_added() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libq.so.1"])
        .with_image(|image| {
            image
                .elf("bin/x", program(&["libq.so.1"]).runpath("/usr/lib64/x"))
                .elf("lib64/x/libq.so.1", library("libq.so.1", &[]))
                .text("lib64/libq.so.1", "INPUT(-lq)\n")
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/x/libq.so.1
        "#]]);
}

#[test]
fn private_libraries_of_one_name_are_two_dependencies() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/p1", "bin/p2"])
        .with_image(|image| {
            image
                .elf("bin/p1", program(&["libq.so"]).runpath("/usr/lib64/p1"))
                .elf("bin/p2", program(&["libq.so"]).runpath("/usr/lib64/p2"))
                .elf("lib64/p1/libq.so", library("libq.so", &[]))
                .elf("lib64/p2/libq.so", library("libq.so", &[]))
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/p1/libq.so
            add    coreos/amd64/a lib64/p2/libq.so
        "#]]);
    // `$ORIGIN/libq.so` also names two libraries.
    Row::amd64()
        .with_manifest("coreos/a", &["lib64/p1/liba.so", "lib64/p2/libb.so"])
        .with_image(|image| {
            image
                .elf("lib64/p1/liba.so", library("liba.so", &["$ORIGIN/libq.so"]))
                .elf("lib64/p2/libb.so", library("libb.so", &["$ORIGIN/libq.so"]))
                .elf("lib64/p1/libq.so", library("libq.so", &[]))
                .elf("lib64/p2/libq.so", library("libq.so", &[]))
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/p1/libq.so
            add    coreos/amd64/a lib64/p2/libq.so
        "#]]);
}

#[test]
fn library_that_answers_by_its_soname_is_found() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x"])
        .with_image(|image| {
            image
                .elf("bin/x", program(&["libncurses.so.6", "libform.so.6", "libc.so.6"]))
                .elf("lib64/libncurses.so.6", library("libncursesw.so.6", &[]))
                .elf("lib64/libform.so.6", library("libform.so.6", &["libncursesw.so.6"]))
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libform.so.6
            add    coreos/amd64/a lib64/libncurses.so.6
        "#]]);
    let libc = library("libc.so.6", &["ld-linux-x86-64.so.2"]);
    Row::amd64()
        .with_manifest("coreos/base", &["lib", "lib64/libc.so.6"])
        .with_manifest("coreos/a", &["bin/x"])
        .with_image(|image| image.elf("lib64/libc.so.6", libc).program("bin/x", &["libc.so.6"]))
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/ld-linux-x86-64.so.2
            add    coreos/amd64/base lib64/ld-linux-x86-64.so.2
        "#]]);
}

#[test]
fn filter_is_a_dependency_and_auxiliary_is_not() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/libx.so", "lib64/liby.so"])
        .with_image(|image| {
            image
                .elf("bin/x", program(&["libx.so", "liby.so"]))
                .elf("lib64/libx.so", library("libx.so", &[]).filter("libf.so"))
                .elf("lib64/liby.so", library("liby.so", &[]).auxiliary("libg.so"))
                .elf("lib64/libf.so", library("libf.so", &[]))
                .elf("lib64/libg.so", library("libg.so", &[]))
        })
        .assert_bump(&expect![[r#"
            add    coreos/amd64/a lib64/libf.so
        "#]]);
}

#[test]
fn library_for_newer_processors_alone_is_nowhere() {
    Row::amd64()
        .with_manifest("coreos/a", &["bin/x", "lib64/glibc-hwcaps/x86-64-v3/libq.so.1"])
        .with_image(|image| {
            image
                .elf("bin/x", program(&["libq.so.1"]))
                .elf("lib64/glibc-hwcaps/x86-64-v3/libq.so.1", library("libq.so.1", &[]))
        })
        .assert_bump(&expect![[r#"
            LEFT   needs-nowhere coreos/amd64/a:1 libq.so.1 candidates lib64/glibc-hwcaps/x86-64-v3/libq.so.1 needed by bin/x
        "#]]);
}

#[test]
fn programs_that_sshd_starts_are_added() {
    let sshd = |paths: &[&str]| {
        let text: String = paths.iter().flat_map(|path| ["\0", path]).collect();
        [program(&["libc.so.6"]).bytes(), text.into_bytes(), vec![0]].concat()
    };
    let row = |paths: &[&str]| {
        let bytes = sshd(paths);
        Row::amd64().with_manifest("coreos/a", &["bin/sshd"]).with_image(|image| {
            image
                .put("bin/sshd", NodeSpec::Bytes(bytes))
                .program("libexec/openssh/sshd-session", &["libc.so.6"])
                .program("lib64/misc/sshd-session", &["libc.so.6"])
                .program("libexec/openssh/sshd-auth", &["libc.so.6"])
        })
    };
    // If the string has no path, the only program of that name is used.
    row(&["/usr/lib64/misc/sshd-session"]).assert_bump(&expect![[r#"
        add    coreos/amd64/a libexec/openssh/sshd-auth
        add    coreos/amd64/a lib64/misc/sshd-session
    "#]]);
    row(&["/usr/libexec/openssh/sshd-session", "/usr/libexec/openssh/sshd-auth"]).assert_bump(&expect![[
        r#"
        add    coreos/amd64/a libexec/openssh/sshd-auth
        add    coreos/amd64/a libexec/openssh/sshd-session
    "#
    ]]);
}
