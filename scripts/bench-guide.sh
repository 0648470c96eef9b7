#!/bin/bash
# Compares the time of the manual procedure with that of verify-manifests, on a large image made from this machine's /usr.
#
#   scripts/bench-guide.sh [--work DIR] [--pairs N] [--scale]
#
# The manual procedure is that of rkt's Documentation/devel/update-coreos-stage1.md: gpg --verify, gunzip, cpio -i,
# unsquashfs, then a loop over the manifests that checks each path and runs the loader of the image on each program
# of bin/. verify-manifests runs with an empty cache, and again from the cache. The image, a throwaway key and a matching
# tree are made once, in DIR (default: $TMPDIR/coreos-xtask-bench). The image is signed twice: over SHA-512, the default
# of gpg, and over SHA-256, which the vendors use. With --scale the same runs on an image of four times the size and on
# manifests of ten times the lines. Needs the Debian packages squashfs-tools, cpio, gnupg, openssl, isal and time, and
# root for the chroot.
set -euo pipefail
export LC_ALL=C

fail() { echo "bench-guide.sh: $*" >&2; exit 2; }

work=${TMPDIR:-/tmp}/coreos-xtask-bench pairs=5 scale=
while [ $# -gt 0 ]; do
  case $1 in
    --work) work=$2; shift 2 ;;
    --pairs) pairs=$2; shift 2 ;;
    --scale) scale=yes; shift ;;
    *) fail "usage: bench-guide.sh [--work DIR] [--pairs N] [--scale]" ;;
  esac
done
for tool in mksquashfs unsquashfs cpio gzip gpg openssl igzip ldd /usr/bin/time cargo; do
  command -v "$tool" > /dev/null || fail "$tool is not installed"
done
[ "$(id -u)" = 0 ] || fail "requires root: the manual procedure runs the loader in a chroot"

here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$work"
work=$(cd "$work" && pwd)
export GNUPGHOME=$work/gnupg
board=amd64-usr release=9999.0.0
image=$work/image.cpio.gz tree=$work/tree
large=$work/large.cpio.gz longer=$work/longer

make_image() {
  printf 'NAME=Bench\nID=coreos\nVERSION=%s\nVERSION_ID=%s\nCOREOS_BOARD="%s"\n' $release $release $board > "$work/os-release"
  # Without files that no operating-system image has; -e must be the last option.
  mksquashfs /usr "$work/usr.squashfs" -noappend -no-progress -quiet -wildcards \
    -p "lib/os-release f 644 0 0 cat $work/os-release" -p '.noupdate f 444 0 0 true' \
    -e lib/os-release include src local games libexec share/doc share/man share/locale share/icons share/vim \
    'share/pocketsphinx*' 'lib/google-*' lib/jvm 'lib/llvm-*' lib/gcc 'lib/python3*' lib/node_modules lib/debug \
    lib/go* lib/rustlib lib/postgresql
  pack "$work/usr.squashfs" "$image"
}

# The same image with unlisted files added, four times as large.
make_large() {
  cp "$work/usr.squashfs" "$work/large.squashfs"
  mkdir -p "$work/filler/share/filler"
  head -c $((3 * $(stat -c %s "$work/usr.squashfs"))) /dev/urandom | split -b 4M - "$work/filler/share/filler/"
  mksquashfs "$work/filler" "$work/large.squashfs" -no-progress -quiet -noD -noF
  rm -r "$work/filler"
  pack "$work/large.squashfs" "$large"
}

pack() {
  mkdir -p "$work/pxe/etc"
  ln -f "$1" "$work/pxe/usr.squashfs"
  (cd "$work/pxe" && find . | cpio -o -H newc --quiet | gzip > "$2.partial")
  rm -r "$work/pxe"
  mv "$2.partial" "$2"
}

