//! The road with rkt, by a stand-in: a tree with rkt's own build files, whose make brings a program that behaves as
//! rkt was seen to behave with a wrong stage1.

use std::fs;

use super::{BOOKWORM, Bench, Ran};
use crate::e2e::executable;

/// rkt's own build as far as the tool can see it: the names of its files, options and results.
const CONFIGURE: &str = r#"#!/bin/sh
set -e
for option; do
  case $option in
    --with-coreos-local-pxe-image-path=*) image=${option#*=} ;;
    --with-coreos-local-pxe-image-systemd-version=*) version=${option#*=} ;;
  esac
done
[ -f "$image" ] && [ "$version" = v252 ]
printf 'IMAGE := %s\n' "$image" > config.mk
"#;

const MAKEFILE: &str = r#"include config.mk
B := build-rkt-1.30.0
all:
	$(MAKE) -C stage1 RKT_STAGE1_COREOS_BOARD=amd64-usr BUILDDIR=$(CURDIR)/$(B) XTASK="$(CURDIR)/image $(IMAGE)"
	mkdir -p $(B)/target/bin
	cp rkt.sh $(B)/target/bin/rkt
clean:
	rm -rf $(B)
"#;

fn with_rkt(rkt: &str) -> Bench {
    let bench = Bench::new(BOOKWORM);
    let put = |name: &str, text: &str| executable(&bench.tree().join(name), text);
    put("autogen.sh", "#!/bin/sh\ntouch autogen.done\n");
    put("configure.ac", "AC_INIT([rkt], [1.30.0])\n");
    put("configure", CONFIGURE);
    put("Makefile", MAKEFILE);
    put("image", "#!/bin/sh\necho \"$1\"\n");
    put("rkt.sh", &format!("#!/bin/sh\n{rkt}"));
    bench
}

fn run(rkt: &str) -> Ran {
    with_rkt(rkt).run(BOOKWORM, &["smoketest", "--no-static", "--timeout", "5", "--app", "/app.aci"])
}

/// What rkt does when all is well: the last argument is what the app's shell runs.
const GOOD: &str =
    "echo \"$*\" > \"$(dirname \"$0\")/arguments\"\nfor last; do :; done\nexec sh -c \"$last\"\n";

#[test]
#[ignore = "needs root, make and Debian releases"]
fn rkts_own_build_is_driven_and_its_rkt_is_run() {
    let bench = with_rkt(GOOD);
    let ran = bench.run(BOOKWORM, &["smoketest", "--no-static", "--timeout", "5"]);
    ran.assert_code(0);
    assert!(bench.tree().join("autogen.done").exists());
    let arguments = fs::read_to_string(bench.tree().join("build-rkt-1.30.0/target/bin/arguments")).unwrap();
    assert!(arguments.contains("run quay.io/coreos/alpine-sh --exec=/bin/sh"), "{arguments}");
    assert!(ran.checks("pass").iter().any(|check| check.contains("the token came back")));
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn every_way_in_which_rkt_fails_is_seen() {
    let missing = "libgone.so.0: cannot open shared object file: No such file or directory";
    let there = missing.replace("libgone", "libpam");
    let rows = [
        (
            format!(
                "echo '/usr/lib/systemd/systemd: error while loading shared libraries: {missing}'; exit 127\n"
            ),
            "rkt ended with 127",
            "libgone.so.0 is missing",
        ),
        (
            format!("echo '/bin/bash: error while loading shared libraries: {there}'; exit 127\n"),
            "rkt ended with 127",
            "libpam.so.0 was not found (/bin/bash needs it), and it is there: lib64/libpam.so.0",
        ),
        (
            "echo 'failed to execute \"stage1/rootfs/usr/lib/ld-linux-x86-64.so.2\"' >&2; exit 254\n"
                .to_owned(),
            "rkt ended with 254",
            "ld-linux-x86-64.so.2",
        ),
        (
            "echo 'Failed to connect to /run/systemd/journal/io.systemd.journal'; exit 0\n".to_owned(),
            "rkt ended with 0, and the token did not come back",
            "io.systemd.journal",
        ),
        (
            format!("echo '/bin/bash: error while loading shared libraries: {missing}'; exit 0\n"),
            "rkt ended with 0, and the token did not come back",
            "libgone.so.0 is missing",
        ),
        (
            "echo 'Mounting \"/run/systemd/journal\"'; while :; do sleep 1; done\n".to_owned(),
            "rkt did not end within 5 s",
            "/run/systemd/journal",
        ),
        (format!("({GOOD}); exit 1\n"), "the token came back, and then rkt ended with 1", "smoketest-42-"),
    ];
    for (rkt, why, named) in rows {
        let ran = run(&rkt);
        ran.assert_code(1);
        let failed = ran.checks("fail");
        let of_run: Vec<&String> = failed.iter().filter(|check| check.starts_with("run ")).collect();
        assert_eq!(of_run.len(), 1, "{rkt}");
        assert!(
            of_run.iter().all(|check| check.contains(why) && check.contains(named)),
            "{rkt}: {of_run:#?}"
        );
    }
}
