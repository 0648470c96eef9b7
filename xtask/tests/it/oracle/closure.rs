//! Random images: manifests that list only programs are fixed, and run with the loader of this machine.
//!
//! Each image has ELF files made by as(1) and ld(1): libraries in searched and in private directories, behind
//! symlinks, with RPATH, RUNPATH, versions, filters, and copies of one name that are older, for another machine, or
//! not ELF. A program that runs in the whole image must run in a root filesystem with only the listed files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coreos_types::{Board, Flavor};
use manifest::finding::Severity;
use manifest::plan::bump::{BumpOptions, BumpPlan, plan_bump};
use manifest::rules::lint_and_fix::FixOptions;
use manifest::stage1_sources::{ManifestRef, Stage1Sources};
use release_fixture::elf::ElfStub;
use tempfile::TempDir;

use super::output;
use super::release::read_tree;
use crate::chance::Chance;

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const IMAGES: u64 = 200;
/// The first seed, for one image per seed from here on. The range includes seeds that found defects.
const FIRST_SEED: u64 = 20_000;

/// Library directories: three of the default search path of the loader, the one in `LD_LIBRARY_PATH`, private ones.
const DIRECTORIES: [&str; 8] = [
    "lib",
    "lib/x86_64-linux-gnu",
    "lib/systemd",
    "lib/own",
    "lib/other",
    "opt/one",
    "opt/two/lib",
    "libexec/three",
];

/// A directory as a search path entry: absolute, through a symlink, or relative to `$ORIGIN`.
fn search_entry(chance: &mut Chance, directory: &str) -> String {
    match chance.below(4) {
        0 => format!("$ORIGIN/../{}{directory}", "../".repeat(chance.below(2))),
        1 if directory == "lib/own" => "/usr/alias".to_owned(),
        2 if directory.starts_with("lib/") => format!("/{directory}"),
        _ => format!("/usr/{directory}"),
    }
}

/// One image on disk: a root filesystem with all files of the image.
struct Image {
    root: TempDir,
    scratch: TempDir,
    chance: Chance,
    /// For each library, a copy that defines both versions, for the linker.
    newest: Vec<(String, PathBuf)>,
    programs: Vec<String>,
}

impl Image {
    fn new(seed: u64) -> Image {
        let (root, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        make_root_links(root.path());
        let mut image =
            Image { root, scratch, chance: Chance::new(seed), newest: Vec::new(), programs: Vec::new() };
        for directory in DIRECTORIES.iter().chain(&["lib64", "bin"]) {
            fs::create_dir_all(image.usr().join(directory)).unwrap();
        }
        fs::copy(LOADER, image.usr().join("lib64/ld-linux-x86-64.so.2")).unwrap();
        symlink("lib/own", image.usr().join("alias")).unwrap();
        for nth in 0..3 + image.chance.below(6) {
            image.library(nth);
        }
        for nth in 0..2 + image.chance.below(3) {
            image.program(nth);
        }
        image
    }

    fn usr(&self) -> PathBuf {
        self.root.path().join("usr")
    }

    /// Assembles a text and links it with these options.
    fn link(&self, text: &str, into: &Path, options: &[String]) {
        let (source, object) = (self.scratch.path().join("a.s"), self.scratch.path().join("a.o"));
        fs::write(&source, text).unwrap();
        output("as", &[source.to_str().unwrap(), "-o", object.to_str().unwrap()]);
        let mut arguments = vec![object.to_str().unwrap(), "-o", into.to_str().unwrap()];
        arguments.extend(options.iter().map(String::as_str));
        output("ld", &arguments);
    }

    /// The dependencies of a new object as linker options, and calls of the symbol versions that it uses.
    fn dependencies(&mut self) -> (Vec<String>, String) {
        let mut options = vec!["--no-as-needed".to_owned(), "--allow-shlib-undefined".to_owned()];
        let mut uses = String::new();
        for (name, path) in self.newest.clone() {
            if self.chance.below(3) == 0 {
                options.push(path.to_str().unwrap().to_owned());
                let version = 1 + self.chance.below(2);
                uses += &format!("    call {}_{version}@PLT\n", name.replace(['.', '-'], "_"));
            }
        }
        (options, uses)
    }

    /// Linker options for an RPATH, for a RUNPATH, or for neither.
    fn search_path(&mut self) -> Vec<String> {
        let kind = match self.chance.below(5) {
            0 | 1 => "--enable-new-dtags",
            2 | 3 => "--disable-new-dtags",
            _ => return Vec::new(),
        };
        let count = 1 + self.chance.below(4);
        let directories: Vec<String> = (0..count)
            .map(|_| {
                let directory = DIRECTORIES[self.chance.below(DIRECTORIES.len())];
                search_entry(&mut self.chance, directory)
            })
            .collect();
        vec![kind.to_owned(), "-rpath".to_owned(), directories.join(":")]
    }

    /// A random library directory; half of the time one of the default search path.
    fn library_directory(&mut self) -> &'static str {
        let searched = self.chance.below(2) == 0;
        DIRECTORIES[self.chance.below(if searched { 3 } else { DIRECTORIES.len() })]
    }

