//! Comparison with GNU make: values of coreos-common.mk before and after an edit.

use std::fs;

use coreos_types::{Board, Channel, SystemdVersion, Vendor};
use manifest::common_mk::CommonMk;

use super::output;
use crate::chance::Chance;

const URL: &str = "https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz";

/// Release, systemd version and URL, evaluated by make at the end of the file.
fn evaluate_with_make(makefile: &[u8]) -> [String; 3] {
    let home = tempfile::tempdir().unwrap();
    let (common, query) = (home.path().join("common.mk"), home.path().join("query.mk"));
    fs::write(&common, makefile).unwrap();
    let mut text = format!("RKT_STAGE1_COREOS_BOARD := amd64-usr\ninclude {}\n", common.display());
    for name in ["CCN_IMG_RELEASE", "CCN_SYSTEMD_VERSION", "CCN_IMG_URL"] {
        text.push_str(&format!("$(info [$({name})])\n"));
    }
    fs::write(&query, text + "nothing_to_make:;@:\n").unwrap();
    let printed = output("make", &["-s", "-f", query.to_str().unwrap(), "nothing_to_make"]);
    let mut values = printed.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    // make includes blanks before a comment in a value, and in the URL that refers to it; the parser does not.
    let bare = |value: &str| value.split_whitespace().collect::<String>();
    std::array::from_fn(|_| bare(values.next().unwrap_or_else(|| panic!("{printed}"))))
}

fn values(mk: &CommonMk) -> [String; 3] {
    [mk.release().to_string(), mk.systemd().to_string(), mk.url(Board::Amd64).unwrap()]
}

/// One assignment in a random style.
fn assignment(chance: &mut Chance, name: &str, value: &str) -> String {
    let before = chance.one_of(&["", "", "", "  ", "override ", "export "]);
    let sign = chance.one_of(&[" := ", "=", " = ", "\t:=\t", " ::= ", " ?= ", ":="]);
    let gap = chance.one_of(&["", "", "", "\\\n  ", "\\\n\t\\\n"]);
    let after =
        chance.one_of(&["", "", "", " ", " # why", "\t#", " \\\n", "# CCN_IMG_RELEASE := 9.9.9 \\\n more"]);
    format!("{before}{name}{sign}{gap}{value}{after}\n")
}

/// Lines that look like an assignment of a pin and are not.
const NOISE: &[&str] = &[
    "\n",
    "# CCN_IMG_RELEASE := 2.2.2\n",
    "ifneq ($(UNSET),)\nCCN_SYSTEMD_VERSION := $(UNSET)\nendif\n",
    "ifdef UNSET\nifeq (a,a)\nCCN_IMG_RELEASE := 3.3.3\nendif\nelse\nOTHER := 1\nendif\n",
    "define BODY\nCCN_IMG_RELEASE := 4.4.4\nifdef\nendef\n",
    "target: prerequisite\n\tCCN_IMG_RELEASE := 5.5.5\n\t@echo $(CCN_IMG_URL)\n",
    "prerequisite:\n\t@: \\\nCCN_IMG_RELEASE := 6.6.6\n",
    "target: CCN_IMG_RELEASE := 7.7.7\n",
    "OTHER := x#y\n",
    "OTHER := $(subst #,:,CCN_IMG_RELEASE := 8.8.8)\n",
    "$(eval )\n",
    "OTHER += CCN_IMG_RELEASE := 1\n",
];

fn makefile(chance: &mut Chance) -> String {
    let mut text = String::new();
    let guard = chance.below(3) == 0;
    if guard {
        text.push_str(chance.one_of(&["ifndef _G_\n_G_ := x\n", "ifeq ($(_G_),)\n\n_G_ := x\n"]));
    }
    for (name, value) in
        [("CCN_SYSTEMD_VERSION", "v225"), ("CCN_IMG_RELEASE", "991.0.0"), ("CCN_IMG_URL", URL)]
    {
        for _ in 0..chance.below(3) {
            text.push_str(chance.one_of(NOISE));
        }
        text.push_str(&assignment(chance, name, value));
    }
    text.push_str(chance.one_of(NOISE));
    if guard {
        text.push_str("endif\n");
    }
    if chance.below(4) == 0 { text.replace('\n', "\r\n") } else { text }
}

#[test]
#[ignore = "needs GNU make"]
fn parsed_values_match_make_before_and_after_edits() {
    let mut chance = Chance::new(8);
    for number in 0..250 {
        let text = makefile(&mut chance);
        let mut mk =
            CommonMk::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{number}: {error}\n{text}"));
        assert_eq!(values(&mk), evaluate_with_make(text.as_bytes()), "{number}:\n{text}");
        mk.set_release(&"1032.0.0".parse().unwrap()).unwrap();
        mk.set_systemd(SystemdVersion(229)).unwrap();
        mk.set_vendor(Vendor::FLATCAR, None).unwrap();
        mk.set_url_channel(Channel::Lts).unwrap();
        let edited = values(&mk);
        assert_eq!(
            edited[2],
            "https://lts.release.flatcar-linux.net/amd64-usr/1032.0.0/flatcar_production_pxe_image.cpio.gz"
        );
        assert_eq!(edited, evaluate_with_make(mk.as_bytes()), "{number}:\n{text}");
    }
}

#[test]
#[ignore = "needs GNU make"]
fn parsed_values_of_this_tree_match_make() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../stage1/usr_from_coreos/coreos-common.mk");
    let text = fs::read(path).unwrap();
    assert_eq!(values(&CommonMk::parse(&text).unwrap()), evaluate_with_make(&text));
}
