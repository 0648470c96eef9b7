//! Fixtures of the release factory: ELF stubs, images, sites and certificates match their descriptions.

use coreos_types::{Board, Vendor, Vendors};
use pxe_image::{SignatureCheck, TempFileDir, VerifiedImage};
use release_fixture::certificate::TestCertificate;
use release_fixture::elf::ElfStub;
use release_fixture::image_spec::ImageSpec;
use release_fixture::pack;
use release_fixture::site::{Site, add_signed_release};
use usr::{
    DlopenPriority, FileInfo, elf,
    identity::{self, Identity},
};

fn image(brand: &'static Vendor, board: Board) -> ImageSpec {
    let image = ImageSpec::new(brand, board, &"1032.0.0".parse().unwrap(), "229");
    let lib = image.lib_dir_name();
    image
        .program(&format!("{lib}/systemd/systemd"), &["libc.so.6"])
        .directory(&format!("{lib}/systemd/system-sleep"))
        .library_with_linker_name("lib64/libz.so.1.2.8", "libz.so.1", &["libc.so.6"])
        .library("lib64/libselinux.so.1", "libselinux.so.1", &[])
        .text("bin/script", "#!/bin/sh\n")
}

#[test]
fn elf_stub_parses_as_described() {
    for stub in [
        ElfStub::program(Board::Amd64)
            .needs(["libc.so.6", "libz.so.1"])
            .runpath("/usr/lib64/systemd:$ORIGIN"),
        ElfStub::program(Board::Arm64).needs(["libc.so.6"]).rpath("/usr/lib64").runpath("").nodeflib(),
        ElfStub::library(Board::Amd64, "libf.so").filter("liba.so").needs(["libb.so"]).auxiliary("libc.so"),
        ElfStub::static_program(Board::Arm64),
        ElfStub::library(Board::Amd64, "libx.so.1")
            .for_32_bit(3)
            .defines_versions(["X_1"])
            .needs(["libc.so.6"]),
        ElfStub::library(Board::Amd64, "libsystemd-shared-257.so")
            .needs(["libc.so.6", "ld-linux-x86-64.so.2"])
            .needs_version("libc.so.6", "GLIBC_2.38")
            .needs_version("libc.so.6", "GLIBC_2.2.5")
            .needs_version("ld-linux-x86-64.so.2", "GLIBC_2.3")
            .defines_versions(["SD_SHARED", "SD_SHARED_2"])
            .dlopens("libkmod.so.2", "kmod", DlopenPriority::Required),
    ] {
        assert_eq!(elf::parse_headers(&stub.bytes()).as_ref(), Ok(stub.info()));
    }
}

#[test]
fn image_identity_matches_brand_and_board() {
    for (brand, board) in
        Vendor::BUILT_IN.into_iter().flat_map(|brand| Board::ALL.map(|board| (brand, board)))
    {
        let tree = image(brand, board).tree();
        let identity = Identity::from_tree(&tree, &Vendors::default());
        assert_eq!((identity.vendor, identity.board), (Some(brand), Some(board)));
        assert_eq!(identity.release.unwrap().as_str(), "1032.0.0");
        assert_eq!(identity::systemd_version(&tree).unwrap().to_string(), "v229");
        assert_eq!(tree.read_file_info("bin/script"), Some(&FileInfo::Script("/bin/sh".into())));
    }
}

#[test]
fn site_is_signed_and_reproducible() {
    let certificate = TestCertificate::throwaway(1).unwrap();
    let site = || {
        let mut site = Site::new();
        add_signed_release(&mut site, &image(Vendor::COREOS, Board::Amd64), &certificate).unwrap();
        site
    };
    let first = site();
    let names: Vec<&str> =
        first.keys().map(|path| path.strip_prefix("amd64-usr/1032.0.0/").unwrap()).collect();
    assert_eq!(
        names,
        [
            "coreos_production_image_contents.txt",
            "coreos_production_image_contents.txt.sig",
            "coreos_production_image_packages.txt",
            "coreos_production_image_packages.txt.sig",
            "coreos_production_pxe_image.cpio.gz",
            "coreos_production_pxe_image.cpio.gz.sig",
            "version.txt",
            "version.txt.sig",
        ]
    );
    assert_eq!(first, site());
}

#[test]
fn packed_image_reads_as_described() {
    let directory = tempfile::tempdir().unwrap();
    for board in Board::ALL {
        let image = image(Vendor::COREOS, board).program("lib64/systemd/systemd-logind", &["libz.so.1"]);
        let packed = pack::pxe_image(&image).unwrap();
        let scratch = TempFileDir::new(directory.path());
        let verified = VerifiedImage::read_and_verify(
            "here",
            packed.as_slice(),
            None,
            SignatureCheck::new(None),
            &scratch,
        )
        .unwrap();
        let read = verified.open().unwrap().into_lazy_tree();
        read.read_ahead(read.iter().map(|(path, _)| path));
        read.check_reads().unwrap();
        assert_eq!(read, image.tree());
    }
}

#[test]
fn certificates_of_different_seeds_differ() {
    let one = TestCertificate::throwaway(1).unwrap();
    let other = TestCertificate::throwaway(2).unwrap();
    assert_ne!(one.fingerprint(), other.fingerprint());
    assert_ne!(one.binary().unwrap(), other.binary().unwrap());
    assert!(one.armored().unwrap().starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----"));
}