make_key() {
  mkdir -p "$GNUPGHOME" && chmod 700 "$GNUPGHOME"
  printf '%s\n' %no-protection 'Key-Type: RSA' 'Key-Length: 4096' 'Key-Usage: cert' 'Subkey-Type: RSA' \
    'Subkey-Length: 4096' 'Subkey-Usage: sign' 'Name-Real: Bench' 'Expire-Date: 0' > "$work/key"
  gpg --batch --quiet --gen-key "$work/key"
  gpg --export --armor > "$work/signing-key.asc"
}

sign() { gpg --batch --quiet --yes --digest-algo "$1" --detach-sign -o "$3" "$2"; }

# A tree with manifests that list systemd and its dependencies, as far as this machine has them.
make_tree() {
  local manifests=$tree/stage1/usr_from_coreos/manifest-$board.d
  mkdir -p "$manifests"
  sed "s/^CCN_IMG_RELEASE := .*/CCN_IMG_RELEASE := $release/; s/^CCN_SYSTEMD_VERSION := .*/CCN_SYSTEMD_VERSION := $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/v\1/p')/" \
    "$here/stage1/usr_from_coreos/coreos-common.mk" > "$tree/stage1/usr_from_coreos/coreos-common.mk"
  local programs=()
  for name in bash mount ip ls cat cp mv chmod chown ssh-keygen findmnt lsblk kmod udevadm; do programs+=("/usr/bin/$name"); done
  for path in /usr/bin/systemd-* /usr/bin/*ctl /usr/lib/systemd/systemd*; do
    if [ -f "$path" ] && [ -x "$path" ] && [ ! -L "$path" ]; then programs+=("$path"); fi
  done
  {
    for path in "${programs[@]}"; do
      [ -e "$path" ] || continue
      chain "$path"
      # A script, or a static program, has no such line.
      { ldd "$path" 2> /dev/null || true; } | sed -n 's|^[^/]*\(/[^ ]*\) (0x.*|\1|p' | sed 's|^/lib|/usr/lib|' | while read -r library; do chain "$library"; done
    done
  } | sed -n 's|^/usr/||p' | sort -u > "$manifests/systemd.manifest"
}

# The same tree with a second manifest of programs and libraries, ten times as many lines.
make_longer() {
  local manifest=stage1/usr_from_coreos/manifest-$board.d/systemd.manifest
  cp -r "$tree" "$longer"
  unsquashfs -lls "$work/usr.squashfs" | sed -n 's#^[-l].* squashfs-root/\(\(bin\|sbin\|lib\)/[^ ]*\).*#\1#p' | sort -u |
    grep -vxFf "$tree/$manifest" | awk -v most=$((9 * $(wc -l < "$tree/$manifest"))) 'NR <= most' \
    > "$longer/${manifest%systemd.manifest}more.manifest"
}

# Prints a path, and every symlink up to the file that it resolves to.
chain() {
  local path=$1
  while :; do
    echo "$path"
    [ -L "$path" ] || break
    path=$(cd "$(dirname "$path")" && realpath -ms "$(readlink "$path")" | sed 's|^/lib|/usr/lib|')
  done
}

guide() {
  local out=$work/guide loader
  rm -rf "$out"
  mkdir -p "$out"
  gpg --batch --quiet --verify "$image.sig" "$image" 2> /dev/null
  (cd "$out" && gunzip -c "$image" | cpio -i --quiet && unsquashfs -no-progress -quiet -d usr usr.squashfs > /dev/null)
  while read -r path; do
    [ -e "$out/usr/$path" ] || [ -L "$out/usr/$path" ] || echo "missing: $path"
  done < "$tree/stage1/usr_from_coreos/manifest-$board.d/systemd.manifest"
  ln -sfn usr/lib "$out/lib"; ln -sfn usr/lib64 "$out/lib64"
  loader=/usr/lib64/ld-linux-x86-64.so.2
  grep '^bin/' "$tree/stage1/usr_from_coreos/manifest-$board.d/systemd.manifest" | while read -r path; do
    chroot "$out" "$loader" --list "/usr/$path" > /dev/null 2>&1 || true
  done
}

# Runs a command and appends "seconds KiB-peak MiB-written" to a file. Writes are counted when a page is first
# changed, so that a file that is removed before it reaches the disk is included.
timed() {
  local into=$1
  shift
  /usr/bin/time -o "$work/time" -f '%e %M %O' "$@" > "$work/output" 2>&1 || true
  awk 'END { printf "%s %d %d\n", $1, $2, $3 / 2048 }' "$work/time" >> "$into"
}

median() { awk -v field="$2" '{ print $field }' "$1" | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

[ -e "$image" ] || make_image
[ -e "$work/signing-key.asc" ] || make_key
[ -e "$image.sig" ] || sign SHA512 "$image" "$image.sig"
[ -e "$work/sha256.sig" ] || sign SHA256 "$image" "$work/sha256.sig"
[ -e "$tree" ] || make_tree
(cd "$here" && cargo build --quiet)
export XTASK_CACHE_DIR=$work/cache
export -f guide
export work image tree board
# Measures verify-manifests with an empty cache, and again from the cache.
cold_and_warm() {
  local command=("$here/target/debug/xtask" --repo "$2" verify-manifests --image "$3" --signature "$4" --signing-key "$work/signing-key.asc")
  rm -rf "$XTASK_CACHE_DIR"
  timed "$work/times.$1" "${command[@]}"
  timed "$work/times.$1-again" "${command[@]}"
}

rm -f "$work"/times.*
rows=(guide sha512 sha512-again sha256 sha256-again openssl-sha512 openssl-sha256 igzip)
for _ in $(seq "$pairs"); do
  timed "$work/times.guide" bash -c guide
  rm -rf "$work/guide"
  # The next runs do not wait for the pages that this one left.
  sync
  cold_and_warm sha512 "$tree" "$image" "$image.sig"
  cold_and_warm sha256 "$tree" "$image" "$work/sha256.sig"
  timed "$work/times.openssl-sha512" openssl dgst -sha512 "$image"
  timed "$work/times.openssl-sha256" openssl dgst -sha256 "$image"
  timed "$work/times.igzip" sh -c "igzip -dc '$image' > /dev/null"
done

if [ -n "$scale" ]; then
  [ -e "$large" ] || make_large
  [ -e "$large.sig" ] || sign SHA512 "$large" "$large.sig"
  [ -e "$longer" ] || make_longer
  rows+=(large large-again longer longer-again)
  for _ in $(seq "$pairs"); do
    cold_and_warm large "$tree" "$large" "$large.sig"
    cold_and_warm longer "$longer" "$image" "$image.sig"
  done
  echo "large: $(($(stat -c %s "$large") >> 20)) MiB; longer: $(cat "$longer"/stage1/*/manifest-$board.d/* | wc -l) lines against $(cat "$tree"/stage1/*/manifest-$board.d/* | wc -l)"
fi
echo "image: $(($(stat -c %s "$image") >> 20)) MiB, usr.squashfs: $(($(stat -c %s "$work/usr.squashfs") >> 20)) MiB, $(nproc) processors, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)"
echo "| medians of $pairs | seconds | peak KiB | MiB written |"
echo "| --- | --- | --- | --- |"
for row in "${rows[@]}"; do
  echo "| $row | $(median "$work/times.$row" 1) | $(median "$work/times.$row" 2) | $(median "$work/times.$row" 3) |"
done
for row in sha512 sha256; do
  awk -v row=$row -v guide="$(median "$work/times.guide" 1)" -v cold="$(median "$work/times.$row" 1)" -v one="$(median "$work/times.openssl-$row" 1)" -v two="$(median "$work/times.igzip" 1)" \
    'BEGIN { floor = one > two ? one : two; printf "%s, nothing cached: %.1f times as fast as the manual procedure, %.2f times the floor of %.2f s\n", row, guide / cold, cold / floor, floor }'
done
