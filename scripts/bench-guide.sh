#!/bin/bash
# Times the guide's way of checking an image against ours, side by side, on a big image made from this machine's /usr.
#
#   scripts/bench-guide.sh [--work DIR] [--pairs N]
#
# The guide's way is what rkt's Documentation/devel/update-coreos-stage1.md tells: gpg --verify, gunzip, cpio -i,
# unsquashfs, then a loop over the manifests that looks for each path and asks the image's own loader what each
# program of bin/ needs. Ours is verify-manifests with nothing cached, and once more from the cache. The image, a
# throwaway key and a tree that fits are made once, in DIR (default: $TMPDIR/coreos-xtask-bench). It wants Debian's
# squashfs-tools, cpio, gnupg, openssl, isal and time, and root for the chroot.
set -euo pipefail
export LC_ALL=C

fail() { echo "bench-guide.sh: $*" >&2; exit 2; }

work=${TMPDIR:-/tmp}/coreos-xtask-bench pairs=5
while [ $# -gt 0 ]; do
  case $1 in
    --work) work=$2; shift 2 ;;
    --pairs) pairs=$2; shift 2 ;;
    *) fail "usage: bench-guide.sh [--work DIR] [--pairs N]" ;;
  esac
done
for tool in mksquashfs unsquashfs cpio gzip gpg openssl igzip ldd /usr/bin/time cargo; do
  command -v "$tool" > /dev/null || fail "$tool is not installed"
done
[ "$(id -u)" = 0 ] || fail "wants root: the guide's loop runs the loader in a chroot"

here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$work"
work=$(cd "$work" && pwd)
export GNUPGHOME=$work/gnupg
board=amd64-usr release=9999.0.0
image=$work/image.cpio.gz tree=$work/tree

make_image() {
  printf 'NAME=Bench\nID=coreos\nVERSION=%s\nVERSION_ID=%s\nCOREOS_BOARD="%s"\n' $release $release $board > "$work/os-release"
  # What is far from an operating system's image stays out; -e has to come last.
  mksquashfs /usr "$work/usr.squashfs" -noappend -no-progress -quiet -wildcards \
    -p "lib/os-release f 644 0 0 cat $work/os-release" -p '.noupdate f 444 0 0 true' \
    -e lib/os-release include src local games libexec share/doc share/man share/locale share/icons share/vim \
    'share/pocketsphinx*' 'lib/google-*' lib/jvm 'lib/llvm-*' lib/gcc 'lib/python3*' lib/node_modules lib/debug \
    lib/go* lib/rustlib lib/postgresql
  mkdir -p "$work/pxe/etc"
  ln -f "$work/usr.squashfs" "$work/pxe/usr.squashfs"
  (cd "$work/pxe" && find . | cpio -o -H newc --quiet | gzip > "$image.partial")
  rm -r "$work/pxe"
  mv "$image.partial" "$image"
}

sign_image() {
  mkdir -p "$GNUPGHOME" && chmod 700 "$GNUPGHOME"
  printf '%s\n' %no-protection 'Key-Type: RSA' 'Key-Length: 4096' 'Key-Usage: cert' 'Subkey-Type: RSA' \
    'Subkey-Length: 4096' 'Subkey-Usage: sign' 'Name-Real: Bench' 'Expire-Date: 0' > "$work/key"
  gpg --batch --quiet --gen-key "$work/key"
  gpg --export --armor > "$work/signing-key.asc"
  gpg --batch --quiet --digest-algo SHA512 --detach-sign -o "$image.sig" "$image"
}

# A tree whose manifests list systemd and what it needs, as far as this machine has it.
make_tree() {
  local manifests=$tree/stage1/usr_from_coreos/manifest-$board.d
  mkdir -p "$manifests"
  sed "s/^CCN_IMG_RELEASE := .*/CCN_IMG_RELEASE := $release/; s/^CCN_SYSTEMD_VERSION := .*/CCN_SYSTEMD_VERSION := $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/v\1/p')/" \
    "$here/stage1/usr_from_coreos/coreos-common.mk" > "$tree/stage1/usr_from_coreos/coreos-common.mk"
  local programs=()
  for name in bash mount ip ls cat cp mv chmod chown ssh-keygen findmnt lsblk kmod udevadm; do programs+=("/usr/bin/$name"); done
  for path in /usr/bin/systemd-* /usr/bin/*ctl /usr/lib/systemd/systemd*; do
    if [ -f "$path" ] && [ -x "$path" ]; then programs+=("$path"); fi
  done
  {
    for path in "${programs[@]}"; do
      [ -e "$path" ] || continue
      chain "$path"
      { ldd "$path" 2> /dev/null || true; } | grep -o '/[^ ]* (0x' | sed 's| (0x||; s|^/lib|/usr/lib|' | while read -r library; do chain "$library"; done
    done
  } | sed -n 's|^/usr/||p' | sort -u > "$manifests/systemd.manifest"
}

# A path and every link on the way to the file behind it.
chain() {
  local path=$1
  while :; do
    echo "$path"
    [ -L "$path" ] || break
    path=$(cd "$(dirname "$path")" && realpath -ms "$(readlink "$path")")
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

# Runs a command and appends "seconds KiB-peak MiB-written" to a file. What a run writes is counted in blocks when
# a page is first changed, so that a file that is gone before it reaches the disk counts as well.
timed() {
  local into=$1
  shift
  /usr/bin/time -o "$work/time" -f '%e %M %O' "$@" > "$work/output" 2>&1 || true
  awk 'END { printf "%s %d %d\n", $1, $2, $3 / 2048 }' "$work/time" >> "$into"
}

median() { awk -v field="$2" '{ print $field }' "$1" | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

[ -e "$image" ] || make_image
[ -e "$image.sig" ] || sign_image
[ -e "$tree" ] || make_tree
(cd "$here" && cargo build --quiet)
ours=("$here/target/debug/xtask" --repo "$tree" verify-manifests --image "$image" --signing-key "$work/signing-key.asc")
export XTASK_CACHE_DIR=$work/cache
export -f guide
export work image tree board

rm -f "$work"/times.*
for _ in $(seq "$pairs"); do
  timed "$work/times.guide" bash -c guide
  rm -rf "$XTASK_CACHE_DIR"
  timed "$work/times.cold" "${ours[@]}"
  timed "$work/times.warm" "${ours[@]}"
  timed "$work/times.sha512" openssl dgst -sha512 "$image"
  timed "$work/times.inflate" sh -c "igzip -dc '$image' > /dev/null"
done
rm -rf "$work/guide"

echo "image: $(($(stat -c %s "$image") >> 20)) MiB, usr.squashfs: $(($(stat -c %s "$work/usr.squashfs") >> 20)) MiB, $(nproc) processors, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)"
echo "| medians of $pairs | seconds | peak KiB | MiB written |"
echo "| --- | --- | --- | --- |"
for row in guide cold warm sha512 inflate; do
  echo "| $row | $(median "$work/times.$row" 1) | $(median "$work/times.$row" 2) | $(median "$work/times.$row" 3) |"
done
awk -v guide="$(median "$work/times.guide" 1)" -v cold="$(median "$work/times.cold" 1)" -v one="$(median "$work/times.sha512" 1)" -v two="$(median "$work/times.inflate" 1)" \
  'BEGIN { floor = one > two ? one : two; printf "cold: %.1f times as fast as the guide, %.2f times the floor\n", guide / cold, cold / floor }'
