//! The worst manifests and images that the limits accept: `cargo bench --profile dev --bench worst`. Prints CPU time and
//! peak memory of `verify-manifests`, with and without `--fix --dry-run`; the goal is 2 s and 128 MiB for each. Needs the
//! Debian package time.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use coreos_types::{Board, Vendor};
use release_fixture::elf::ElfStub;
use release_fixture::image_spec::{ImageSpec, NodeSpec};
use release_fixture::pack;
use xtask::demo::example;

const MANIFESTS: &str = "tree/stage1/usr_from_coreos/manifest-amd64-usr.d";

fn main() {
    let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>();
    let names = |count: usize, name: &str| lines(count, &|at| format!("{name}{at}.so"));
    measure("14,500 missing lines", image(), &lines(14_500, &|at| format!("lib64/libq{at}.so.1")));
    measure("14,500 malformed lines", image(), &lines(14_500, &|at| format!("/lib64/libq{at}.so.1")));
    measure("14,500 comments", image(), &lines(14_500, &|at| format!("# {at}")));
    let chain = (0..8000).fold(image().program("bin/p", &["libd0.so"]), |image, at| {
        image.library(
            &format!("lib64/libd{at}.so"),
            &format!("libd{at}.so"),
            &[&format!("libd{}.so", at + 1)],
        )
    });
    measure("libraries 8,000 deep", chain.clone(), &["bin/p".to_owned()]);
    measure("libraries 8,000 deep, all listed", chain, &names(8000, "lib64/libd"));
    let all = names(400, "libm");
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mutual = all.iter().fold(image().program("bin/p", &["libm0.so"]), |image, name| {
        image.library(&format!("lib64/{name}"), name, &all)
    });
    measure("400 libraries that need each other", mutual, &["bin/p".to_owned()]);
    let thirty = names(30, "libx");
    let thirty: Vec<&str> = thirty.iter().map(String::as_str).collect();
    let programs = lines(3000, &|at| format!("bin/p{at}"));
    let missing = programs.iter().fold(image(), |image, path| image.program(path, &thirty));
    measure("3,000 programs without 30 libraries", missing.clone(), &programs);
    let unlisted =
        thirty.iter().fold(missing, |image, name| image.library(&format!("lib64/{name}"), name, &[]));
    measure("3,000 programs, 30 unlisted libraries", unlisted, &programs);
    let links = lines(4000, &|at| format!("lib64/l{at}"));
    let linked = links.iter().fold(image(), |image, path| {
        let target = format!("{path}.target");
        image.link(path, target.rsplit('/').next().unwrap()).put(&target, NodeSpec::Bytes(vec![0]))
    });
    measure("4,000 links to unlisted files", linked, &links);
    let units = lines(4000, &|at| format!("lib64/systemd/system/u{at}.service"));
    let started = units.iter().enumerate().fold(image(), |image, (at, path)| {
        let text = format!("[Service]\nExecStart=/usr/bin/x{at}\n");
        image.put(path, NodeSpec::Bytes(text.into_bytes())).program(&format!("bin/x{at}"), &[])
    });
    measure("4,000 units of unlisted programs", started, &units);
    let long = |at: usize| format!("/{}{at}", "a".repeat(260));
    measure("1,900 malformed lines of 270 bytes", image(), &lines(1_900, &long));
    measure(
        "malformed lines of NUL bytes",
        image(),
        &lines(5_000, &|at| format!("/{}{at}", "\0".repeat(97))),
    );
    measure("14,500 old libraries", image(), &lines(14_500, &|at| format!("lib64/libq{}.so.{at}", at % 15)));
    measure_with("200 patterns of stars", image(), &lines(1_900, &long), &accepted(&"a*".repeat(280)));
    measure_with("200 patterns with a suffix", image(), &lines(1_900, &long), &accepted("**/x"));
    loader_cases();
}

/// 200 accepted patterns that begin and end so that each path has to be compared with most of them.
fn accepted(pattern: &str) -> String {
    let entry =
        |at: usize| format!("[[accept]]\nkind = \"tidy\"\npath = \"**{pattern}{at}/\"\nreason = \"r\"\n");
    (0..200).map(entry).collect()
}

