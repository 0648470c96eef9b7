//! Valid inputs, at least two per entry point, and inputs that found defects.

use std::io::{Cursor, Write};

use backhand::compression::Compressor;
use backhand::{FilesystemCompressor, FilesystemWriter, NodeHeader};
use coreos_types::{Board, Vendor};
use flate2::Compression;
use flate2::write::GzEncoder;
use release_fixture::certificate::TestCertificate;
use release_fixture::elf::ElfStub;
use release_fixture::image_spec::ImageSpec;
use release_fixture::pack;
use usr::DlopenPriority;

use super::entry_points;

const ZSTD: &[u8] = include_bytes!("../../fixtures/squashfs/zstd.squashfs");
const LZ4: &[u8] = include_bytes!("../../fixtures/squashfs/lz4.squashfs");
const COMMON_MK: &[u8] = include_bytes!("../../../../stage1/usr_from_coreos/coreos-common.mk");
const SYSTEMD: &[u8] =
    include_bytes!("../../../../stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest");

pub(super) fn generate(name: &str) -> Vec<Vec<u8>> {
    match name {
        "manifest_text" => texts(&[SYSTEMD, b"b\r\na\r\n\r\n# c\n/bin/ip\n", b"\xff\xfe\n\n\0"]),
        "common_mk" => common_mk(),
        "os_release" => texts(&[
            b"ID=coreos\nVERSION_ID=1032.0.0\nPRETTY_NAME=\"CoreOS 1032.0.0 (MoreOS)\"\n",
            b"# c\n\nID='flatcar'\nNAME=a\\ b\nX=\"\\\"\\$\\`\\\\\"\nBROKEN=\"\n=\n",
        ]),
        "contents_list" => texts(&[
            b"-rwxr-xr-x  1 root    root     99192 2026-08-01 00:00 ./usr/lib64/systemd/systemd -> \n\
              lrwxrwxrwx  1 root    root         5 2016-04-29 01:29 ./usr/lib -> lib64\n\
              drwxr-xr-x  2 root    root      4096 2016-04-29 01:29 ./usr/share/a b\n",
            b"sys-apps/systemd-212-r8::coreos\nsys-apps/systemd-257.9::portage-stable\n",
        ]),
        "elf_file" => elf(),
        "dlopen_note" => texts(&[
            br#"[{"feature":"bpf","description":"Firewall","priority":"suggested","soname":["libbpf.so.1"]}]"#,
            br#"[{"soname":["libz.so.1","libz.so.2"]},{},7,[[[[[[[[]]]]]]]]]"#,
        ]),
        "tree_text" => texts(&[
            b"d\t755\tlib64\nl\t777\tlib64/libz.so.1\tlibz.so.1.2.8\nf\t755\tlib64/libz.so.1.2.8\t92160\tu\n",
            b"d\t755\tbin\nf\t4755\tbin/ping\t1\tp\nf\t644\tbin/x\t9\ti/bin/sh\ns\t600\tdev\n",
            tree_body(&image(Board::Amd64)).as_bytes(),
        ]),
        "signature_file" => signatures(),
        "gzip_stream" => images().iter().map(|image| pack::pxe_image(image).unwrap()).collect(),
        "cpio_stream" => {
            images().iter().map(|i| pack::cpio_archive(&[("usr.squashfs", &pack::squashfs(i).unwrap())]).unwrap()).collect()
        }
        "squashfs_file" => {
            images().iter().map(|image| pack::squashfs(image).unwrap()).chain(every_compressor()).collect()
        }
        other => panic!("no seeds for {other}"),
    }
}

fn texts(texts: &[&[u8]]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.to_vec()).collect()
}

fn common_mk() -> Vec<Vec<u8>> {
    let common_mk_text = String::from_utf8(COMMON_MK.to_vec()).unwrap();
    let guarded = format!("ifeq ($(_G_),)\n_G_ := x\n{common_mk_text}\nendif\n");
    let continued = common_mk_text.replace(" := ", " ::= \\\n\t").replace('\n', "\r\n");
    let loops =
        format!("CCN_A = $(CCN_B)\nCCN_B = $(CCN_A)\n{}", common_mk_text.replace("alpha", "$(CCN_A)"));
    vec![COMMON_MK.to_vec(), guarded.into_bytes(), continued.into_bytes(), loops.into_bytes()]
}

