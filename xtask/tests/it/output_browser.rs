//! The HTML report in a real browser, wide and narrow, with few changes and with many.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use coreos_types::provenance::Signer;
use coreos_types::release::{Board, Flavor};
use manifest::finding::{Finding, FindingKind, Fix, FixKind, Severity};
use manifest::plan::file_edits::{EditPlan, FileEdit};
use manifest::suggestion::Suggestion;
use xtask::report::added_dependencies::DependencyEdge;
use xtask::report::sizes::{ManifestSizes, PathSize};
use xtask::report::{ImageOrigin, Report, html};

const FILE: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest";

/// A bump with so many changes.
fn report(changes: usize) -> Report {
    let library = |n: usize| format!("lib64/libexample-{n}.so.{}", n % 7);
    let old = |n: usize| format!("lib64/libexample-{n}.so.{}.0", n % 7);
    let fix = |n: usize| Fix {
        file: FILE.into(),
        kind: if n.is_multiple_of(3) { FixKind::Rename } else { FixKind::Add },
        from: n.is_multiple_of(3).then(|| old(n)),
        to: Some(library(n)),
        because: format!("lib64/systemd/systemd-helper-{} needs libexample-{n}.so.{}", n % 20, n % 7),
    };
    let path = |n: usize| PathSize {
        path: library(n),
        before: n.is_multiple_of(3).then_some(4000 + n as u64),
        after: Some(1_900_000 / (n as u64 + 1)),
    };
    let manifest = |file: &str, paths: Vec<PathSize>| ManifestSizes {
        board: Board::Amd64,
        file: file.into(),
        flavors: vec![Flavor::from_dir_name("usr_from_coreos").unwrap()],
        paths,
    };
    let finding = |n: usize| Finding {
        file: FILE.into(),
        line: Some(n + 1),
        kind: FindingKind::NotFound,
        severity: Severity::Error,
        board: Board::Amd64,
        flavor: Flavor::from_dir_name("usr_from_coreos").unwrap(),
        path: old(n),
        needed_by: vec![],
        candidates: vec![],
        message: format!("{} is not in the image, and nothing took its place", old(n)),
        remedy: Suggestion::DropMissing,
    };
    let lines =
        |one: &dyn Fn(usize) -> String| (0..changes).map(one).collect::<Vec<_>>().join("\n").into_bytes();
    Report {
        command: "bump-coreos".into(),
        release: Some(("991.0.0".parse().unwrap(), "1032.0.0".parse().unwrap())),
        channel: Some("alpha".parse().unwrap()),
        systemd: Some(("v225".parse().unwrap(), "v229".parse().unwrap())),
        images: vec![ImageOrigin {
            board: Board::Amd64,
            source:
                "https://alpha.release.core-os.net/amd64-usr/1032.0.0/coreos_production_pxe_image.cpio.gz"
                    .into(),
            digest: format!("sha256:{}", "0a".repeat(32)),
            signature: Some(Signer {
                primary: "04127D0BFABEC8871FFB2CCE50E0885593D2DCB4".into(),
                subkey: "DBFC52DBB963767AD20BA90807FA9ED31CB5FA26".into(),
                signed_at: "2016-04-28T10:00:00Z".into(),
                name: Some("CoreOS Buildbot <buildbot@coreos.com>".into()),
            }),
            os_release: [].into(),
        }],
        fixes: (0..changes).map(fix).collect(),
        findings: (0..changes / 100).map(finding).collect(),
        plan: EditPlan {
            edits: vec![FileEdit { path: FILE.into(), before: lines(&old), after: lines(&library) }],
        },
        sizes: vec![
            manifest(FILE, (0..changes.max(12)).map(path).collect()),
            manifest("stage1/usr_from_kvm/manifest-amd64-usr.d/sshd.manifest", (0..9).map(path).collect()),
        ],
        needs: (0..changes)
            .map(|n| DependencyEdge {
                board: Board::Amd64,
                from: format!("lib64/systemd/systemd-helper-{}", n % 20),
                to: library(n),
                name: format!("libexample-{n}.so.{}", n % 7),
            })
            .collect(),
        ..Report::default()
    }
}

struct Browser {
    folder: PathBuf,
}

impl Browser {
    /// What the page is once its scripts have run, in a frame of so many pixels.
    fn dom(&self, page: &Path) -> String {
        let output = self.run(&["--dump-dom".into()], page);
        String::from_utf8(output).unwrap()
    }

    fn shoot(&self, page: &Path, width: usize, name: &str) {
        let to = self.folder.join(name);
        self.run(&[format!("--screenshot={}", to.display()), format!("--window-size={width},4000")], page);
        assert!(to.metadata().unwrap().len() > 10_000, "{}", to.display());
    }

    fn run(&self, options: &[String], page: &Path) -> Vec<u8> {
        let output = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--virtual-time-budget=2000",
            ])
            .arg(format!("--user-data-dir={}", self.folder.join("profile").display()))
            .args(options)
            .arg(format!("file://{}", page.display()))
            .output()
            .expect("chromium is not installed (apt-get install chromium)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

#[test]
#[ignore = "needs chromium"]
fn the_page_sorts_fits_and_is_shot() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
    fs::create_dir_all(&folder).unwrap();
    let browser = Browser { folder: folder.canonicalize().unwrap() };
    for changes in [3, 300] {
        let page = browser.folder.join(format!("report-{changes}.html"));
        fs::write(&page, html::render(&report(changes))).unwrap();
        for width in [1280, 400] {
            // A window is never narrower than its frame; a page inside a page is as narrow as it is told to be.
            let frame = browser.folder.join(format!("frame-{changes}-{width}.html"));
            let inside = format!(
                "<iframe src='report-{changes}.html' style='border:0;width:{width}px;height:4000px'></iframe>"
            );
            fs::write(&frame, format!("<body style='margin:0'>{inside}")).unwrap();
            browser.shoot(&frame, width.max(500), &format!("report-{changes}-{width}.png"));
        }
        sorts(&browser, &page);
        fits(&browser, &page);
    }
}

/// The second click on a heading turns the order around.
fn sorts(browser: &Browser, page: &Path) {
    let click = "<script>{ const b = [...document.querySelectorAll('th button')].find(b => b.textContent === 'to');\
                 b.click(); b.click(); }</script>";
    let clicked = page.with_extension("clicked.html");
    fs::write(&clicked, fs::read_to_string(page).unwrap() + click).unwrap();
    let dom = browser.dom(&clicked);
    let table = &dom[dom.find("What changed and why").unwrap()..];
    let rows: Vec<&str> = table[..table.find("</table>").unwrap()].split("<tr>").skip(2).collect();
    let last = rows.iter().position(|row| row.contains("lib64/libexample-0.so.0<")).unwrap();
    assert_eq!(last, rows.len() - 1, "the lowest stands last: {}", rows[0]);
}

/// Nothing is wider than a narrow screen.
fn fits(browser: &Browser, page: &Path) {
    let measure = "<body style='margin:0'><iframe id=f style='border:0;width:400px;height:900px'></iframe><script>\
        f.onload = () => document.title = 'width ' + f.contentDocument.documentElement.scrollWidth;\
        f.srcdoc = ";
    let text = serde_json::to_string(&fs::read_to_string(page).unwrap()).unwrap().replace("</", "<\\/");
    let narrow = page.with_extension("narrow.html");
    fs::write(&narrow, format!("{measure}{text}</script>")).unwrap();
    let dom = browser.dom(&narrow);
    assert!(dom.contains("<title>width 400</title>"), "{}", &dom[..dom.len().min(300)]);
}
