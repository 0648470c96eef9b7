//! The parsers of untrusted bytes, each as a function that must return without panic for any input.
//!
//! cargo-fuzz calls them from `fuzz_targets/`, and `cargo test` from `tests/it/hostile.rs`.

use std::io::{Cursor, Write};
use std::sync::LazyLock;

use coreos_types::{Board, SystemdVersion, Vendors};
use flate2::Compression;
use flate2::write::GzEncoder;
use manifest::common_mk::CommonMk;
use manifest::editor::ManifestEditor;
use manifest::file::ManifestFile;
use openpgp_policy::{Certificate, DetachedSignatures, TrustPolicy, Verification, VerificationResults};
use pxe_image::{Digest, SignatureCheck, TempFileDir, VerifiedImage};
use release_fixture::pack;
use usr::{
    UsrPath, UsrTree, elf, file_info,
    identity::{Identity, files_to_identify, parse_shell_assignments},
    published_lists::{parse_contents, systemd_version_from_packages},
};

/// A certificate and a signature among the fixtures.
macro_rules! known {
    ($certificate:literal, $signature:literal) => {
        (
            include_bytes!(concat!("../tests/fixtures/openpgp/", $certificate)),
            include_bytes!(concat!("../tests/fixtures/openpgp/", $signature)),
        )
    };
}

/// An entry point, which accepts any bytes.
pub(crate) type EntryPoint = fn(&[u8]);

/// Every entry point by the name of its fuzz target.
pub(crate) const ALL: [(&str, EntryPoint); 11] = [
    ("manifest_text", manifest_text),
    ("common_mk", common_mk),
    ("elf_file", elf_file),
    ("dlopen_note", dlopen_note),
    ("os_release", os_release),
    ("contents_list", contents_list),
    ("tree_text", tree_text),
    ("signature_file", signature_file),
    ("gzip_stream", gzip_stream),
    ("cpio_stream", cpio_stream),
    ("squashfs_file", squashfs_file),
];

/// A manifest is serialized byte for byte as it was read, and inserting a line keeps all others.
pub(crate) fn manifest_text(bytes: &[u8]) {
    let text = ManifestFile::parse(bytes);
    assert_eq!(text.to_bytes(), bytes);
    let files = [("m".to_owned(), bytes.to_vec())].into();
    let Some(mut editor) = ManifestEditor::open_all(&files).remove("m") else { return };
    editor.add("lib64/libpam.so.0", "fuzzing");
    let again = ManifestFile::parse(&editor.edited_file().to_bytes());
    let is_new = editor.revision() > 0;
    assert_eq!(again.entries().count(), text.entries().count() + usize::from(is_new));
}

/// coreos-common.mk is refused, or can be edited and then has the new values.
pub(crate) fn common_mk(bytes: &[u8]) {
    let Ok(mut mk) = CommonMk::parse(bytes) else { return };
    assert_eq!(mk.as_bytes(), bytes);
    let Ok(release) = "1032.0.0".parse() else { return };
    if mk.set_release(&release).is_ok() && mk.set_systemd(SystemdVersion(229)).is_ok() {
        assert_eq!((mk.release(), mk.systemd()), (&release, SystemdVersion(229)));
    }
    let _url = mk.url(Board::Arm64);
    let _moved = mk.vendor().map(|brand| mk.set_vendor(brand, None));
}

/// An ELF file, as such and as the file of an image.
pub(crate) fn elf_file(bytes: &[u8]) {
    let _info = elf::parse_headers(bytes);
    if let Ok(path) = UsrPath::new("lib64/systemd/libsystemd-shared-257.so") {
        let _facts = file_info::inspect(&path, bytes);
    }
}

/// The JSON of a `.note.dlopen`, in the smallest ELF file that has one.
pub(crate) fn dlopen_note(bytes: &[u8]) {
    let padded = bytes.len().next_multiple_of(4);
    let (header, program_header, note) = (64u64, 56u64, 12 + 4 + padded as u64);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // e_type to e_version; e_entry, e_phoff, e_shoff; e_flags; sizes and counts.
    file.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    [0, header, 0].iter().for_each(|word: &u64| file.extend(word.to_le_bytes()));
    file.extend([0; 4]);
    [64u16, 56, 1, 64, 0, 0].iter().for_each(|half| file.extend(half.to_le_bytes()));
    // PT_NOTE, readable, at the end of the file.
    file.extend([4, 0, 0, 0, 4, 0, 0, 0]);
    let at = header + program_header;
    [at, at, at, note, note, 4].iter().for_each(|word| file.extend(word.to_le_bytes()));
    let words = [4u32, bytes.len() as u32, 0x407c_0c0a];
    words.iter().for_each(|word| file.extend(word.to_le_bytes()));
    file.extend(b"FDO\0");
    file.extend(bytes);
    file.resize((at + note) as usize, 0);
    elf_file(&file);
}

