//! rkt's build and `rkt run`, with a substitute for rkt: a tree with the files of its build, and a program with the
//! requirements and the observed failures of rkt with a wrong stage1.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::killed::{Traces, wait_until};
use super::{BOOKWORM, Bench, RunResult, TRIXIE};
use crate::e2e::executable;

/// Substitute for rkt's configure: options set the flavors, the image and the version of systemd.
const CONFIGURE: &str = r#"#!/bin/sh
set -e
for option; do
  case $option in
    --with-stage1-flavors=*) flavors=${option#*=} ;;
    --with-coreos-local-pxe-image-path=*) image=${option#*=} ;;
    --with-coreos-local-pxe-image-systemd-version=*) version=${option#*=} ;;
    --without-anything) echo "configure: error: *** TPM is enabled, but could not find required development files" >&2; exit 1 ;;
  esac
done
[ -f "$image" ]
printf 'IMAGE := %s\nFLAVORS := %s\n' "$image" "$flavors" > config.mk
printf '%s\n' "$*" > configured
printf '%s\n' "$version" "$GO111MODULE" >> configured
"#;

/// Build rules like rkt's: the files of the image alone, and the root filesystem with additional files of the build.
const MAKEFILE: &str = r#"include config.mk
RKT_VERSION := 1.30.0+git0123456
BUILDDIR ?= $(CURDIR)/build-rkt-1.30.0
B := build-rkt-1.30.0
all:
	echo "make $(EXTRA)" >> made
	[ -z "$(findstring kvm,$(FLAVORS))" ] || [ -n "$(NETWORK)" ] || $(MAKE) -f stage1/usr_from_kvm/kernel.mk
	$(MAKE) -C stage1 RKT_STAGE1_COREOS_BOARD=amd64-usr RKT_STAGE1_FLAVORS=$(FLAVORS) BUILDDIR=$(CURDIR)/$(B) \
	  XTASK="$(CURDIR)/image $(IMAGE)"
	mkdir -p $(B)/target/bin
	cp rkt.sh $(B)/target/bin/rkt
	echo stage1 > $(B)/target/bin/stage1-coreos.aci
	mkdir -p $(B)/tmp/usr_from_coreos/cbu
	cp -a $(B)/aci-for-coreos-flavor/rootfs $(B)/tmp/usr_from_coreos/cbu/rootfs
	mkdir -p $(B)/aci-for-coreos-flavor/rootfs/usr/lib64/rkt/plugins/net
	cp --remove-destination /bin/true $(B)/aci-for-coreos-flavor/rootfs/usr/lib64/rkt/plugins/net/bridge
	echo '[Unit]' > $(B)/aci-for-coreos-flavor/rootfs/usr/lib64/systemd/system/iomux@.service
clean:
	echo "clean $(EXTRA)" >> made
	rm -rf $(B)
"#;

/// Download rule like rkt's: silent, with the exit status of wget as the only sign of a failure.
const KERNEL: &str =
    "URL := https://kernel.invalid/linux.tar.xz\nlinux.tar.xz:\n\t@sh -c 'exit 4' wget --quiet \"$(URL)\"\n";

fn with_rkt(release: &str, rkt: &str) -> Bench {
    let bench = Bench::new(release);
    let tree = bench.tree();
    let add = |name: &str, text: &str| executable(&tree.join(name), text);
    add("autogen.sh", "#!/bin/sh\ntouch autogen.done\necho changed > config.guess\n");
    add("configure.ac", "AC_INIT([rkt], [1.30.0])\n");
    add("configure", CONFIGURE);
    add("Makefile", MAKEFILE);
    // What the build runs instead of the tool: IMAGE fetch … --output FILE.
    add("image", "#!/bin/sh\nimage=$1\nwhile [ \"$1\" != --output ]; do shift; done\ncp \"$image\" \"$2\"\n");
    add("rkt.sh", &format!("#!/bin/sh\n{WANTS}{rkt}"));
    add("config.guess", "of the checkout\n");
    fs::write(tree.join("stage1/usr_from_kvm/kernel.mk"), KERNEL).unwrap();
    for words in [&["init", "-q"][..], &["add", "config.guess", "configure.ac"]] {
        assert!(Command::new("git").arg("-C").arg(&tree).args(words).status().unwrap().success());
    }
    bench
}

