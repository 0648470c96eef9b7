#![no_main]

#[path = "../entry_points.rs"]
#[allow(dead_code)]
mod entry_points;

// libFuzzer's hook ends the process at every panic. Those of the crates that read for us are caught, and are errors.
libfuzzer_sys::fuzz_target!(init: drop(std::panic::take_hook()), |bytes: &[u8]| entry_points::signature_file(bytes));
