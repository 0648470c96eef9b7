#!/bin/bash
# Compares the CPU time of the first build of this tool with that of a program that depends only on the seven crates that
# the tool is made of.
#
#   scripts/bench-first-build.sh [--work DIR] [--runs N] [--crates] [--before COMMIT]
#
# The seven are xshell, ureq, pgp, flate2, cpio, backhand and regex: in the versions of Cargo.lock, with the features
# that the tool selects, and with its profile. The tool selects the TLS provider of ureq, ring, as a dependency of its
# own: without it ureq cannot speak https. Therefore the seven are built with the tool's rustls and ring ("https"), and
# once more without them ("no TLS"). With --before COMMIT the tool of that commit is built too. Each run builds all of
# them in empty target directories, in DIR (default: $TMPDIR/coreos-xtask-first-build), one after the other; other load
# on the machine affects CPU seconds less than wall time. With --crates the CPU seconds of each crate follow. The crates
# are downloaded first. Needs the Debian package time.
set -euo pipefail
export LC_ALL=C

fail() { echo "bench-first-build.sh: $*" >&2; exit 2; }

work=${TMPDIR:-/tmp}/coreos-xtask-first-build runs=1 crates='' before=''
while [ $# -gt 0 ]; do
  case $1 in
    --work) work=$2; shift 2 ;;
    --runs) runs=$2; shift 2 ;;
    --crates) crates=yes; shift ;;
    --before) before=$2; shift 2 ;;
    *) fail "usage: bench-first-build.sh [--work DIR] [--runs N] [--crates] [--before COMMIT]" ;;
  esac
done
[ -x /usr/bin/time ] || fail "/usr/bin/time is not installed"
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$work"
work=$(cd "$work" && pwd)

# The dependency of the tool or of one of its crates, as its Cargo.toml has it.
dependency() {
  local line
  line=$(sed -n '/^\[dependencies\]/,/^\[/p' "$here"/xtask/Cargo.toml "$here"/xtask/crates/*/Cargo.toml | grep "^$1 = " | head -1)
  [ -n "$line" ] || fail "no Cargo.toml has the dependency $1"
  echo "$line"
}

# A program with these dependencies. The profile is that of the tool without its own crates.
make_program() {
  local program=$work/$1
  shift
  rm -rf "$program"
  mkdir -p "$program/src"
  echo 'fn main() {}' > "$program/src/main.rs"
  {
    printf '[package]\nname = "seven"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n'
    for name in xshell ureq pgp flate2 cpio backhand regex "$@"; do dependency "$name"; done
    awk '/^\[/ { in_profile = /^\[profile/ } in_profile' "$here/Cargo.toml" |
      awk -v own="$(ls "$here/xtask/crates")" 'BEGIN { split(own, names); for (at in names) mine["[profile.dev.package." names[at] "]"] }
        /^\[/ { skip = $0 in mine } !skip'
  } > "$program/Cargo.toml"
  cp "$here/Cargo.lock" "$program/Cargo.lock"
  cargo fetch --quiet --manifest-path "$program/Cargo.toml"
}

# Passes a compiler command on, and appends "CPU-seconds crate" to $CRATE_TIMES.
make_wrapper() {
  cat > "$work/rustc" << 'END'
#!/bin/bash
name= previous=
for argument; do [ "$previous" != --crate-name ] || name=$argument; previous=$argument; done
[ -n "$name" ] && [ "$name" != ___ ] || exec "$@"
exec /usr/bin/time -a -o "$CRATE_TIMES" -f "%U %S $name" "$@"
END
  chmod +x "$work/rustc"
}

# Builds the package in a directory from nothing, and appends its CPU seconds to a file.
build() {
  local name=$1 directory=$2
  shift 2
  rm -rf "$work/target"
  (cd "$directory" && CRATE_TIMES=$work/crates.$name RUSTC_WRAPPER=$work/rustc CARGO_TARGET_DIR=$work/target \
    /usr/bin/time -o "$work/time" -f '%U %S' cargo build --quiet --offline "$@")
  awk '{ print $1 + $2 }' "$work/time" >> "$work/seconds.$name"
}

median() { sort -n "$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
count() { (cd "$1" && cargo tree --offline --edges normal --prefix none | sed 's/ (.*//' | sort -u | wc -l); }

rm -f "$work"/seconds.* "$work"/crates.*
make_wrapper
(cd "$here" && cargo fetch --quiet --locked)
make_program https rustls ring
make_program no-tls
programs=(https no-tls tool)
if [ -n "$before" ]; then
  rm -rf "$work/before"
  mkdir "$work/before"
  git -C "$here" archive "$before" | tar -x -C "$work/before"
  (cd "$work/before" && cargo fetch --quiet --locked)
  programs+=(before)
fi
declare -A directory=([https]=$work/https [no-tls]=$work/no-tls [tool]=$here [before]=$work/before)
declare -A title=([https]="the seven crates, https" [no-tls]="the seven crates, no TLS" [tool]="this tool" [before]="the tool at $before")
for _ in $(seq "$runs"); do
  for name in "${programs[@]}"; do
    case $name in
      tool | before) build "$name" "${directory[$name]}" --locked --package xtask --bin xtask ;;
      *) build "$name" "${directory[$name]}" ;;
    esac
  done
done
rm -rf "$work/target"
echo "| first build, medians of $runs | CPU seconds | crates |"
echo "| --- | --- | --- |"
for name in "${programs[@]}"; do
  package=${directory[$name]}
  case $name in tool | before) package+=/xtask ;; esac
  echo "| ${title[$name]} | $(median "$work/seconds.$name") | $(count "$package") |"
done
for name in "${programs[@]}"; do
  [ "$name" = tool ] || awk -v title="${title[$name]}" -v tool="$(median "$work/seconds.tool")" -v other="$(median "$work/seconds.$name")" \
    'BEGIN { printf "ratio to %s: %.2f\n", title, tool / other }'
done
[ -z "$crates" ] || for name in "${programs[@]}"; do
  echo "$name, CPU seconds by crate:"
  awk -v runs="$runs" '{ sum[$3] += $1 + $2 } END { for (name in sum) printf "%7.2f %s\n", sum[name] / runs, name }' "$work/crates.$name" | sort -rn
done