/// Requirements of rkt on its environment, with rkt's messages if one is not met. Field 6 of `stat` must be the
/// session (proc(5)).
const WANTS: &str = r#"
fail() { echo "$*" >&2; exit 254; }
[ "$(cut -d' ' -f6 /proc/$$/stat)" = $$ ] || fail "Failed to open system bus: No such file or directory"
[ -d /run/systemd/system ] && [ ! -e /run/dbus ] || fail "Failed to open system bus: No such file or directory"
own=$(grep -E '^0::|name=systemd' /proc/self/cgroup | grep service || true)
case $own in *.service) ;; *) fail "error calling sd_pid_get_unit: no data available" ;; esac
! grep -q '\.service' /proc/1/cgroup || fail "error calling sd_pid_get_unit: no data available"
[ ! -e /sys/fs/cgroup/unified ] || fail "error calling sd_pid_get_unit: no data available"
[ -f "$(dirname "$0")/stage1-coreos.aci" ] || fail "stage1-coreos.aci: no such file or directory"
case " $* " in *" --stage1-path="*) fail "stage1-coreos.aci.asc: no such file or directory" ;; esac
case " $* " in *" --net=host "*) ;; *) fail "failed to locate iptables" ;; esac
case " $* " in *" --insecure-options=image run "*) ;; *) fail ".aci.asc: no such file or directory" ;; esac
# What rkt and systemd-nspawn make: groups in every hierarchy.
for procs in $(find /sys/fs/cgroup -path '*.service/cgroup.procs'); do mkdir -p "${procs%/*}/payload"; done
echo "$*" > "$(dirname "$0")/arguments"
"#;

/// A successful `rkt run`: the last argument is the command of the shell in the app.
const GOOD: &str = "for last; do :; done\nsh -c \"$last\"\n";

const OPTIONS: [&str; 5] = ["smoketest", "--no-static", "--timeout", "5", "--flavor=coreos"];

/// Possible remains of runs of rkt; boots of other tests have other names.
fn traces(bench: &Bench) -> Traces {
    let mut traces = Traces::collect(bench.home.path());
    traces.cgroups.retain(|path| path.to_string_lossy().contains(".service"));
    traces
}

/// Serializes the tests that inspect cgroups.
static CGROUPS: Mutex<()> = Mutex::new(());

