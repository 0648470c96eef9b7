//! The corpus verified with `gpg --verify` and `gpgv`, and the table of results in SECURITY.md.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::openpgp::{Case, cases, deciding_verdict, fixture};

const BEGIN: &str = "<!-- verdicts: made by tests/it/openpgp_gpg.rs -->\n";
const END: &str = "<!-- end of verdicts -->\n";

/// `UPDATE_EXPECT=1 cargo test -- --ignored openpgp_gpg` writes the table.
#[test]
#[ignore = "needs gpg and gpgv"]
fn verdict_table_matches_gpg_and_gpgv() {
    let rows: Vec<_> = cases().into_iter().map(Row::new).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../SECURITY.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let fresh = format!("\n{}\n", tables(&rows));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, [before, BEGIN, &fresh, END, after].concat()).unwrap();
    } else {
        let update = "UPDATE_EXPECT=1 cargo test -- --ignored openpgp_gpg";
        assert_eq!(table, fresh, "SECURITY.md is out of date; to update it: {update}");
    }
}

/// A case and the results of `xtask`, gpg and gpgv.
struct Row {
    case: Case,
    ours: String,
    gpg: i32,
    gpgv: i32,
}

impl Row {
    fn new(case: Case) -> Row {
        let report = case.run();
        let rule = deciding_verdict(&report).1;
        let ours = format!("{} {rule}", report.exit_code()).replace(" -", "");
        let home = TempDir::new().unwrap();
        let ring = home.path().join("ring.gpg");
        let certificate = fixture(&format!("{}.pgp", case.certificate));
        import(home.path(), &certificate, &ring);
        let (signature, file) = (fixture(&case.signature), fixture("signed-file"));
        // gpg verifies at the same time as `xtask`; gpgv has no option for the time and uses the current one.
        let gpg = exit_code(
            gpg(home.path())
                .args(["--faked-system-time", "20260101T120000!", "--verify"])
                .args([&signature, &file]),
        );
        let gpgv = exit_code(
            Command::new("gpgv")
                .arg("--homedir")
                .arg(home.path())
                .arg("--keyring")
                .args([&ring, &signature, &file]),
        );
        Row { case, ours, gpg, gpgv }
    }

    fn is_accepted(&self) -> bool {
        self.ours.starts_with('0')
    }

    /// Whether gpg or gpgv disagrees with `xtask` about accepting the signature.
    fn differs(&self) -> bool {
        [self.gpg, self.gpgv].into_iter().any(|code| (code == 0) != self.is_accepted())
    }

    fn line(&self) -> String {
        let Row { case, ours, gpg, gpgv } = self;
        format!(
            "| {} | {}, {} | {ours} | {gpg} | {gpgv} |\n",
            case.description, case.certificate, case.signature
        )
    }
}

fn import(home: &Path, certificate: &Path, ring: &Path) {
    exit_code(gpg(home).arg("--import").arg(certificate));
    let keyring = gpg(home).arg("--export").stderr(Stdio::null()).output().expect("gpg is installed");
    // gpg does not export parts that it considers invalid, such as unbound subkeys; gpgv reads the original octets.
    let bytes = fs::read(certificate).unwrap();
    fs::write(ring, if bytes.starts_with(b"-----") { keyring.stdout } else { bytes }).unwrap();
}

/// A gpg command for scripts: no prompts, no network, and only the keys in `home`.
fn gpg(home: &Path) -> Command {
    let mut command = Command::new("gpg");
    command.arg("--homedir").arg(home).args([
        "--batch",
        "--no-tty",
        "--no-auto-key-retrieve",
        "--trust-model",
        "always",
    ]);
    command
}

fn exit_code(command: &mut Command) -> i32 {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.expect("gpg and gpgv are installed").code().unwrap()
}

fn tables(rows: &[Row]) -> String {
    let head = "| case | certificate, signature | here | gpg | gpgv |\n| --- | --- | --- | --- | --- |\n";
    let table = |filter: &dyn Fn(&Row) -> bool| -> String {
        rows.iter().filter(|row| filter(row)).fold(head.to_owned(), |table, row| table + &row.line())
    };
    let count = |filter: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| filter(row)).count();
    let by_gpg = count(&|row| !row.is_accepted() && row.gpg == 0);
    let by_gpgv = count(&|row| !row.is_accepted() && row.gpgv == 0);
    let mut text = String::new();
    writeln!(
        text,
        "Of {} cases, `xtask` accepts {} and refuses {}. Of those refused, `gpg --verify` exits 0 on {by_gpg} and `gpgv` \
         on {by_gpgv}.\n",
        rows.len(),
        count(&Row::is_accepted),
        count(&|row| !row.is_accepted()),
    )
    .unwrap();
    writeln!(
        text,
        "### Refused here, accepted by gpg or gpgv\n\n{}",
        table(&|row| !row.is_accepted() && row.differs())
    )
    .unwrap();
    writeln!(
        text,
        "### Accepted here, refused by gpg or gpgv\n\n{}",
        table(&|row| row.is_accepted() && row.differs())
    )
    .unwrap();
    write!(text, "### Same result\n\n{}", table(&|row| !row.differs())).unwrap();
    text
}
