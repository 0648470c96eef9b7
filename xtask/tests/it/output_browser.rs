//! HTML report in a real browser: wide and narrow, light and dark, with few and with many changes.
//!
//! The pages, with screenshots and a PDF of each, are written to `target/screenshots`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use coreos_types::{Board, Flavor, Signer};
use manifest::finding::{Finding, FindingKind, Fix, FixKind, Severity};
use manifest::plan::edit_plan::{EditPlan, FileEdit};
use manifest::suggestion::Suggestion;
use xtask::report::added_dependents::DependencyEdge;
use xtask::report::sizes::{ManifestSizes, PathSize};
use xtask::report::source_links::SourceLinks;
use xtask::report::{ImageOrigin, Report, html};

const FILE: &str = "stage1/usr_from_coreos/manifest-amd64-usr.d/systemd.manifest";

/// An HTML report of a bump with this number of changes.
fn report(changes: usize) -> Report {
    let library = |n: usize| format!("lib64/libexample-{n}.so.{}", n % 7);
    let old = |n: usize| format!("lib64/libexample-{n}.so.{}.0", n % 7);
    let fix = |n: usize| Fix {
        file: FILE.into(),
        kind: if n.is_multiple_of(3) { FixKind::Rename } else { FixKind::Add },
        from: n.is_multiple_of(3).then(|| old(n)),
        to: Some(library(n)),
        reason: format!("lib64/systemd/systemd-helper-{} needs libexample-{n}.so.{}", n % 20, n % 7),
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
        kind: FindingKind::Missing,
        severity: Severity::Error,
        board: Board::Amd64,
        flavor: Flavor::from_dir_name("usr_from_coreos").unwrap(),
        path: old(n),
        needed_by: vec![],
        candidates: vec![],
        message: format!("{} is not in the image, and has no replacement", old(n)),
        suggestion: Suggestion::RunFixDropMissing,
        fixable: false,
    };
    let advice = |n: usize| Finding {
        kind: FindingKind::Advice,
        severity: Severity::Advice,
        message: format!("{} is loaded with dlopen(3) by lib64/systemd/systemd", library(n)),
        path: library(n),
        suggestion: Suggestion::RunFix,
        ..finding(n)
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
            signer: Some(Signer {
                primary: "04127D0BFABEC8871FFB2CCE50E0885593D2DCB4".into(),
                signing_key: "DBFC52DBB963767AD20BA90807FA9ED31CB5FA26".into(),
                signed_at: "2016-04-28T10:00:00Z".into(),
                user_id: Some("CoreOS Buildbot <buildbot@coreos.com>".into()),
            }),
            os_release: [].into(),
        }],
        fixes: (0..changes).map(fix).collect(),
        findings: (0..changes / 100 + 2).map(finding).chain((0..5).map(advice)).collect(),
        plan: EditPlan {
            edits: vec![FileEdit { path: FILE.into(), before: lines(&old), after: lines(&library) }],
        },
        sizes: vec![
            manifest(FILE, (0..changes.max(12)).map(path).collect()),
            manifest("stage1/usr_from_kvm/manifest-amd64-usr.d/sshd.manifest", (0..9).map(path).collect()),
        ],
        added_dependents: (0..changes)
            .map(|n| DependencyEdge {
                board: Board::Amd64,
                from: format!("lib64/systemd/systemd-helper-{}", n % 20),
                to: library(n),
                name: format!("libexample-{n}.so.{}", n % 7),
            })
            .collect(),
        source_links: SourceLinks::from_remote("git@github.com:example/rkt", &"0a".repeat(20), ""),
        ..Report::default()
    }
}

struct Browser {
    directory: PathBuf,
}

impl Browser {
    /// The DOM of the page after its scripts have run, in a frame of `width` pixels.
    fn dom(&self, page: &Path) -> String {
        let output = self.run(&["--dump-dom".into()], page);
        String::from_utf8(output).unwrap()
    }

    fn shoot(&self, page: &Path, width: usize, scheme: &str, name: &str) {
        let to = self.directory.join(name);
        // The numbers of blink's PreferredColorScheme.
        let scheme = if scheme == "dark" { 0 } else { 1 };
        let options = [
            format!("--screenshot={}", to.display()),
            format!("--window-size={width},5000"),
            format!("--blink-settings=preferredColorScheme={scheme}"),
        ];
        self.run(&options, page);
        assert!(to.metadata().unwrap().len() > 10_000, "{}", to.display());
    }

    fn run(&self, options: &[String], page: &Path) -> Vec<u8> {
        // Names of the program in Debian and on GitHub Actions runners.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_installed =
            |name: &&str| std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
        let name = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(is_installed);
        let output = Command::new(name.expect("chromium is not installed (apt-get install chromium)"))
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--virtual-time-budget=2000",
            ])
            .arg(format!("--user-data-dir={}", self.directory.join("profile").display()))
            .args(options)
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