fn elf() -> Vec<Vec<u8>> {
    let library = ElfStub::library(Board::Amd64, "libsystemd-shared-257.so")
        .needs(["libc.so.6", "libcap.so.2"])
        .needs_version("libc.so.6", "GLIBC_2.38")
        .defines_versions(["SD_SHARED"])
        .runpath("$ORIGIN:/usr/lib64/systemd")
        .dlopens("libbpf.so.1", "bpf", DlopenPriority::Suggested)
        .systemd_version("257.9");
    let program = ElfStub::program(Board::Arm64).needs(["libc.so.6"]).rpath("/usr/lib64");
    let small = ElfStub::library(Board::Amd64, "libz.so.1").for_32_bit(3);
    [library, program, small, ElfStub::static_program(Board::Amd64)].iter().map(ElfStub::bytes).collect()
}

pub(super) fn image(board: Board) -> ImageSpec {
    let lib = if board == Board::Amd64 { "lib64" } else { "lib" };
    ImageSpec::new(Vendor::COREOS, board, &"1032.0.0".parse().unwrap(), "229")
        .library_with_linker_name(&format!("{lib}/libz.so.1.2.8"), "libz.so.1", &["libc.so.6"])
        .program("bin/bash", &["libc.so.6", "libz.so.1"])
        .link("bin/sh", "bash")
        .link("bin/loop", "loop")
        .link("bin/away", "/etc/passwd")
        .directory("share/empty")
        .text("share/text", &"text\n".repeat(4000))
}

fn images() -> Vec<ImageSpec> {
    Board::ALL.map(image).to_vec()
}

/// Images with a full block, a fragment, a sparse block and a symlink, for each compressor.
fn every_compressor() -> impl Iterator<Item = Vec<u8>> {
    let written = [Compressor::Gzip, Compressor::Xz].into_iter().map(|compressor| {
        let mut writer = FilesystemWriter::default();
        writer.set_compressor(FilesystemCompressor::new(compressor, None).unwrap());
        writer.set_block_size(4096);
        let header = NodeHeader { permissions: 0o755, ..NodeHeader::default() };
        writer.push_dir("lib", header).unwrap();
        let program = [ElfStub::program(Board::Amd64).needs(["libc.so.6"]).bytes(), vec![0; 9000]].concat();
        writer.push_file(Cursor::new(program), "lib/program", header).unwrap();
        writer.push_file(Cursor::new(b"ID=coreos\n".repeat(7)), "lib/os-release", header).unwrap();
        writer.push_symlink("lib", "lib64", header).unwrap();
        let mut bytes = Cursor::new(Vec::new());
        writer.write(&mut bytes).unwrap();
        bytes.into_inner()
    });
    written.chain([ZSTD.to_vec(), LZ4.to_vec()])
}

/// Lines of a serialized tree without the first and the last.
fn tree_body(image: &ImageSpec) -> String {
    let text = image.tree().to_text();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines[1..lines.len() - 1].concat()
}

fn signatures() -> Vec<Vec<u8>> {
    let certificate = TestCertificate::throwaway(1).unwrap();
    let signature = certificate.sign(b"data").unwrap();
    let both = [certificate.binary().unwrap(), signature.clone()].concat();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&signature).unwrap();
    vec![
        signature,
        certificate.armored().unwrap().into_bytes(),
        certificate.binary().unwrap(),
        both,
        gzip.finish().unwrap(),
        b"<!DOCTYPE html><html></html>".to_vec(),
    ]
    .into_iter()
    .chain(
        entry_points::KNOWN
            .into_iter()
            .flat_map(|(certificate, signature)| [certificate.to_vec(), signature.to_vec()]),
    )
    .collect()
}