    /// Adds one library to one to three directories; at least one copy defines both versions.
    fn library(&mut self, nth: usize) {
        let name = format!("libr{nth}.so.1");
        let copies = 1 + self.chance.below(3);
        let good = self.chance.below(copies);
        let mut newest = None;
        for copy in 0..copies {
            let directory = self.library_directory();
            let at = self.usr().join(directory).join(&name);
            if at.symlink_metadata().is_ok() {
                continue;
            }
            let kind = if copy == good { 0 } else { self.chance.below(12) };
            let real = if self.chance.below(2) == 0 {
                at.clone()
            } else {
                at.with_file_name(format!("{name}.{copy}"))
            };
            match kind {
                10 => {
                    let stub = ElfStub::library(Board::Amd64, &name).for_32_bit(3);
                    fs::write(&real, stub.bytes()).unwrap();
                }
                11 => fs::write(&real, "not ELF\n").unwrap(),
                _ => {
                    self.shared_object(&name, &real, kind < 7);
                    newest = newest.or_else(|| (kind < 7).then(|| real.clone()));
                }
            }
            if real != at {
                let target = real.file_name().unwrap().to_owned();
                symlink(
                    if self.chance.below(4) == 0 {
                        PathBuf::from("/usr").join(directory).join(target)
                    } else {
                        target.into()
                    },
                    &at,
                )
                .unwrap();
            }
        }
        self.newest.extend(newest.map(|path| (name, path)));
    }

    fn shared_object(&mut self, soname: &str, at: &Path, has_both: bool) {
        let (mut options, uses) = self.dependencies();
        options.extend(self.search_path());
        if self.chance.below(10) == 0
            && let Some((filtee, _)) = self.newest.first()
        {
            let option = if self.chance.below(2) == 0 { "-F" } else { "-f" };
            options.extend([option.to_owned(), filtee.clone()]);
        }
        let stem = soname.replace(['.', '-'], "_");
        let versions = self.scratch.path().join("versions");
        let mut script = format!("{stem}_V1 {{ global: {stem}_1; local: *; }};\n");
        if has_both {
            script += &format!("{stem}_V2 {{ global: {stem}_2; }};\n");
        }
        fs::write(&versions, script).unwrap();
        let soname = ["-shared", "-soname", soname, "--version-script", versions.to_str().unwrap()];
        options.extend(soname.map(str::to_owned));
        let text =
            format!(".globl {stem}_1, {stem}_2\n{stem}_1:\n{stem}_2:\n    ret\nunused:\n{uses}    ret\n");
        self.link(&text, at, &options);
    }

    /// Adds a program that exits at once with status 0.
    fn program(&mut self, nth: usize) {
        let (mut options, uses) = self.dependencies();
        options.extend(self.search_path());
        options.extend(["-pie", "-dynamic-linker", LOADER, "-e", "_start"].map(str::to_owned));
        let text = format!(
            ".globl _start\n_start:\n    mov $60, %eax\n    xor %edi, %edi\n    syscall\nunused:\n{uses}    ret\n"
        );
        let name = format!("bin/p{nth}");
        self.link(&text, &self.usr().join(&name), &options);
        self.programs.push(name);
    }

