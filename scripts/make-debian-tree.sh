#!/bin/bash
# Makes an rkt-style tree with manifests that match a release made by scripts/make-debian-release.sh.
#
#   scripts/make-debian-tree.sh RELEASES RELEASE TREE [--board amd64-usr|arm64-usr]...
#
# RELEASES is the OUTDIR of make-debian-release.sh; TREE must not exist, unless it gets a further board. The tool is not
# used: the programs come from Debian's package lists, the libraries from readelf, and the real loader, in a chroot of
# exactly the listed files, checks that all of them link (for a foreign board that check is skipped, and reported).
# Requires root, for the chroot.
set -euo pipefail

fail() { echo "make-debian-tree.sh: $*" >&2; exit 2; }

boards=() positional=()
while [ $# -gt 0 ]; do
  case $1 in
    --board) [ $# -gt 1 ] || fail "--board needs amd64-usr or arm64-usr"; boards+=("$2"); shift 2 ;;
    -*) fail "unknown option $1" ;;
    *) positional+=("$1"); shift ;;
  esac
done
[ ${#positional[@]} -eq 3 ] || fail "usage: make-debian-tree.sh RELEASES RELEASE TREE [--board BOARD]..."
[ ${#boards[@]} -gt 0 ] || boards=(amd64-usr)
releases=${positional[0]} release=${positional[1]} tree=${positional[2]}
here=$(cd "$(dirname "$0")/.." && pwd)
for tool in unsquashfs cpio readelf chroot; do
  command -v "$tool" > /dev/null || fail "$tool is not installed (apt-get install squashfs-tools cpio binutils)"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The programs of rkt's own systemd.manifest, as a regular expression of base names.
systemd_bin='coredumpctl|journalctl|mount|systemctl|systemd-(analyze|ask-password|cat|cgls|cgtop|delta|detect-virt|inhibit|machine-id-setup|notify|nspawn|path|run|stdio-bridge|sysusers|tmpfiles|tty-ask-password-agent|socket-activate)'
journald_units='syslog.socket systemd-journald-audit.socket systemd-journald-dev-log.socket systemd-journald.service systemd-journald.socket systemd-journal-flush.service'
# Loaded with dlopen(3), so readelf does not list them.
dlopen_libraries='libcryptsetup.so.12 libkmod.so.2 libgcc_s.so.1 libnss_files.so.2'

set_board_variables() {
  case $board in
    amd64-usr) machine=x86_64 units=lib64/systemd loader=lib64/ld-linux-x86-64.so.2 multiarch=x86_64-linux-gnu ;;
    arm64-usr) machine=aarch64 units=lib/systemd loader=lib/ld-linux-aarch64.so.1 multiarch=aarch64-linux-gnu ;;
    *) fail "$board is not a board: expected amd64-usr or arm64-usr" ;;
  esac
}

unpack_image() {
  rm -rf "${work:?}/$board"
  mkdir -p "$work/$board/image"
  (cd "$work/$board" &&
    zcat "$releases/$board/$release/coreos_production_pxe_image.cpio.gz" | cpio --quiet -id usr.squashfs &&
    unsquashfs -no-progress -quiet -d image/usr usr.squashfs > /dev/null)
  image=$work/$board/image
  ln -s usr/bin usr/lib usr/lib64 usr/sbin "$image/"
  files=$releases/$board/$release/debian-files.txt
}

# The files of a Debian package below /usr that match a regular expression: package_files PACKAGE REGEX.
package_files() { awk -F'\t' -v p="$1" '$1 == p { print $2 }' "$files" | grep -E "$2" || true; }

# The path of a directory with its symlinks resolved.
canonical_directory() {
  local directory
  directory=$(cd -P "$image/usr/$1" && pwd)
  echo "${directory#"$image/usr/"}"
}

# The paths of the image as the manifests write them: symlinks of the directory resolved, the last component unchanged.
print_real_paths() {
  local path
  while read -r path; do
    if [ -e "$image/usr/$path" ] || [ -L "$image/usr/$path" ]; then
      echo "$(canonical_directory "${path%/*}")/${path##*/}"
    fi
  done
}

# The path and the chain of symlinks behind it, with the linker name if the image has it.
chain() {
  local path=$1 target
  while :; do
    echo "$path"
    [ -L "$image/usr/$path" ] || break
    target=$(readlink "$image/usr/$path")
    case $target in
      /usr/*) path=${target#/usr/} ;;
      /*) path=${target#/} ;;
      *) path=${path%/*}/$target ;;
    esac
    path=$(canonical_directory "${path%/*}")/${path##*/}
  done
}

