//! Hostile input: the entry points of `fuzz/` with damaged valid files, and well-formed images of extreme shape.

mod forged;
mod images;
mod seeds;

#[path = "../../fuzz/entry_points.rs"]
mod entry_points;

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::e2e::is_long_run;

/// Time limit for one input, on a busy machine and without optimization.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs an entry point with one input, and saves the input if it panics or exceeds the time limit.
fn feed(name: &str, entry_point: entry_points::EntryPoint, bytes: &[u8], number: usize) {
    let start = Instant::now();
    if catch_unwind(|| entry_point(bytes)).is_err() {
        let saved = std::env::temp_dir().join(format!("hostile-{name}-{number}"));
        let _written = std::fs::write(&saved, bytes);
        panic!("{name}: input {number} panics; it is saved as {}", saved.display());
    }
    assert!(start.elapsed() < PATIENCE, "{name}: input {number} takes {:?}", start.elapsed());
}

/// A valid input with a few random defects.
fn damage(chance: &mut Chance, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(4) {
        let length = bytes.len().max(1);
        let at = chance.below(length);
        match chance.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << chance.below(8)),
            2 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = chance.next() as u8),
            3 => {
                // Wrong counts and offsets.
                let lie =
                    [[0; 8], [0xff; 8], [0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0], [0, 0, 0, 0x80, 0, 0, 0, 0]];
                let (lie, width) = (lie[chance.below(4)], [1, 2, 4, 8][chance.below(4)]);
                bytes.iter_mut().skip(at).zip(lie).take(width).for_each(|(byte, lie)| *byte = lie);
            }
            4 => {
                let end = (at + chance.below(64)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            5 => {
                let end = (at + chance.below(64)).min(bytes.len());
                let again = bytes[at.min(end)..end].to_vec();
                bytes.splice(at.min(end)..at.min(end), again);
            }
            6 => {
                let other = &seeds[chance.below(seeds.len())];
                let from = chance.below(other.len().max(1));
                bytes.truncate(at);
                bytes.extend(other.iter().skip(from));
            }
            _ => {
                let odd = chance.one_of(&[
                    "\0", "\n", "\r\n", "\\\n", "$(", "#", "\u{202e}", "=", "../", "/", "\t", "\u{feff}",
                ]);
                bytes.splice(at.min(bytes.len())..at.min(bytes.len()), odd.bytes());
            }
        }
    }
    bytes
}

/// Runs an entry point with its seeds and `times` damaged ones; forty times as many with XTASK_E2E=1.
fn check(name: &str, times: usize) {
    let (_, entry_point) = entry_points::ALL.into_iter().find(|(known, _)| *known == name).unwrap();
    let seeds = seeds::generate(name);
    assert!(seeds.len() > 1, "{name}");
    for (number, seed) in seeds.iter().chain([&Vec::new()]).enumerate() {
        feed(name, entry_point, seed, number);
    }
    let mut chance = Chance::new(11);
    let more = if is_long_run() { 40 } else { 1 };
    for number in 100..100 + times * more {
        feed(name, entry_point, &damage(&mut chance, &seeds), number);
    }
}

#[test]
fn damaged_texts_do_no_harm() {
    check("manifest_text", 3000);
    check("common_mk", 3000);
    check("os_release", 2000);
    check("contents_list", 2000);
}

#[test]
fn damaged_elf_files_do_no_harm() {
    check("elf_file", 3000);
    check("dlopen_note", 2000);
}

#[test]
fn damaged_text_forms_do_no_harm() {
    check("tree_text", 1500);
}

#[test]
fn damaged_signatures_do_no_harm() {
    check("signature_file", 1500);
}

/// Regression: a linear search for each user ID among the earlier ones took minutes.
#[test]
fn certificate_with_800_000_user_ids_is_bounded() {
    let mut bytes = seeds::generate("signature_file").swap_remove(2);
    (0..800_000u32).for_each(|id| bytes.extend([0xcd, 3, id as u8, (id >> 8) as u8, (id >> 16) as u8]));
    feed("user ids", entry_points::signature_file, &bytes, 0);
}

#[test]
fn file_with_500_signatures_is_bounded() {
    let signature = seeds::generate("signature_file").swap_remove(0);
    feed("signatures", entry_points::signature_file, &signature.repeat(500), 0);
}

#[test]
fn damaged_images_do_no_harm() {
    check("gzip_stream", 150);
    check("cpio_stream", 250);
    check("squashfs_file", 250);
}

/// Writes the seeds for cargo-fuzz to `$XTASK_SEEDS`: `XTASK_SEEDS=xtask/fuzz/corpus cargo test seeds_are_written`.
#[test]
fn seeds_are_written_for_each_entry_point() {
    let home = tempfile::tempdir().unwrap();
    let corpus = std::env::var_os("XTASK_SEEDS").map_or(home.path().to_owned(), Into::into);
    for (name, _) in entry_points::ALL {
        let directory = corpus.join(name);
        std::fs::create_dir_all(&directory).unwrap();
        for (number, seed) in seeds::generate(name).iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{number}")), seed).unwrap();
        }
        assert!(std::fs::read_dir(&directory).unwrap().count() > 1, "{name}");
    }
}