    /// The bump plan for a manifest that lists only the programs.
    fn fixed(&self) -> BumpPlan {
        let file = "stage1/usr_from_coreos/manifest-amd64-usr.d/base.manifest".to_owned();
        let mut lines = self.programs.clone();
        lines.sort();
        let common_mk = b"CCN_SYSTEMD_VERSION := v229\nCCN_IMG_RELEASE := 1097.0.0\nCCN_IMG_URL := https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz\n";
        let sources = Stage1Sources {
            common_mk: common_mk.to_vec(),
            manifests: BTreeMap::from([(file.clone(), (lines.join("\n") + "\n").into_bytes())]),
            manifest_refs: vec![ManifestRef {
                board: Board::Amd64,
                flavor: Flavor::from_dir_name("usr_from_coreos").unwrap(),
                directory_entry: file.clone(),
                file,
            }],
            ..Stage1Sources::default()
        };
        let options = BumpOptions {
            release: "1097.0.0".parse().unwrap(),
            channel: None,
            vendor: None,
            systemd: Some("v229".parse().unwrap()),
            min_dlopen_priority: None,
            fix_options: FixOptions::default(),
        };
        let tree = read_tree(&self.usr());
        plan_bump(&sources, &options, &BTreeMap::from([(Board::Amd64, &tree)])).unwrap()
    }

    /// A root filesystem with exactly the listed files.
    fn extract(&self, listed: &[&str]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        make_root_links(root.path());
        for path in listed {
            let (from, to) = (self.usr().join(path), root.path().join("usr").join(path));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let found = from.symlink_metadata().unwrap();
            if found.is_symlink() {
                symlink(fs::read_link(&from).unwrap(), &to).unwrap();
            } else {
                assert!(found.is_file(), "{path}");
                fs::copy(&from, &to).unwrap();
            }
        }
        root
    }
}

fn make_root_links(root: &Path) {
    for name in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name)).unwrap();
    }
    fs::create_dir_all(root.join("usr/lib/systemd")).unwrap();
}

/// Whether a program runs in a root filesystem.
fn runs(root: &Path, program: &str, library_path: Option<&str>) -> bool {
    let mut command = Command::new("chroot");
    // Started through the loader: without /proc it cannot determine the $ORIGIN of a program started by the kernel.
    command
        .arg(root)
        .arg(LOADER)
        .arg(format!("/usr/{program}"))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(library_path.map(|path| ("LD_LIBRARY_PATH", path)));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
#[cfg(target_arch = "x86_64")]
#[ignore = "needs root and binutils"]
fn fixed_manifests_run_the_programs_of_the_image() {
    let (mut run, mut unrunnable, mut wrong) = (0, 0, Vec::new());
    for seed in FIRST_SEED..FIRST_SEED + IMAGES {
        let image = Image::new(seed);
        let plan = image.fixed();
        let text = plan.after.manifests.values().next().unwrap().clone();
        let text = String::from_utf8(text).unwrap();
        let listed: Vec<&str> = text.lines().collect();
        let root = image.extract(&listed);
        let errors: Vec<String> = plan
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| format!("{}: {}", finding.path, finding.message))
            .collect();
        for program in &image.programs {
            let mut anywhere = false;
            for library_path in [None, Some("/usr/lib/systemd")] {
                let in_image = runs(image.root.path(), program, library_path);
                let in_fixed = runs(root.path(), program, library_path);
                (run, anywhere) = (run + usize::from(in_image), anywhere || in_image);
                if in_image && !in_fixed {
                    wrong.push(format!(
                        "seed {seed}: {program} does not run with {library_path:?}: {listed:?} {errors:?}"
                    ));
                }
            }
            unrunnable += usize::from(!anywhere);
            if !anywhere && errors.is_empty() {
                wrong.push(format!(
                    "seed {seed}: {program} does not run in the whole image, and no error is reported"
                ));
            }
        }
    }
    eprintln!(
        "{IMAGES} images: {run} runs, {unrunnable} programs that the whole image does not run, {} differences",
        wrong.len()
    );
    assert!(run as u64 > IMAGES, "{run}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
