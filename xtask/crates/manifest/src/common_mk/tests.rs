//! The file of this tree, rkt's shape with its include guard, and what people do to such files.

#![allow(clippy::unwrap_used)]

use super::*;

const OURS: &[u8] = include_bytes!("../../../../../stage1/usr_from_coreos/coreos-common.mk");

/// A file with these three values.
fn file(systemd: &str, release: &str, url: &str) -> String {
    format!("{SYSTEMD} := {systemd}\n{RELEASE} := {release}\n{URL} := {url}\n")
}

const PLAIN_URL: &str = "https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz";

fn read(text: &str) -> CommonMk {
    CommonMk::parse(text.as_bytes()).unwrap()
}

fn error(text: &str) -> String {
    CommonMk::parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn rkt_file_is_parsed() {
    let mk = CommonMk::parse(OURS).unwrap();
    assert_eq!(mk.as_bytes(), OURS);
    assert_eq!(mk.channel(), Some(Channel::Alpha));
    assert_eq!(mk.vendor(), Some(Vendor::COREOS));
    let release = mk.release();
    assert_eq!(
        mk.url(Board::Arm64).unwrap(),
        format!("https://alpha.release.core-os.net/arm64-usr/{release}/coreos_production_pxe_image.cpio.gz")
    );
}

#[test]
fn only_the_value_bytes_change() {
    let text = format!(
        "# c\r\nifndef _G_\r\n_G_ := x\r\n{SYSTEMD}\t=\tv225  # why\r\n{RELEASE}::=\\\r\n  991.0.0 \r\n{URL} ?= {PLAIN_URL}\r\n\
         ifneq ($(X),)\r\n{SYSTEMD} := $(X)\r\nendif\r\n\u{e9}: b\r\n\t{RELEASE} := no\r\nendif\r\n"
    );
    let mut mk = read(&text);
    mk.set_release(&"1032.0.0".parse().unwrap()).unwrap();
    mk.set_systemd(SystemdVersion(229)).unwrap();
    mk.set_url_channel(Channel::Stable).unwrap();
    let expected = text.replace("991.0.0", "1032.0.0").replace("v225", "v229").replace("//alpha", "//stable");
    assert_eq!(String::from_utf8(mk.as_bytes().to_vec()).unwrap(), expected);
    assert_eq!((mk.release().as_str(), mk.systemd()), ("1032.0.0", SystemdVersion(229)));
    assert_eq!(mk.channel(), Some(Channel::Stable));
}

/// A URL that stays where it is would go on to name the old image.
#[test]
fn url_without_release_is_an_error() {
    for url in [PLAIN_URL.replace("$(CCN_IMG_RELEASE)", "991.0.0"), "https://m.example/x.cpio.gz".to_owned()]
    {
        let mut mk = read(&file("v225", "991.0.0", &url));
        mk.set_release(&"991.0.0".parse().unwrap()).unwrap();
        let before = mk.clone();
        let error = mk.set_release(&"1032.0.0".parse().unwrap()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&url) && message.contains("does not use $(CCN_IMG_RELEASE)"), "{message}");
        assert_eq!(mk, before);
    }
}

#[test]
fn set_vendor_changes_host_and_file_only() {
    let mut mk = read(&file("v225", "991.0.0", PLAIN_URL));
    mk.set_vendor(Vendor::FLATCAR, None).unwrap();
    let moved = PLAIN_URL.replace("core-os.net", "flatcar-linux.net").replace("/coreos_", "/flatcar_");
    assert_eq!(mk.url_as_written(), moved);
    assert_eq!(mk.vendor(), Some(Vendor::FLATCAR));
    mk.set_url_channel(Channel::Lts).unwrap();
    assert!(
        mk.set_vendor(Vendor::COREOS, None).unwrap_err().hint.unwrap().ends_with(": alpha, beta, stable")
    );
    assert!(
        mk.set_vendor(Vendor::COREOS, None).unwrap_err().to_string().contains("CoreOS has no lts channel")
    );
    assert_eq!(mk.vendor(), Some(Vendor::FLATCAR));
    mk.set_url_channel(Channel::Alpha).unwrap();
    mk.set_vendor(Vendor::COREOS, None).unwrap();
    assert_eq!(mk.url_as_written(), PLAIN_URL);
}