/// The variables of os-release and similar files.
pub(crate) fn os_release(bytes: &[u8]) {
    let _variables = parse_shell_assignments(&String::from_utf8_lossy(bytes));
}

/// The published lists of an image's files and packages.
pub(crate) fn contents_list(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let tree = parse_contents(&text).unwrap_or_default();
    tree.iter().take(64).for_each(|(path, _)| drop(tree.resolve(path)));
    let _version = systemd_version_from_packages(&text);
}

/// The text form of a tree, with and without a valid checksum; a tree that was read is written unchanged.
pub(crate) fn tree_text(bytes: &[u8]) {
    let _refused = UsrTree::from_text(bytes);
    let mut whole = b"usr-tree 5\n".to_vec();
    whole.extend(bytes);
    let checksum = format!("sha256 {}\n", Digest::sha256(&whole).hex());
    whole.extend(checksum.bytes());
    if let Ok(tree) = UsrTree::from_text(&whole) {
        let again = UsrTree::from_text(tree.to_text().as_bytes());
        assert_eq!(again.as_ref(), Ok(&tree));
        let _identity = Identity::from_tree(&tree, &Vendors::default());
        tree.iter().take(64).for_each(|(path, _)| drop(tree.resolve(path)));
    }
}

/// The time of verification, late in 2023.
const NOW: u64 = 1_700_000_000;

/// Certificates with keys of every kind that signs, and a signature by each.
pub(crate) const KNOWN: [(&[u8], &[u8]); 5] = [
    known!("plain.pgp", "no-issuer.sig"),
    known!("rsa.pgp", "rsa-sha256.sig"),
    known!("gpg-nistp256.pgp", "gpg-nistp256.sig"),
    known!("gpg-ed25519.pgp", "gpg-ed25519.sig"),
    known!("v6.pgp", "v6.sig"),
];
static CERTIFICATES: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
    let read = |(certificate, _): &(&[u8], &[u8])| Certificate::parse(certificate, "known").ok();
    KNOWN.iter().filter_map(read).collect()
});

/// A `.sig` under both vendors' pins and under the keys of the fixtures, and the same bytes as a trusted certificate
/// with the signatures of the fixtures.
pub(crate) fn signature_file(bytes: &[u8]) {
    let own = Certificate::parse_all(bytes, "bytes").unwrap_or_default();
    if let Ok(signature) = DetachedSignatures::parse(bytes, "bytes") {
        let vendors = verdicts(&signature, &own, &TrustPolicy::for_vendors(&Vendors::default(), NOW));
        assert!(vendors.first_good().is_none(), "bytes of nobody's are signed by a vendor");
        let _any = verdicts(&signature, &CERTIFICATES, &TrustPolicy::from_certificates(&CERTIFICATES, NOW));
    }
    if !own.is_empty() {
        let policy = TrustPolicy::from_certificates(&own, NOW);
        let known =
            KNOWN.iter().filter_map(|(_, signature)| DetachedSignatures::parse(signature, "known").ok());
        known.for_each(|signature| drop(verdicts(&signature, &own, &policy)));
    }
}

fn verdicts(
    signature: &DetachedSignatures,
    certificates: &[Certificate],
    policy: &TrustPolicy,
) -> VerificationResults {
    let mut verification = Verification::new(signature, certificates, policy);
    verification.update(include_bytes!("../tests/fixtures/openpgp/signed-file"));
    verification.finish()
}

/// A `.cpio.gz` stream.
pub(crate) fn gzip_stream(bytes: &[u8]) {
    let temp_dir = TempFileDir::new(&std::env::temp_dir());
    let Ok(verified) = VerifiedImage::read_and_verify(
        "bytes",
        Cursor::new(bytes),
        None,
        SignatureCheck::new(None),
        &temp_dir,
    ) else {
        return;
    };
    let Ok(image) = verified.open() else { return };
    let identity = files_to_identify(image.tree(), &Vendors::default());
    let some: Vec<UsrPath> =
        image.tree().iter().take(200).map(|(path, _)| path.clone()).chain(identity).collect();
    let tree = image.into_lazy_tree();
    tree.read_ahead(&some);
    let _error = tree.check_reads();
    some.iter().for_each(|path| drop(tree.resolve(path)));
    assert_eq!(UsrTree::from_text(tree.to_text().as_bytes()).as_ref(), Ok(&tree));
}

/// The cpio archive in a `.cpio.gz`.
pub(crate) fn cpio_stream(bytes: &[u8]) {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    if gzip.write_all(bytes).is_ok() {
        gzip_stream(&gzip.finish().unwrap_or_default());
    }
}

/// The squashfs in a cpio archive.
pub(crate) fn squashfs_file(bytes: &[u8]) {
    if let Ok(archive) = pack::cpio_archive(&[("usr.squashfs", bytes)]) {
        cpio_stream(&archive);
    }
}
