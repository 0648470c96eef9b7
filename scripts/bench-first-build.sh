#!/bin/bash
# Compares the CPU time of the first build of this tool with that of a program that depends only on the seven crates that
# the tool is made of.
#
#   scripts/bench-first-build.sh [--work DIR] [--runs N] [--crates]
#
# The seven are xshell, ureq, pgp, flate2, cpio, backhand and regex: in the versions of Cargo.lock, with the features
# that the tool selects, and with its profile. Each run builds both in empty target directories, in DIR (default:
# $TMPDIR/coreos-xtask-first-build), one after the other; other load on the machine affects CPU seconds less than wall
# time. With --crates the CPU seconds of each crate of the tool follow. The crates are downloaded first. Needs the
# Debian package time.
set -euo pipefail
export LC_ALL=C

fail() { echo "bench-first-build.sh: $*" >&2; exit 2; }

work=${TMPDIR:-/tmp}/coreos-xtask-first-build runs=1 crates=
while [ $# -gt 0 ]; do
  case $1 in
    --work) work=$2; shift 2 ;;
    --runs) runs=$2; shift 2 ;;
    --crates) crates=yes; shift ;;
    *) fail "usage: bench-first-build.sh [--work DIR] [--runs N] [--crates]" ;;
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
make_seven() {
  rm -rf "$work/seven"
  mkdir -p "$work/seven/src"
  echo 'fn main() {}' > "$work/seven/src/main.rs"
  {
    printf '[package]\nname = "seven"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n'
    for name in xshell ureq pgp flate2 cpio backhand regex; do dependency "$name"; done
    awk '/^\[/ { in_profile = /^\[profile/ } in_profile' "$here/Cargo.toml" |
      awk -v own="$(ls "$here/xtask/crates")" 'BEGIN { split(own, names); for (at in names) mine["[profile.dev.package." names[at] "]"] }
        /^\[/ { skip = $0 in mine } !skip'
  } > "$work/seven/Cargo.toml"
  cp "$here/Cargo.lock" "$work/seven/Cargo.lock"
  cargo fetch --quiet --manifest-path "$work/seven/Cargo.toml"
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
make_seven
for _ in $(seq "$runs"); do
  build tool "$here" --locked --package xtask --bin xtask
  build seven "$work/seven"
done
rm -rf "$work/target"
echo "| first build, medians of $runs | CPU seconds | crates |"
echo "| --- | --- | --- |"
echo "| the seven crates alone | $(median "$work/seconds.seven") | $(count "$work/seven") |"
echo "| this tool | $(median "$work/seconds.tool") | $(count "$here/xtask") |"
awk -v tool="$(median "$work/seconds.tool")" -v seven="$(median "$work/seconds.seven")" 'BEGIN { printf "ratio: %.2f\n", tool / seven }'
[ -z "$crates" ] || for name in tool seven; do
  echo "$name, CPU seconds by crate:"
  awk -v runs="$runs" '{ sum[$3] += $1 + $2 } END { for (name in sum) printf "%7.2f %s\n", sum[name] / runs, name }' "$work/crates.$name" | sort -rn
done