/// A content delivery network has the channel in the path; a vendor of one's own may have none.
#[test]
fn set_vendor_replaces_all_above_the_board() {
    let rest = "/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)";
    let acme = Vendor {
        id: "acme",
        url_templates: &["https://a.example/x"],
        pxe_image: "a.cpio.gz",
        ..*Vendor::FLATCAR
    };
    let mut vendors = Vendors::default();
    vendors.add(acme);
    let acme = vendors.get("acme").unwrap();
    let flatcar = "flatcar_production_pxe_image.cpio.gz";
    let coreos = "coreos_production_pxe_image.cpio.gz";
    for (url, vendor, channel, expected) in [
        (
            format!("https://flatcar.cdn.cncf.io/stable{rest}/{flatcar}"),
            Vendor::COREOS,
            None,
            format!("https://stable.release.core-os.net{rest}/{coreos}"),
        ),
        (
            format!("https://flatcar.cdn.cncf.io/stable{rest}/{flatcar}"),
            acme,
            None,
            format!("https://a.example/x{rest}/a.cpio.gz"),
        ),
        (
            format!("https://a.example/x{rest}/a.cpio.gz"),
            Vendor::FLATCAR,
            Some(Channel::Beta),
            format!("https://beta.release.flatcar-linux.net{rest}/{flatcar}"),
        ),
        (
            format!("https://a.example/x{rest}/a.cpio.gz"),
            Vendor::COREOS,
            None,
            format!("https://alpha.release.core-os.net{rest}/{coreos}"),
        ),
    ] {
        let text = file("v1", "1.0.0", &url);
        let mut mk = CommonMk::parse_with_includes(text.as_bytes(), &IncludedFiles::new(), &vendors).unwrap();
        mk.set_vendor(vendor, channel).unwrap();
        assert_eq!((mk.url_as_written(), mk.vendor()), (expected.as_str(), Some(vendor)), "{url}");
        assert_eq!(String::from_utf8_lossy(mk.as_bytes()), text.replace(&url, &expected));
    }
}

#[test]
fn assignment_count_error_has_lines() {
    let good = file("v1", "1.0.0", PLAIN_URL);
    assert!(
        error(&format!("{good}{RELEASE} = 2.0.0\n"))
            .contains("CCN_IMG_RELEASE has 2 assignments outside conditionals, at lines 2, 4")
    );
    assert!(error(&format!("{good}export {RELEASE} += x\n")).contains("at lines 2, 4"));
    assert!(error(&good.replace(RELEASE, "CCN_OTHER")).contains("CCN_IMG_RELEASE has no assignment"));
    let inside = format!("ifdef X\n{good}endif\n");
    assert!(
        error(&inside).contains("CCN_IMG_RELEASE has no assignment outside conditionals (inside: lines 3)")
    );
    assert!(error("").contains("CCN_IMG_RELEASE"));
}

#[test]
fn invalid_value_is_an_error() {
    for (systemd, release, url, says, hint) in [
        ("v1", "\"1.0.0\"", PLAIN_URL, "is not a release", ": CCN_IMG_RELEASE := 1.0.0"),
        ("v1", "current", PLAIN_URL, "is not a release", ": CCN_IMG_RELEASE := 1032.0.0"),
        ("v1", "$(X)", PLAIN_URL, "is not a release", ": CCN_IMG_RELEASE := 1032.0.0"),
        ("v1", "", PLAIN_URL, "is not a release", ": CCN_IMG_RELEASE := 1032.0.0"),
        ("229", "1.0.0", PLAIN_URL, "is not a systemd version", ": CCN_SYSTEMD_VERSION := v229"),
        ("v1", "1.0.0", "ftp://x/y", "expected an http or https URL", ": CCN_IMG_URL := https://"),
        ("v1", "1.0.0", "https://x/a b", "expected an http or https URL", ": CCN_IMG_URL := https://"),
        ("v1", "1.0.0", "https://x/$(NOPE)/y", "uses $(NOPE), which has no value here", "write the value"),
        ("v1", "1.0.0", "", "expected an http or https URL", ": CCN_IMG_URL := https://"),
    ] {
        let text = file(systemd, release, url);
        assert!(error(&text).contains(says), "{text}: {}", error(&text));
        let actual = CommonMk::parse(text.as_bytes()).unwrap_err().hint.unwrap();
        assert!(actual.contains(hint), "{text}: {actual}");
    }
    let appended = file("v1", "1.0.0", PLAIN_URL).replace(&format!("{RELEASE} :="), &format!("{RELEASE} +="));
    let actual = CommonMk::parse(appended.as_bytes()).unwrap_err().hint.unwrap();
    assert!(actual.ends_with("CCN_IMG_RELEASE := 1032.0.0"), "{actual}");
}