#[test]
#[ignore = "needs chromium"]
fn page_sorts_fits_and_obeys_its_policy() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
    fs::create_dir_all(&directory).unwrap();
    let browser = Browser { directory: directory.canonicalize().unwrap() };
    for changes in [3, 300] {
        let page = browser.directory.join(format!("report-{changes}.html"));
        fs::write(&page, html::render(&report(changes))).unwrap();
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")] {
            // A window is never narrower than 500 pixels; a page in a frame is as narrow as the frame.
            let frame = browser.directory.join(format!("frame-{changes}-{width}.html"));
            let inside = format!(
                "<meta name=color-scheme content='light dark'><iframe src='report-{changes}.html' style='border:0;width:{width}px;height:5000px'></iframe>"
            );
            fs::write(&frame, format!("<body style='margin:0'>{inside}")).unwrap();
            browser.shoot(&frame, width.max(500), scheme, &format!("report-{changes}-{width}-{scheme}.png"));
        }
        browser.run(&[format!("--print-to-pdf={}", page.with_extension("pdf").display())], &page);
        for width in [1280, 400] {
            let seen = probe(&browser, &page, width);
            let number = |key: &str| seen[key].as_u64().unwrap_or_else(|| panic!("{key} in {seen}"));
            assert!(number("width") <= width, "wider than the screen: {seen}");
            assert_eq!(seen["styled"], true, "the policy blocks the style: {seen}");
            assert_eq!(seen["tileIsPlaced"], true, "{seen}");
            assert_eq!(number("labelsThatOverflow"), 0, "{seen}");
            assert!(number("labels") > 5, "{seen}");
            assert_eq!(seen["sorted"], true, "the policy blocks the script: {seen}");
            assert!(width == 400 || number("narrowestPath") >= 180, "{seen}");
            let hints = (number("groups"), number("hints"));
            assert_eq!(hints, (2, 2), "one hint per group: {seen}");
        }
    }
}

/// A page that shows the report in a frame of `width` pixels, with a script that measures it.
const PROBE: &str = r#"
const d = f.contentDocument;
d.querySelectorAll("details").forEach(details => details.open = true);
const all = selector => [...d.querySelectorAll(selector)];
const table = all("h2").find(h => h.textContent.startsWith("Changes")).parentElement.querySelector("table");
const head = [...table.querySelectorAll("th button")].find(b => b.textContent === "path");
head.click(); head.click();
const column = [...table.tBodies[0].rows].map(row => row.cells[1].textContent);
const falling = column.every((text, at) => at === 0 || column[at - 1].localeCompare(text, "en", { numeric: true }) >= 0);
const labels = all(".tile span").filter(label => !label.hidden);
const overflows = label => {
  const inner = label.getBoundingClientRect(), outer = label.parentElement.getBoundingClientRect();
  return inner.bottom > outer.bottom + 1 || inner.right > outer.right + 1;
};
const tile = all(".treemap .tile")[0].getBoundingClientRect(), map = all(".treemap")[0].getBoundingClientRect();
out.textContent = JSON.stringify({
  width: d.documentElement.scrollWidth,
  styled: f.contentWindow.getComputedStyle(all(".status")[0]).display === "inline-block",
  tileIsPlaced: tile.width > 40 && tile.height > 40 && tile.right <= map.right + 1,
  labels: labels.length,
  labelsThatOverflow: labels.filter(overflows).length,
  sorted: falling && head.parentElement.getAttribute("aria-sort") === "descending",
  narrowestPath: Math.floor(Math.min(...all(".group td:nth-child(2), td.change").map(c => c.offsetWidth))),
  groups: all(".group").length,
  hints: all(".hint").length,
});
"#;

fn probe(browser: &Browser, page: &Path, width: u64) -> serde_json::Value {
    let text = serde_json::to_string(&fs::read_to_string(page).unwrap()).unwrap().replace("</", "<\\/");
    let around = page.with_extension(format!("probe-{width}.html"));
    fs::write(
        &around,
        format!(
            "<!DOCTYPE html><pre id=out></pre><iframe id=f style='border:0;width:{width}px;height:900px'></iframe>\
             <script>f.onload = () => {{ {PROBE} }}; f.srcdoc = {text}</script>"
        ),
    )
    .unwrap();
    let dom = browser.dom(&around);
    let json = dom.split_once("<pre id=\"out\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let json = json.unwrap_or_else(|| panic!("{}", &dom[..dom.len().min(400)])).0.replace("&gt;", ">");
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}