/// Programs and libraries with long search paths.
fn loader_cases() {
    let names = |count: usize, name: &str| (0..count).map(|at| format!("{name}{at}")).collect::<Vec<_>>();
    let directories = names(64, "lib64/r");
    let runpath = directories.iter().map(|path| format!("/usr/{path}")).collect::<Vec<_>>().join(":");
    let last = &directories[63];
    let with_directories = || directories.iter().fold(image(), |image, path| image.directory(path));
    let library = |name: &str, needs: &[String]| {
        ElfStub::library(Board::Amd64, name).needs(needs.iter().map(String::as_str)).runpath(&runpath)
    };
    let program = |needs: &[String]| {
        ElfStub::program(Board::Amd64).needs(needs.iter().map(String::as_str)).runpath(&runpath)
    };
    let next = |at: usize| (1..12).map(|more| format!("libd{}.so", (at + more) % 1023)).collect::<Vec<_>>();
    let chain = (0..1023).fold(with_directories().elf("bin/p", program(&next(0))), |image, at| {
        let name = format!("libd{at}.so");
        image.elf(&format!("{last}/{name}"), library(&name, &next(at)))
    });
    measure("1,023 libraries, 11 needed, 64 dirs", chain.clone(), &["bin/p".to_owned()]);
    let all: Vec<String> =
        (0..1023).map(|at| format!("{last}/libd{at}.so")).chain(["bin/p".to_owned()]).collect();
    measure("the same, all listed", chain.clone(), &all);
    let programs = names(1000, "bin/p");
    let many = programs.iter().fold(chain, |image, path| image.elf(path, program(&next(0))));
    measure("1,000 programs of them", many, &programs);
    let absent = |at: usize| (0..11).map(|more| format!("libm{at}_{more}.so")).collect::<Vec<_>>();
    let all = (0..1023).map(|at| format!("libd{at}.so")).collect::<Vec<_>>();
    let missing = (0..1023).fold(with_directories().elf("bin/p", program(&all)), |image, at| {
        let name = format!("libd{at}.so");
        image.elf(&format!("{last}/{name}"), library(&name, &absent(at)))
    });
    measure("11,253 missing names, 64 dirs", missing.clone(), &["bin/p".to_owned()]);
    let many = programs[..200].iter().fold(missing, |image, path| image.elf(path, program(&all)));
    measure("200 programs of them, missing", many, &programs[..200]);
    let names_limit =
        programs[..300].iter().fold(image(), |image, path| image.elf(path, program(&all[..1000])));
    measure("300,000 needed names", names_limit, &programs[..300]);
}

fn image() -> ImageSpec {
    ImageSpec::new(Vendor::COREOS, Board::Amd64, &example::BEFORE.0.parse().unwrap(), "225")
        .program("lib64/systemd/systemd", &[])
}

fn measure(name: &str, image: ImageSpec, lines: &[String]) {
    measure_with(name, image, lines, "");
}

/// As [`measure`], with a file of accepted findings.
fn measure_with(name: &str, image: ImageSpec, lines: &[String], accepted: &str) {
    if std::env::args().nth(1).is_some_and(|filter| !filter.starts_with('-') && !name.contains(&filter)) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let put = |path: &str, bytes: &[u8]| {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    for (path, content) in example::FILES.iter().filter(|(path, _)| !path.ends_with(".manifest")) {
        put(&format!("tree/{path}"), content.as_bytes());
    }
    for (at, lines) in lines.chunks(3800).enumerate() {
        put(&format!("{MANIFESTS}/worst{at}.manifest"), format!("{}\n", lines.join("\n")).as_bytes());
    }
    put(&format!("tree/{}", manifest::accepted_findings::ACCEPTED_FINDINGS_TOML), accepted.as_bytes());
    put("image", &pack::pxe_image(&image).unwrap());
    let results = [&[][..], &["--fix", "--dry-run", "--drop-missing"]].map(|more| run(home.path(), more));
    println!("{name:<40} check {}  fix {}", results[0], results[1]);
}

/// CPU seconds, MiB and exit code of one run with an empty cache.
fn run(home: &Path, more: &[&str]) -> String {
    let output = Command::new("/usr/bin/time")
        .args(["-q", "-f", "%U %S %M", "-o", "time", env!("CARGO_BIN_EXE_xtask"), "--format", "json"])
        .args(["--repo", "tree", "verify-manifests", "--image", "image", "--unsigned"])
        .args(more)
        .current_dir(home)
        .env("XTASK_CACHE_DIR", home.join(format!("cache{}", more.len())))
        .output()
        .unwrap();
    let text = fs::read_to_string(home.join("time")).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let code = output.status.code().unwrap();
    assert!(code < 2, "{}", String::from_utf8_lossy(&output.stdout));
    format!("{:>5.2} s {:>4.0} MiB exit {code}", numbers[0] + numbers[1], numbers[2] / 1024.0)
}
