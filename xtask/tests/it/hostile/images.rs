//! Well-formed images of extreme shape, each read in a separate process so that time and memory can be measured.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use coreos_types::{Board, Vendor};
use flate2::Compression;
use flate2::write::GzEncoder;
use release_fixture::image_spec::ImageSpec;
use release_fixture::pack;

use super::entry_points;

use crate::e2e::is_long_run;

const FILE: &str = "XTASK_TEST_IMAGE";

/// In a child process: reads the image and prints the peak memory. Otherwise starts such a child with a small image.
#[test]
fn child_reads_the_image() {
    let Some(path) = std::env::var_os(FILE) else {
        let seed = super::seeds::generate("gzip_stream").swap_remove(0);
        return read_within("a seed", &seed, Duration::from_secs(60), 256);
    };
    entry_points::gzip_stream(&fs::read(path).unwrap());
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("\nMEMORY {}", most.trim().trim_end_matches(" kB"));
}

/// Reads an image in a separate process, within these limits of time and memory.
pub(super) fn read_within(name: &str, image: &[u8], time: Duration, mebibytes: u64) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("image");
    fs::write(&path, image).unwrap();
    let start = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "hostile::images::child_reads_the_image", "--nocapture", "--test-threads=1"])
        .env(FILE, &path);
    let output = child.output().unwrap();
    let (stdout, took) = (String::from_utf8_lossy(&output.stdout), start.elapsed());
    assert!(output.status.success(), "{name}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
    let used = stdout.lines().find_map(|line| line.strip_prefix("MEMORY ")).unwrap();
    // Unlike in a run of the tool, the image itself is in memory.
    let used = used.parse::<u64>().unwrap() / 1024 - (image.len() as u64 >> 20);
    eprintln!("{name}: {} KiB of image, {took:?}, {used} MiB", image.len() >> 10);
    assert!(took < time, "{name} takes {took:?}");
    assert!(used < mebibytes, "{name} takes {used} MiB");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

pub(super) fn around(squashfs: &[u8]) -> Vec<u8> {
    gzip(&pack::cpio_archive(&[("usr.squashfs", squashfs)]).unwrap())
}

fn empty() -> ImageSpec {
    ImageSpec::new(Vendor::COREOS, Board::Amd64, &"1.0.0".parse().unwrap(), "229")
}

#[test]
fn looping_and_escaping_links_are_bounded() {
    let mut image =
        empty().link("a", "b").link("b", "a").link("self", "self").link("away", "../../../etc/passwd");
    image = image.link("abs", "/etc/shadow").link("long", &"x/".repeat(100)).link("up", "lib64/..");
    for number in 0..60 {
        image = image.link(&format!("chain{number}"), &format!("chain{}", number + 1));
    }
    read_within("links", &pack::pxe_image(&image).unwrap(), Duration::from_secs(5), 256);
}

#[test]
fn gzip_bomb_is_stopped_before_it_fills_the_disk() {
    // The searched member has zeros only, 1000 times the size of the file: a newc header (cpio(5)), then zeros.
    let mebibytes = if is_long_run() { 3072 } else { 200 };
    let mut archive = pack::cpio_archive(&[("usr.squashfs", &[0; 8])]).unwrap();
    let header = archive.windows(12).position(|window| window == b"usr.squashfs").unwrap() - 110;
    archive[header + 54..header + 62].copy_from_slice(b"C0000000");
    archive.truncate(header + 124);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&archive).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..mebibytes).for_each(|_| gzip.write_all(&zeros).unwrap());
    read_within("bomb", &gzip.finish().unwrap(), Duration::from_secs(60), 256);
}

#[test]
fn name_of_64_kib_is_bounded() {
    let long = "n".repeat(60_000);
    if let Ok(squashfs) = pack::squashfs(&empty().text(&format!("share/{long}"), "x")) {
        read_within("name of 60,000 letters", &around(&squashfs), Duration::from_secs(5), 256);
    }
}

/// Each field of the superblock (squashfs binary format, 96 bytes) is set to a wrong value.
#[test]
fn wrong_superblock_fields_are_bounded() {
    let sound = pack::squashfs(&super::seeds::image(Board::Amd64)).unwrap();
    let fields = [4usize, 8, 12, 16, 20, 22, 24, 26, 28, 32, 40, 48, 56, 64, 72, 80, 88];
    let values: [u64; 7] = [0, 1, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX, 96];
    for field in fields {
        let width = if field < 20 {
            4
        } else if field < 32 {
            2
        } else {
            8
        };
        for (number, value) in values.iter().enumerate() {
            let mut squashfs = sound.clone();
            squashfs[field..field + width].copy_from_slice(&value.to_le_bytes()[..width]);
            super::feed("superblock", entry_points::squashfs_file, &squashfs, field * 100 + number);
        }
    }
}

/// Packs with mksquashfs: the packer of the fixture is for small images, and recurses into each directory.
#[test]
#[ignore = "needs mksquashfs, and 200,000 files on disk"]
fn image_with_200_000_files_is_bounded() {
    let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (many, deep) = (home.path().join("many"), home.path().join("deep"));
    files(&many);
    read_within("200,000 files", &mksquashfs(&many), Duration::from_secs(60), 256);
    fs::create_dir_all(deep.join("d/".repeat(1950))).unwrap();
    read_within("depth 1,950", &mksquashfs(&deep), Duration::from_secs(60), 256);
}

fn mksquashfs(root: &Path) -> Vec<u8> {
    let image = root.with_extension("squashfs");
    let output =
        Command::new("mksquashfs").arg(root).arg(&image).args(["-quiet", "-no-progress"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    around(&fs::read(&image).unwrap())
}

fn files(root: &Path) {
    for directory in 0..100 {
        let directory = root.join(format!("share/{directory}"));
        fs::create_dir_all(&directory).unwrap();
        for number in 0..1000 {
            fs::write(directory.join(format!("a file with a name of some length {number}")), b"x").unwrap();
            symlink(format!("../0/{number}"), directory.join(format!("link{number}"))).unwrap();
        }
    }
}