print_linker_name() {
  local path=$1 stem
  stem=${path%%.so.*}
  [ "$stem" = "$path" ] || [ ! -L "$image/usr/$stem.so" ] || echo "$stem.so"
}

# The path of a library, searched in the directories of the board's loader and of rkt's LD_LIBRARY_PATH.
find_library() {
  local directory
  for directory in lib64 lib "$units" lib64/systemd; do
    if [ -e "$image/usr/$directory/$1" ] || [ -L "$image/usr/$directory/$1" ]; then
      echo "$(canonical_directory "$directory")/$1"
      return
    fi
  done
  fail "$board: no library $1 in the image"
}

# Reads paths and prints them with all their dependencies.
closure() {
  local -A seen=()
  local -a todo=()
  local path part needed library
  mapfile -t todo
  while [ ${#todo[@]} -gt 0 ]; do
    path=${todo[0]} todo=("${todo[@]:1}")
    [ -z "${seen[$path]:-}" ] || continue
    for part in $(chain "$path") $(print_linker_name "$path"); do
      [ -n "${seen[$part]:-}" ] || echo "$part"
      seen[$part]=1
    done
    part=$(chain "$path" | tail -n 1)
    [ -f "$image/usr/$part" ] || continue
    needed=$(readelf -dlW "$image/usr/$part" 2> /dev/null |
      sed -nE 's/.*\(NEEDED\).*\[(.*)\]$/\1/p; s/.*program interpreter: (.*)\]$/\1/p' || true)
    for library in $needed; do
      case $library in
        # The interpreter has a full path.
        /*) todo+=("$(canonical_directory "$(dirname "${library#/}")")/${library##*/}") ;;
        *) todo+=("$(find_library "$library")") ;;
      esac
    done
  done
}

write_manifest() {
  local file=$1
  mkdir -p "$(dirname "$file")"
  LC_ALL=C sort -u > "$file"
}

systemd_programs() {
  local package
  for package in systemd systemd-container systemd-coredump mount; do package_files "$package" "^bin/($systemd_bin)\$"; done
  package_files systemd '^lib/systemd/systemd(-(ac-power|backlight|binfmt|cgroups-agent|executor|fsck|hostnamed|initctl|journald|localed|logind|modules-load|networkd|networkd-wait-online|random-seed|remount-fs|reply-password|rfkill|shutdown|sleep|sysctl|timedated|update-done|update-utmp|vconsole-setup))?$'
  package_files systemd-container '^lib/systemd/systemd-machined$'
  package_files udev '^(lib/systemd/systemd-udevd|bin/udevadm)$'
}

write_coreos() {
  local dir=$tree/stage1/usr_from_coreos/manifest-$board.d library unit link
  echo bin/bash | closure | write_manifest "$dir/bash.manifest"
  for unit in $journald_units; do echo "$units/system/$unit"; done | print_real_paths | write_manifest "$dir/journald.manifest"
  {
    systemd_programs | print_real_paths
    for library in $dlopen_libraries; do
      # A subshell, so that a missing file does not end the script.
      (find_library "$library" 2> /dev/null) || true
    done
  } | closure > "$work/systemd"
  # The symlinks in the search paths of Debian's loader and RUNPATHs.
  {
    cat "$work/systemd"
    [ ! -L "$image/usr/lib" ] || echo lib
    for link in lib64/systemd "lib64/$multiarch" "lib/$multiarch"; do
      # Each by its real path: below a `lib` that is a symlink it would be listed twice.
      if [ -L "$image/usr/$link" ]; then echo "$(canonical_directory "${link%/*}")/${link##*/}"; fi
    done
  } | write_manifest "$dir/systemd.manifest"
}