#[test]
fn custom_host_is_not_edited() {
    let mut mk = read(&file(
        "v1",
        "1.0.0",
        "http://mirror.example/$(CCN_IMG_RELEASE)/flatcar_production_pxe_image.cpio.gz",
    ));
    assert_eq!((mk.channel(), mk.vendor()), (None, Some(Vendor::FLATCAR)));
    let before = mk.clone();
    assert!(
        mk.set_url_channel(Channel::Beta).unwrap_err().to_string().contains("its host is not written out")
    );
    assert!(mk.set_vendor(Vendor::COREOS, None).is_err());
    assert_eq!(mk, before);
    let by_variable = format!(
        "CCN_CHANNEL := beta\n{}",
        file("v1", "1.0.0", &PLAIN_URL.replace("alpha", "$(CCN_CHANNEL)"))
    );
    let mut mk = read(&by_variable);
    assert_eq!(mk.channel(), Some(Channel::Beta));
    mk.set_url_channel(Channel::Beta).unwrap();
    assert!(mk.set_url_channel(Channel::Alpha).is_err());
}

#[test]
fn set_same_vendor_changes_nothing() {
    let mut mk = read(&file("v1", "1.0.0", PLAIN_URL));
    let before = mk.clone();
    mk.set_vendor(Vendor::COREOS, None).unwrap();
    assert_eq!(mk, before);
    let mut flatcar_file = read(&file("v1", "1.0.0", &PLAIN_URL.replace("/coreos_", "/flatcar_")));
    flatcar_file.set_vendor(Vendor::COREOS, None).unwrap();
    assert_eq!(flatcar_file.url_as_written(), PLAIN_URL);
    let mut own = read(&file("v1", "1.0.0", &PLAIN_URL.replace("/coreos_", "/my_own_")));
    assert!(own.set_vendor(Vendor::COREOS, None).unwrap_err().to_string().contains("its file is not"));
}

#[test]
fn undefined_variable_has_no_value() {
    let good = file("v1", "1.0.0", PLAIN_URL);
    let error = error(&format!("{good}undefine {RELEASE}\n"));
    assert!(error.contains("CCN_IMG_RELEASE has no assignment outside conditionals"), "{error}");
    // The URL is expanded where it is assigned, so the release is assigned again above it.
    let mut mk = read(&format!("{RELEASE} := 1.0.0\nundefine {RELEASE}\n{good}"));
    mk.set_release(&"3.0.0".parse().unwrap()).unwrap();
    let edited = good.replace(":= 1.0.0", ":= 3.0.0");
    assert_eq!(
        String::from_utf8_lossy(mk.as_bytes()),
        format!("{RELEASE} := 1.0.0\nundefine {RELEASE}\n{edited}")
    );
}

#[test]
fn replaceable_value_is_an_error() {
    let good = file("v1", "1.0.0", PLAIN_URL);
    let body = "define pin\nCCN_IMG_RELEASE := $(1)\nendef\ndefine other\nOTHER := $(1)\nendef\n";
    for (before, after, expected) in [
        ("", "$(eval CCN_IMG_RELEASE := 5.5.5)\n", "assigns CCN_IMG_RELEASE"),
        ("", "$(eval override CCN_IMG_RELEASE=5.5.5)\n", "assigns CCN_IMG_RELEASE"),
        ("", "$(eval undefine CCN_IMG_RELEASE)\n", "assigns CCN_IMG_RELEASE"),
        ("", "X := ${eval CCN_IMG_URL = x}\n", "assigns CCN_IMG_URL"),
        (body, "$(eval $(call pin,5.5.5))\n", "assigns CCN_IMG_RELEASE"),
        (body, "$(eval $(pin))\n", "assigns CCN_IMG_RELEASE"),
        ("N := CCN_IMG_RELEASE\n", "$(eval $(N) := 5.5.5)\n", "assigns CCN_IMG_RELEASE"),
        ("", "$(foreach n,CCN_IMG_RELEASE,$(eval $(n) := 5.5.5))\n", "may assign CCN_IMG_RELEASE"),
        ("", "$(eval $(shell cat x))\n", "may assign CCN_IMG_RELEASE"),
        ("N := RELEASE\n", "CCN_IMG_$(N) := 5.5.5\n", "assigns CCN_IMG_RELEASE"),
        ("", "CCN_IMG_$(shell echo RELEASE) := 5.5.5\n", "may assign CCN_IMG_RELEASE"),
        ("", "$(call upper,ccn)_IMG_URL = x\n", "may assign CCN_IMG_URL"),
        ("N := OTHER\nCCN_IMG_$(N) := 1\n", "CCN_IMG_$(N) := 5.5.5\n$(X)_OTHER := 1\n", ""),
        ("", "include x.mk\n", "may assign CCN_IMG_RELEASE"),
        ("", "include pins.mk\n", "assigns CCN_IMG_RELEASE"),
        ("", "-include plain.mk pins.mk\n", "assigns CCN_IMG_RELEASE"),
        // Before the assignment, or of another variable.
        ("$(eval CCN_IMG_RELEASE := 5.5.5)\ninclude x.mk\n", "", ""),
        (body, "$(eval $(call other,CCN_IMG_RELEASE))\n", ""),
        ("", "$(eval OTHER := $(shell date))\n$(eval )\n$(call setup-stamp-file,X)\n", ""),
        ("", "include plain.mk\n", ""),
        ("", "ifdef LOCAL\ninclude x.mk\n$(eval CCN_IMG_RELEASE := 5.5.5)\nendif\n", ""),
        ("", "x:\n\t$(eval CCN_IMG_RELEASE := 5.5.5)\n", ""),
    ] {
        let included = IncludedFiles::from([
            ("plain.mk".to_owned(), b"OTHER := 1\n".to_vec()),
            ("pins.mk".to_owned(), b"ifndef X\nCCN_IMG_RELEASE := 5.5.5\nendif\n".to_vec()),
        ]);
        let text = format!("{before}{good}{after}");
        match CommonMk::parse_with_includes(text.as_bytes(), &included, &Vendors::default()) {
            Ok(_) => assert_eq!(expected, "", "{text}"),
            Err(error) => {
                assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}: {text}")
            }
        }
    }
    let weak = good.replace(&format!("{RELEASE} :="), &format!("{RELEASE} ?="));
    for before in ["include x.mk", "CCN_IMG_$(X) := 5.5.5"] {
        assert!(error(&format!("{before}\n{weak}")).contains("may assign"), "{before}");
    }
}