fn run(rkt: &str) -> RunResult {
    with_rkt(BOOKWORM, rkt).run(BOOKWORM, &OPTIONS)
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn rkt_is_built_and_runs_what_it_needs() {
    let _guard = CGROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    for release in [BOOKWORM, TRIXIE] {
        let bench = with_rkt(release, GOOD);
        let before = traces(&bench);
        // A directory of another version is not checked.
        fs::create_dir_all(bench.tree().join("build-rkt-1.29.0/aci-for-coreos-flavor/rootfs/usr")).unwrap();
        let options = [
            "--configure=--with-x",
            "--make=EXTRA=more",
            "--configure=--with-coreos-local-pxe-image-path=/no",
        ];
        let mut command = bench.command(release, &[&OPTIONS[..], &options].concat());
        command.env("XTASK_CONFIGURE", "'--with-a b' --with-c").env("XTASK_MAKE", "EXTRA=less V=\"0 1\"");
        let result = RunResult::from_output(&command.env_remove("GO111MODULE").output().unwrap());
        result.assert_code(0);
        let read = |name: &str| fs::read_to_string(bench.tree().join(name)).unwrap();
        assert!(bench.tree().join("autogen.done").exists());
        assert_eq!(read("config.guess"), "of the checkout\n");
        assert!(result.stderr.contains("config.guess"), "{}", result.stderr);
        assert_eq!(read("made"), "clean more\nmake more\n");
        let configured = read("configured");
        assert!(
            configured.starts_with("--with-stage1-flavors=coreos --with-a b --with-c --with-x "),
            "{configured}"
        );
        assert!(configured.ends_with("\noff\n"), "{configured}");
        let passed = result.checks("pass");
        assert!(passed.iter().any(|check| check.contains("the marker was printed")), "{passed:#?}");
        assert!(passed.iter().all(|check| !check.contains("plugins/net")), "{passed:#?}");
        // The last systemd before cgroup v2.
        let version = "build-rkt-1.30.0/aci-for-coreos-flavor/rootfs/systemd-version";
        fs::write(bench.tree().join(version), "v232\n").unwrap();
        let old = bench.run(release, &[&OPTIONS[..], &["--no-build", "--no-link"]].concat());
        old.assert_code(0);
        assert!(old.checks("pass").iter().any(|check| check.contains("cgroup v1: the marker")));
        assert_eq!(traces(&bench), before);
    }
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn killed_rkt_run_leaves_nothing() {
    let _guard = CGROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    let bench = with_rkt(BOOKWORM, "while :; do sleep 1; done\n");
    bench.run(BOOKWORM, &[&OPTIONS[..], &["--no-run"]].concat()).assert_code(0);
    let before = traces(&bench);
    for (victim, signal) in [
        ("tool", "KILL"),
        ("supervisor", "KILL"),
        ("tool", "INT"),
        ("supervisor", "TERM"),
        ("supervisor", "INT"),
    ] {
        let arguments =
            ["smoketest", "--no-static", "--no-build", "--no-link", "--timeout", "60", "--flavor=coreos"];
        let mut command = bench.command(BOOKWORM, &arguments);
        let mut tool = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("rkt starts", || {
            let now = traces(&bench);
            now.cgroups.iter().any(|path| path.ends_with("payload")) && now.processes.len() > 3
        });
        let (program, option) = if victim == "tool" { ("kill", "--") } else { ("pkill", "-P") };
        let arguments = [&format!("-{signal}"), option, &tool.id().to_string()];
        assert!(Command::new(program).args(arguments).status().unwrap().success());
        tool.wait().unwrap();
        wait_until(&format!("{signal} to the {victim}"), || traces(&bench) == before);
        let data = bench.tree().join("build-rkt-smoketest/amd64-usr-coreos/rkt-data");
        assert_eq!(data.exists(), (victim, signal) == ("tool", "KILL"), "{signal} to the {victim}");
    }
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn failed_build_names_its_cause() {
    let bench = with_rkt(BOOKWORM, GOOD);
    let rows = [
        (&["--configure=--without-anything", "--flavor=coreos"][..], 2, "--configure=--disable-tpm"),
        (&[], 2, "the build of flavor kvm downloads https://kernel.invalid/linux.tar.xz"),
    ];
    for (options, code, named) in rows {
        let result = bench.run(BOOKWORM, &[&["smoketest", "--no-static"], options].concat());
        result.assert_code(code);
        let failed = result.checks("fail").join("\n");
        let error = result.document["error"].to_string();
        assert!(failed.contains("build.log") && !failed.contains("verify-manifests"), "{failed}");
        assert!(failed.contains(named) || error.contains(named), "{failed} {error}");
        assert!(error.contains("--flavor"), "{error}");
    }
    assert!(bench.tree().join("build-rkt-smoketest/build.log").is_file());
}

#[test]
#[ignore = "needs root, make and Debian releases"]
fn failed_rkt_run_names_its_cause() {
    let _guard = CGROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    let missing = "libgone.so.0: cannot open shared object file: No such file or directory";
    let available = missing.replace("libgone", "libpam");
    let rows = [
        (
            format!(
                "echo '/usr/lib/systemd/systemd: error while loading shared libraries: {missing}'; exit 127\n"
            ),
            "rkt ended with 127",
            "libgone.so.0 is missing",
        ),
        (
            format!("echo '/bin/bash: error while loading shared libraries: {available}'; exit 127\n"),
            "rkt ended with 127",
            "libpam.so.0 was not found (/bin/bash needs it), although it exists: lib64/libpam.so.0",
        ),
        (
            "echo 'failed to execute \"stage1/rootfs/usr/lib/ld-linux-x86-64.so.2\"' >&2; exit 254\n"
                .to_owned(),
            "rkt ended with 254",
            "ld-linux-x86-64.so.2",
        ),
        (
            "echo 'Failed to connect to /run/systemd/journal/io.systemd.journal'; exit 0\n".to_owned(),
            "rkt ended with 0, and the marker was not printed",
            "io.systemd.journal",
        ),
        (
            format!("echo '/bin/bash: error while loading shared libraries: {missing}'; exit 0\n"),
            "rkt ended with 0, and the marker was not printed",
            "libgone.so.0 is missing",
        ),
        (
            format!("echo '/bin/bash: error while loading shared libraries: {missing}'\n{GOOD}"),
            "the marker was printed, and a program of the stage1 did not start",
            "libgone.so.0 is missing",
        ),
        (
            "echo 'Mounting \"/run/systemd/journal\"'; while :; do sleep 1; done\n".to_owned(),
            "rkt did not end within 5 s",
            "/run/systemd/journal",
        ),
        (
            "yes\n".to_owned(),
            "rkt printed without end and was stopped, and the marker was not printed",
            "| y",
        ),
        (format!("({GOOD}); exit 1\n"), "the marker was printed, and then rkt ended with 1", "smoketest-42-"),
    ];
    for (rkt, why, named) in rows {
        let result = run(&rkt);
        result.assert_code(1);
        let failed = result.checks("fail");
        let runs: Vec<&String> = failed.iter().filter(|check| check.starts_with("run ")).collect();
        assert_eq!(runs.len(), 1, "{rkt}: {failed:#?}");
        assert!(runs.iter().all(|check| check.contains(why) && check.contains(named)), "{rkt}: {runs:#?}");
    }
}
