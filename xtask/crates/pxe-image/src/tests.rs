//! Tests of the whole pipeline from a stream to a tree, with generated images.
#![allow(clippy::disallowed_methods, reason = "unit tests read the fixtures")]

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Seek, Write};

use backhand::compression::Compressor;
use backhand::{FilesystemCompressor, FilesystemWriter, NodeHeader};
use expect_test::expect;

use super::inflate_limits::InflateLimits;
use super::verified_image::check_and_extract;
use super::{CheckOutcome, Digest, SignatureCheck, TempFileDir, UsrSquashfs};
use coreos_types::{Board, Result};
use openpgp_policy::{Certificate, DetachedSignatures, Pin, SHA1_CUTOFF, TrustPolicy, Verification};
use release_fixture::elf::ElfStub;
use usr::{Node, NodeKind, UsrPath};

fn squashfs(compressor: Compressor, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = FilesystemWriter::default();
    writer.set_compressor(FilesystemCompressor::new(compressor, None).unwrap());
    let header = NodeHeader { permissions: 0o644, ..NodeHeader::default() };
    let directories: BTreeSet<&str> =
        files.iter().filter_map(|(path, _)| Some(path.rsplit_once('/')?.0)).collect();
    for directory in directories {
        writer.push_dir(directory, NodeHeader { permissions: 0o755, ..header }).unwrap();
    }
    for (path, bytes) in files {
        writer.push_file(Cursor::new(bytes.to_vec()), path, header).unwrap();
    }
    writer.push_symlink("lib", "lib64", NodeHeader { permissions: 0o777, ..header }).unwrap();
    let mut out = Cursor::new(Vec::new());
    writer.write(&mut out).unwrap();
    out.into_inner()
}

fn cpio(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in members {
        let builder = cpio::newc::Builder::new(name).mode(0o100_644);
        let mut member = builder.write(&mut out, bytes.len() as u32);
        member.write_all(bytes).unwrap();
        member.finish().unwrap();
    }
    cpio::newc::trailer(&mut out).unwrap();
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that do not compress, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The bytes `from..to` of a regular file, or up to its end.
fn content(image: &UsrSquashfs, path: &str, from: u64, to: u64) -> Vec<u8> {
    let (_, layout) = image.layout(&UsrPath::new(path).unwrap()).unwrap();
    image.block_reader().unwrap().read(layout, from..layout.size.min(to)).unwrap()
}

/// The squashfs that is extracted from a stream.
fn extract(stream: impl Read) -> Result<Vec<u8>> {
    read_and_extract(stream, InflateLimits::default()).map(|(_, squashfs)| squashfs)
}

/// The outcome of the check and the squashfs that come from one read of a stream.
fn read_and_extract(stream: impl Read, limits: InflateLimits) -> Result<(CheckOutcome, Vec<u8>)> {
    let directory = tempfile::tempdir().unwrap();
    let temp_dir = TempFileDir::new(directory.path());
    let (outcome, mut file) = check_and_extract(stream, SignatureCheck::new(None), &temp_dir, limits)?;
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    Ok((outcome, bytes))
}

fn extract_error(stream: &[u8]) -> String {
    extract(stream).map(|bytes| format!("{} bytes", bytes.len())).unwrap_or_else(|error| error.to_string())
}

#[test]
fn digest_and_squashfs_come_from_one_read() {
    let image = noise(3_000_001);
    let archive = gzip(&cpio(&[(".", b""), ("etc", b""), ("./usr.squashfs", &image)]));
    let (CheckOutcome { digest, .. }, squashfs) =
        read_and_extract(archive.as_slice(), InflateLimits::default()).unwrap();
    assert_eq!(squashfs, image);
    assert_eq!(digest, Digest::sha256(&archive));
    assert_eq!(Digest::from_hex(&digest.hex()), Some(digest));
    assert_eq!(Digest::from_hex(&digest.hex().to_uppercase()), None);
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/openpgp/", $name))
    };
}

