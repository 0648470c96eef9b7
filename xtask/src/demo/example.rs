//! The guide's own example as data: the tree at 991.0.0, and the releases 991.0.0 and 1032.0.0.
//!
//! The example is built in, so that it does not depend on this repository's own stage1.

use coreos_types::{Board, Result, Vendor};
use release_fixture::image_spec::{ImageSpec, NodeSpec};
use release_fixture::infer_from_paths::with_inferred_files;

/// The release that the tree is at, with its systemd.
pub const BEFORE: (&str, &str) = ("991.0.0", "225");
/// The release that the guide goes to, with its systemd.
pub const AFTER: (&str, &str) = ("1032.0.0", "229");

/// The files of the tree: path and content.
pub const FILES: [(&str, &str); 6] = [
    ("stage1/usr_from_coreos/coreos-common.mk", include_str!("example/coreos-common.mk")),
    ("stage1/usr_from_coreos/manifest-amd64-usr.d/bash.manifest", BASH),
    ("stage1/usr_from_coreos/manifest-amd64-usr.d/journald.manifest", JOURNALD),
    ("stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest", SYSTEMD),
    ("stage1/usr_from_kvm/manifest-amd64-usr.d/ip.manifest", IP),
    ("stage1/usr_from_kvm/manifest-amd64-usr.d/sshd.manifest", SSHD),
];

/// The makefiles of the tree: this repository's own, which do not depend on a release.
pub const MAKEFILES: [(&str, &str); 5] = [
    ("stage1/Makefile", include_str!("example/Makefile")),
    ("stage1/usr_from_coreos/build-usr.mk", include_str!("example/build-usr.mk")),
    ("stage1/usr_from_coreos/pxe-image.mk", include_str!("example/pxe-image.mk")),
    ("stage1/usr_from_coreos/usr_from_coreos.mk", include_str!("example/usr_from_coreos.mk")),
    ("stage1/usr_from_kvm/usr_from_kvm.mk", include_str!("example/usr_from_kvm.mk")),
];

/// The symlinks of the tree, path and target: the kvm flavor has the manifests of the coreos flavor.
pub fn symlinks() -> [(String, String); 3] {
    ["bash", "journald", "systemd"].map(|name| {
        let file = format!("manifest-amd64-usr.d/{name}.manifest");
        (format!("stage1/usr_from_kvm/{file}"), format!("../../usr_from_coreos/{file}"))
    })
}

const BASH: &str = include_str!("example/bash.manifest");
const JOURNALD: &str = include_str!("example/journald.manifest");
const SYSTEMD: &str = include_str!("example/systemd.manifest");
const IP: &str = include_str!("example/ip.manifest");
const SSHD: &str = include_str!("example/sshd.manifest");

/// Every path that the tree lists, some more than once.
pub fn listed_paths() -> Vec<&'static str> {
    [BASH, JOURNALD, SYSTEMD, IP, SSHD].iter().flat_map(|manifest| manifest.lines()).collect()
}

/// The image of 991.0.0.
pub fn image_before() -> Result<ImageSpec> {
    Ok(image(BEFORE, &[])?.with_package_database())
}

/// The image of 1032.0.0, where systemd needs libpam.
pub fn image_after() -> Result<ImageSpec> {
    let needs_libpam = ["lib64/systemd/systemd", "lib64/systemd/systemd-logind"];
    let image = image(AFTER, &needs_libpam)?;
    let image = image.library_with_linker_name("lib64/libpam.so.0.84.1", "libpam.so.0", &["libc.so.6"]);
    Ok(image.with_package_database())
}

fn image((release, systemd): (&str, &str), needs_libpam: &[&str]) -> Result<ImageSpec> {
    let image = ImageSpec::new(Vendor::COREOS, Board::Amd64, &release.parse()?, systemd);
    let image = with_inferred_files(image, &listed_paths(), |path| {
        let libpam = needs_libpam.contains(&path).then_some("libpam.so.0");
        dt_needed(path).iter().copied().chain(libpam).map(str::to_owned).collect()
    });
    // The rest of an image, as far as it gives a download its size: bytes that gzip cannot shrink.
    Ok(image.put("share/filler", NodeSpec::Bytes(incompressible_bytes(1 << 20))))
}

/// The dependencies of a file, in the order of `DT_NEEDED`.
fn dt_needed(path: &str) -> &'static [&'static str] {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name.split_once(".so").map_or(name, |(stem, _)| stem) {
        "bash" => &["libreadline.so.6", "libncurses.so.5", "libdl.so.2", "libc.so.6"],
        "sshd" => &[
            "libcrypto.so.1.0.0",
            "libutil.so.1",
            "libz.so.1",
            "libcrypt.so.1",
            "libresolv.so.2",
            "libc.so.6",
        ],
        "ssh-keygen" => &["libcrypto.so.1.0.0", "libz.so.1", "libc.so.6"],
        "ip" => &["libdl.so.2", "libc.so.6"],
        "chmod" | "chown" => &["libc.so.6"],
        "mount" => &["libmount.so.1", "libselinux.so.1", "libc.so.6"],
        "systemd-nspawn" => {
            &["libip4tc.so.0", "libselinux.so.1", "libcap.so.2", "libblkid.so.1", "libc.so.6"]
        }
        "systemd-udevd" => &["libkmod.so.2", "libblkid.so.1", "libselinux.so.1", "libc.so.6"],
        "systemd-journald" => &["libselinux.so.1", "liblzma.so.5", "libgcrypt.so.20", "libc.so.6"],
        "libreadline" => &["libncurses.so.5", "libc.so.6"],
        "libcrypto" => &["libdl.so.2", "libz.so.1", "libc.so.6"],
        "libmount" => &["libblkid.so.1", "libuuid.so.1", "libselinux.so.1", "libc.so.6"],
        "libblkid" => &["libuuid.so.1", "libc.so.6"],
        "libselinux" => &["libpcre.so.1", "libdl.so.2", "libc.so.6"],
        "libgcrypt" => &["libgpg-error.so.0", "libc.so.6"],
        "libkmod" => &["liblzma.so.5", "libz.so.1", "libc.so.6"],
        "libcap" => &["libattr.so.1", "libc.so.6"],
        "libitm" => &["libpthread.so.0", "libgcc_s.so.1", "libc.so.6"],
        "libpcre" | "librt" => &["libpthread.so.0", "libc.so.6"],
        "libc-2.21" => &["ld-linux-x86-64.so.2"],
        "libc" | "ld-2.21" | "ld-linux-x86-64" => &[],
        _ if directory.ends_with("systemd") || name.starts_with("systemd") => {
            &["libaudit.so.1", "libseccomp.so.2", "libselinux.so.1", "libcap.so.2", "librt.so.1", "libc.so.6"]
        }
        _ => &["libc.so.6"],
    }
}

/// Bytes of a xorshift generator (Marsaglia 2003), always the same.
fn incompressible_bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