write_kvm() {
  local dir=$tree/stage1/usr_from_kvm/manifest-$board.d name
  mkdir -p "$dir"
  for name in bash journald systemd; do
    ln -s "../../usr_from_coreos/manifest-$board.d/$name.manifest" "$dir/$name.manifest"
  done
  cat "$dir"/{bash,journald,systemd}.manifest | LC_ALL=C sort -u > "$work/common"
  {
    package_files iproute2 '^s?bin/ip$' | head -n 1 | print_real_paths | closure
  } | LC_ALL=C sort -u | LC_ALL=C comm -23 - "$work/common" | write_manifest "$dir/ip.manifest"
  {
    package_files coreutils '^bin/(chmod|chown)$'
    package_files openssh-client '^bin/ssh-keygen$'
    package_files openssh-server '^(sbin/sshd|lib/openssh/sshd-(session|auth))$'
  } | print_real_paths | closure | LC_ALL=C sort -u | LC_ALL=C comm -23 - "$work/common" | write_manifest "$dir/sshd.manifest"
}

write_common_mk() {
  local mk=$tree/stage1/usr_from_coreos/coreos-common.mk version
  version=$(sed -nE 's,^sys-apps/systemd-([0-9]+).*,\1,p' "$releases/$board/$release/coreos_production_image_packages.txt")
  cp "$here/stage1/usr_from_coreos/coreos-common.mk" "$mk"
  sed -i "0,/^CCN_SYSTEMD_VERSION :=/s/^CCN_SYSTEMD_VERSION := .*/CCN_SYSTEMD_VERSION := v$version/;
    s/^CCN_IMG_RELEASE := .*/CCN_IMG_RELEASE := $release/" "$mk"
  # The other files of the build, if this repository has them.
  (cd "$here/stage1" && find . \( -name Makefile -o -name '*.mk' \) -not -path './build-*' ! -name coreos-common.mk -print0 |
    cpio --quiet -0 -pdmu "$tree/stage1")
}

# In a chroot of exactly the listed files, every ELF file must find all of its libraries.
check_links() {
  local flavor root failed=0 file count=0 output
  for flavor in coreos kvm; do
    root=$work/$board/check-$flavor
    mkdir -p "$root/usr"
    cat "$tree/stage1/usr_from_$flavor/manifest-$board.d"/* | LC_ALL=C sort -u > "$work/list"
    (cd "$image/usr" && cpio --quiet -pdm "$root/usr" < "$work/list")
    ln -s usr/bin usr/lib usr/lib64 "$root/"
    [ "$machine" = "$(uname -m)" ] || { echo "$board: a foreign board, not checked with the real loader"; continue; }
    while read -r file; do
      [ "$(head -c 4 "$root/usr/$file" | tr -d '\0')" = $'\x7fELF' ] || continue
      count=$((count + 1))
      # A library without a RUNPATH may find its dependencies only through its program, or rkt's LD_LIBRARY_PATH.
      if ! output=$(LD_LIBRARY_PATH=/usr/lib:/usr/lib/systemd chroot "$root" "/usr/$loader" --list "/usr/$file" 2>&1) &&
        ! grep -q 'statically linked' <<< "$output"; then
        failed=$((failed + 1))
        echo "$board $flavor: $file does not link: $(grep -E 'not found|error' <<< "$output" | head -n 3)"
      fi
    done < <(cd "$root/usr" && find . -type f -printf '%P\n')
    echo "$board $flavor: $(wc -l < "$work/list") lines, $count ELF files checked, $failed do not link"
    count=0
  done
  [ "$failed" = 0 ] || fail "the tree does not link"
}

releases=$(cd "$releases" && pwd)
mkdir -p "$tree/stage1"
tree=$(cd "$tree" && pwd)
for board in "${boards[@]}"; do
  set_board_variables
  [ ! -e "$tree/stage1/usr_from_coreos/manifest-$board.d" ] || fail "$tree has manifests of $board already"
  unpack_image
  write_coreos
  write_kvm
  write_common_mk
  check_links
done