#[test]
fn digest_is_the_hash_of_the_signature() {
    let fixtures: [(&[u8], &str, &[u8]); 3] = [
        (fixture!("gpg.pgp"), "gpg-sha1.sig", fixture!("gpg-sha1.sig")),
        (fixture!("rsa.pgp"), "rsa-sha256.sig", fixture!("rsa-sha256.sig")),
        (fixture!("plain.pgp"), "sha512.sig", fixture!("sha512.sig")),
    ];
    let mut digests = String::new();
    for (certificate, signature, bytes) in fixtures {
        let certificate = Certificate::parse(certificate, "certificate").unwrap();
        let pin = Pin::built_in_or_new(certificate.fingerprint().clone(), "a test");
        let policy =
            TrustPolicy { pins: vec![Pin { sha1_until: Some(SHA1_CUTOFF), ..pin }], now: 1_767_268_800 };
        let parsed = DetachedSignatures::parse(bytes, signature).unwrap();
        let mut check = SignatureCheck::new(Some(Verification::new(&parsed, &[certificate], &policy)));
        check.read_to_end(&b"hello"[..]).unwrap();
        let digest = check.digest().unwrap();
        assert_eq!(Digest::from_hex(&digest.hex()), Some(digest));
        digests += &format!("{signature} {digest}\n");
    }
    // printf hello | sha256sum, sha512sum
    expect![[r#"
        gpg-sha1.sig sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
        rsa-sha256.sig sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
        sha512.sig sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043
    "#]]
    .assert_eq(&digests);
}

#[test]
fn appended_archives_and_padding_are_read_past() {
    let image = noise(70_000);
    let own = cpio(&[("usr/share/oem/x", b"mine")]);
    let vendor = cpio(&[("usr.squashfs", &image)]);
    let padded = [vendor.as_slice(), &[0; 300]].concat();
    for stream in [
        [gzip(&vendor), gzip(&own)].concat(),
        gzip(&[padded.as_slice(), &own].concat()),
        [gzip(&padded), vec![0; 700]].concat(),
    ] {
        assert_eq!(extract(stream.as_slice()).as_ref(), Ok(&image));
    }
}

#[test]
fn malformed_streams_are_errors() {
    let image = noise(70_000);
    let whole = gzip(&cpio(&[("usr.squashfs", &image)]));
    let second = gzip(&cpio(&[("usr.squashfs", b"mine")]));
    let mut corrupt = whole.clone();
    corrupt[whole.len() - 6] ^= 1;
    let cut_cpio = gzip(&cpio(&[("usr.squashfs", &image)])[..40_000]);
    // A member with a size divisible by four needs no padding.
    let cut_at_end = gzip(&cpio(&[("usr.squashfs", &image)])[..124 + 69_000]);
    let long_name = gzip(&cpio(&[(&"x".repeat(9000), b""), ("usr.squashfs", &image)]));
    let long_padding = gzip(&[cpio(&[("usr.squashfs", &image)]), vec![0; 2 << 20], second.clone()].concat());
    let many_members = gzip(&cpio(&vec![("x", &b""[..]); 100_000]));
    let cases: [(&str, &[u8]); 14] = [
        ("empty", b""),
        ("html", b"<!DOCTYPE html><title>404</title>"),
        ("cut", &whole[..whole.len() / 2]),
        ("cut in the trailer", &whole[..whole.len() - 3]),
        ("checksum", &corrupt),
        ("trailing garbage", &[&whole[..], b"garbage"].concat()),
        ("two images", &[&whole[..], &second].concat()),
        ("no image", &gzip(&cpio(&[("x", b"y")]))),
        ("not cpio", &gzip(&[b'x'; 200])),
        ("cut cpio", &cut_cpio),
        ("cut at the end", &cut_at_end),
        ("long name", &long_name),
        ("long padding", &long_padding),
        ("many members", &many_members),
    ];
    assert!(cases.iter().all(|(_, stream)| extract(*stream).is_err_and(|error| error.hint.is_some())));
    let errors: Vec<String> =
        cases.iter().map(|(name, stream)| format!("{name}: {}\n", extract_error(stream))).collect();
    expect![[r#"
        empty: the file is empty
        html: the file is not a gzip file: it starts with "<!DOCTYPE ht"
        cut: the gzip stream is cut short after 36960 bytes
        cut in the trailer: the gzip stream is cut short after 73918 bytes
        checksum: the gzip stream is damaged near byte 73911: incorrect data check
        trailing garbage: other data follows the gzip stream, which ends at byte 73921
        two images: the archive has usr.squashfs twice
        no image: the archive has no usr.squashfs
        not cpio: the gzipped content is not a complete cpio archive (newc): a member does not begin with 070701
        cut cpio: the archive is cut short: it has 39876 of 70000 bytes of usr.squashfs
        cut at the end: the archive is cut short: it has 69000 of 70000 bytes of usr.squashfs
        long name: the gzipped content is not a complete cpio archive (newc): a name in the archive has 9001 bytes
        long padding: the archive has more than 1048576 bytes of padding
        many members: the archive has more than 100000 members
    "#]]
    .assert_eq(&errors.concat());
}

#[test]
fn bombs_stop_at_the_limit() {
    let bomb = gzip(&cpio(&[("filler", &vec![0; 24 << 20])]));
    let within = |mib: u64| {
        let limits = InflateLimits { max: mib << 20, ..InflateLimits::default() };
        read_and_extract(bomb.as_slice(), limits).map(|_| ()).unwrap_err().to_string()
    };
    assert!(within(8).contains("more than 8 MiB"), "{}", within(8));
    // 80 MiB from some kilobytes, in an otherwise valid archive.
    let bloated = gzip(&cpio(&[("usr.squashfs", &vec![0; 80 << 20])]));
    let error = extract(bloated.as_slice()).map(|b| b.len()).unwrap_err();
    assert!(error.to_string().contains("which its size does not explain"), "{error}");
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("PXE image")), "{error:?}");
    // A file of known length may begin with data that compresses well.
    let long = [bloated.as_slice(), &gzip(&cpio(&[("filler", &noise(5 << 20))]))].concat();
    assert!(extract(long.as_slice()).is_err());
    let limits = InflateLimits { compressed_size: Some(long.len() as u64), ..InflateLimits::default() };
    assert_eq!(read_and_extract(long.as_slice(), limits).map(|read| read.1.len()), Ok(80 << 20));
}

fn image_of(bytes: &[u8]) -> Result<UsrSquashfs> {
    let directory = tempfile::tempdir().unwrap();
    let mut file = TempFileDir::new(directory.path()).create_unlinked_file()?;
    file.write_all(bytes).unwrap();
    UsrSquashfs::open_verified(file)
}

/// Every node of an image and its file info, one per line.
fn render(image: UsrSquashfs) -> String {
    let tree = image.into_lazy_tree();
    tree.read_ahead(tree.iter().map(|(path, _)| path));
    let line = |path: &UsrPath, node: &Node| match &node.kind {
        NodeKind::File { size, .. } => {
            format!("{:o} {path} {size} {:?}\n", node.mode, tree.read_file_info(path.as_str()).unwrap())
        }
        other => format!("{:o} {path} {other:?}\n", node.mode),
    };
    let text = tree.iter().map(|(path, node)| line(path, node)).collect();
    tree.check_reads().unwrap();
    text
}

#[test]
fn every_compressor_gives_the_same_tree() {
    // The files that tests/fixtures/squashfs/make.sh packs.
    let lines = "the same line again\n".repeat(20_000);
    let zeros = vec![0; 400_000];
    let files: [(&str, &[u8]); 5] = [
        ("lib/os-release", b"ID=coreos\n"),
        ("bin/script", b"#!/bin/sh\nexit\n"),
        ("share/lines", lines.as_bytes()),
        ("share/zeros", &zeros),
        ("share/empty", b""),
    ];
    let ours = [Compressor::Gzip, Compressor::Xz].map(|compressor| squashfs(compressor, &files));
    let theirs = [
        &include_bytes!("../../../tests/fixtures/squashfs/zstd.squashfs")[..],
        &include_bytes!("../../../tests/fixtures/squashfs/lz4.squashfs")[..],
    ];
    let rendered: Vec<String> =
        ours.iter().map(Vec::as_slice).chain(theirs).map(|bytes| render(image_of(bytes).unwrap())).collect();
    expect![[r#"
        755 bin Directory
        644 bin/script 15 Script("/bin/sh")
        755 lib Directory
        644 lib/os-release 10 Text("ID=coreos\n")
        777 lib64 Symlink("lib")
        755 share Directory
        644 share/empty 0 Other
        644 share/lines 400000 Other
        644 share/zeros 400000 Other
    "#]]
    .assert_eq(&rendered[0]);
    assert!(rendered.iter().all(|other| *other == rendered[0]), "{rendered:?}");
    for image in ours.iter().map(Vec::as_slice).chain(theirs) {
        let image = image_of(image).unwrap();
        let whole = |path| content(&image, path, 0, u64::MAX);
        assert!(whole("share/lines") == lines.as_bytes() && whole("share/zeros") == zeros);
    }
}

#[test]
fn file_contents_are_read_in_full_and_in_part() {
    let files: Vec<(String, Vec<u8>)> = [0, 1, 4095, 65_536, 131_071, 131_072, 131_073, 300_000, 1_000_003]
        .into_iter()
        .map(|size| (format!("f{size}"), noise(size).iter().map(|byte| byte % 16).collect()))
        .collect();
    let borrowed: Vec<(&str, &[u8])> =
        files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let image = image_of(&squashfs(Compressor::Gzip, &borrowed)).unwrap();
    for (path, bytes) in &files {
        let read = |from, to| content(&image, path, from, to);
        assert!(read(0, u64::MAX) == *bytes, "{path}");
        for (from, to) in
            [(0, 70_000), (70_000, 131_073), (131_071, 131_074), (131_072, 300_000), (299_999, 700_000)]
        {
            let (first, past) = (bytes.len().min(from), bytes.len().min(to));
            assert!(read(first as u64, to as u64) == bytes[first..past], "{path} {from} {to}");
        }
    }
}

fn read_error(count: usize, path: &str, bytes: &[u8]) -> String {
    let paths: Vec<String> = (0..count).map(|number| format!("{path}{number}")).collect();
    let files: Vec<_> = paths.iter().map(|path| (path.as_str(), bytes)).collect();
    let tree = image_of(&squashfs(Compressor::Gzip, &files)).unwrap().into_lazy_tree();
    tree.read_ahead(tree.iter().map(|(path, _)| path));
    tree.check_reads().unwrap_err().to_string()
}

#[test]
fn image_with_19_mib_of_texts_is_refused() {
    assert!(
        read_error(300, "lib/os-release-", &[b'x'; 64 << 10])
            .contains("units and similar texts have more than 16 MiB")
    );
}

#[test]
fn elf_files_above_the_limits_are_refused() {
    let names: Vec<String> = (0..1000).map(|number| format!("library{number}.so")).collect();
    let program = ElfStub::program(Board::Amd64).needs(names.iter().map(String::as_str)).bytes();
    assert!(read_error(500, "bin/program", &program).contains("names in ELF files"));
    let mut loader = ElfStub::library(Board::Amd64, "ld.so").bytes();
    loader.resize(32 << 20, 0);
    assert!(read_error(5, "bin/ld-", &loader).contains("headers and loaders have more"));
}

#[test]
fn malformed_squashfs_is_an_error_without_panic() {
    let good =
        squashfs(Compressor::Gzip, &[("lib/os-release", b"ID=coreos\n"), ("bin/noise", &noise(200_000))]);
    let outcome = |bytes: &[u8]| match image_of(bytes) {
        Ok(image) => {
            let tree = image.into_lazy_tree();
            tree.read_ahead(tree.iter().map(|(path, _)| path));
            tree.check_reads().map_or_else(|error| error.to_string(), |()| "valid".to_owned())
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(outcome(&good), "valid");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        outcome(&bytes)
    };
    expect![[r#"
        usr.squashfs is broken: it is shorter than a superblock
        usr.squashfs is broken: it does not start with the magic of squashfs, hsqs, but with 58 73 71 73 06 00 00 00 00 00 00 00
        usr.squashfs is of version 3.0, expected 4.0
        usr.squashfs is compressed with lzo; expected gzip, xz, lz4 or zstd
        usr.squashfs is compressed with an unknown compressor; expected gzip, xz, lz4 or zstd"#]]
    .assert_eq(&[outcome(b"hsqs"), with(0, b'X'), with(28, 3), with(20, 3), with(20, 9)].join("\n"));
    let is_detected = |at: &usize| with(*at, good[*at] ^ 0x55) != "valid";
    let detected = (0..96).chain(good.len() - 500..good.len()).filter(is_detected).count();
    assert!(detected > 100, "{detected}");
    for length in (0..good.len() - 4096).step_by(997) {
        assert_ne!(outcome(&good[..length]), "valid", "{length}");
    }
}

#[test]
fn hard_links_and_names_in_any_encoding_are_read() {
    // Name, inode, links, data, as GNU cpio (data after the last name) and others (after the first) write them.
    type Member<'a> = (&'a [u8], u32, u32, &'a [u8]);
    let table: [(&str, &[Member<'_>], bool); 6] = [
        ("data after the other name", &[(b"usr.squashfs", 7, 2, b""), (b"zz", 7, 2, b"image")], true),
        ("data after this name", &[(b"aa", 7, 2, b""), (b"./usr.squashfs", 7, 2, b"image")], true),
        ("data after the first name", &[(b"aa", 7, 2, b"image"), (b"usr.squashfs", 7, 2, b"")], true),
        (
            "other files with links",
            &[(b"aa", 3, 2, b"other"), (b"caf\xe9", 3, 2, b""), (b"usr.squashfs", 1, 1, b"image")],
            true,
        ),
        ("no data", &[(b"usr.squashfs", 7, 2, b""), (b"zz", 8, 2, b"other")], false),
        ("twice", &[(b"usr.squashfs", 7, 1, b"image"), (b"usr.squashfs", 8, 1, b"image")], false),
    ];
    for (what, members, expected) in table {
        let mut bytes = Vec::new();
        for &(name, inode, links, data) in members.iter().chain([&(&b"TRAILER!!!"[..], 0, 1, &b""[..])]) {
            let (name_len, size) = (name.len() as u32 + 1, data.len() as u32);
            let numbers = [inode, 0o100_644, 0, 0, links, 0, size, 0, 0, 0, 0, name_len, 0];
            bytes.extend(b"070701");
            bytes.extend(numbers.iter().flat_map(|number: &u32| format!("{number:08X}").into_bytes()));
            bytes.extend([name, b"\0"].concat());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(data);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let read = extract(gzip(&bytes).as_slice());
        assert_eq!(read.as_deref().ok(), expected.then_some(&b"image"[..]), "{what}: {read:?}");
    }
}