/// The size of an expansion is bounded, and its number of references.
#[test]
fn exponential_eval_is_an_error() {
    for leaf in ["x x x x", ""] {
        let mut text = file("v1", "1.0.0", PLAIN_URL) + &format!("A0 = {leaf}\n");
        for number in 0..15 {
            text += &format!("A{} = {}\n", number + 1, format!("$(A{number})").repeat(9));
        }
        assert!(error(&format!("{text}$(eval OTHER := $(A15))\n")).contains("may assign"));
    }
}

/// Files of the largest size that is read: work that grows with its square would take minutes.
#[test]
fn many_evals_and_includes_are_bounded() {
    let good = file("v1", "1.0.0", PLAIN_URL);
    let nested = "$(eval ".repeat(30_000) + "\n";
    let each = |line: fn(usize) -> String| (0..6_000).map(line).collect::<String>();
    let flat =
        each(|number| format!("A{number} := x\n")) + &each(|number| format!("$(eval B{number} := x)\n"));
    let long = format!("A := {}\n{}", "x".repeat(60_000), "$(eval B := $(A))\n".repeat(10_000));
    let call = format!("A = {}\n$(eval $(call A,{}))\n", "$(1)".repeat(20_000), "x".repeat(80_000));
    for (text, expected) in [(nested, "may assign"), (flat, ""), (long, "may assign"), (call, "may assign")] {
        let result = CommonMk::parse(format!("{good}{text}").as_bytes());
        let message = result.err().map_or(String::new(), |error| error.to_string());
        assert!(message.contains(expected) && message.is_empty() == expected.is_empty(), "{message:.200}");
    }
    let included = IncludedFiles::from([("a.mk".to_owned(), "A := x\n".repeat(30_000).into_bytes())]);
    let text = good + &"include a.mk\n".repeat(10_000);
    assert!(CommonMk::parse_with_includes(text.as_bytes(), &included, &Vendors::default()).is_ok());
}

/// Expansions without text, nested ones, and long ones that are repeated.
#[test]
fn endless_evals_are_an_error() {
    let plain = file("v1", "1.0.0", PLAIN_URL);
    let mut empty = plain.clone() + "A0 =\n";
    for number in 0..12 {
        empty += &format!("A{} = {}\n", number + 1, format!("$(A{number})").repeat(30));
    }
    let long = format!("{plain}A = {}\n{}", "x".repeat(60_000), "$(eval X := $(A))\n".repeat(10_000));
    let nested = format!("{plain}{}x{}\n", "$(eval ".repeat(30_000), ")".repeat(30_000));
    for text in [empty + "$(eval $(A12))\n", long, nested] {
        assert!(error(&text).contains("may assign"));
    }
    let (name, text) = ("x.mk".to_owned(), b"X := 1\n".repeat(30_000));
    let many = plain + &"include x.mk\n".repeat(15_000) + &format!("include {}\n", "x.mk ".repeat(10_000));
    let read = CommonMk::parse_with_includes(many.as_bytes(), &[(name, text)].into(), &Vendors::default());
    assert!(read.is_ok());
}
