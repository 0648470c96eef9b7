#!/bin/bash
# Makes a release directory in the layout of a CoreOS release server from a Debian suite.
#
#   scripts/make-debian-release.sh SUITE RELEASE OUTDIR [--board amd64-usr|arm64-usr]
#
# Real input for the tool: programs, libraries, symbol versions and symlinks of Debian, packed by mksquashfs, GNU cpio,
# gzip and gpg, independent of this project's code. OUTDIR can be served as a mirror:
#
#   OUTDIR/signing-key.asc                 the certificate: a throwaway primary key and a signing subkey
#   OUTDIR/BOARD/RELEASE/FILE, FILE.sig    image, version.txt, list of files, list of packages; the image names the
#                                          owner of each file as Flatcar's does (share/licenses/licenses.json.bz2)
#   OUTDIR/BOARD/RELEASE/debian-files.txt  which Debian package each file came from: PACKAGE, tab, path below /usr
#
# Requires root (owners and modes are stored in the image) and Debian; missing packages are listed. DEBIAN_MIRROR replaces
# the mirror that apt uses.
set -euo pipefail

fail() { echo "make-debian-release.sh: $*" >&2; exit 2; }

positional=() board=amd64-usr
while [ $# -gt 0 ]; do
  case $1 in
    --board) [ $# -gt 1 ] || fail "--board needs amd64-usr or arm64-usr"; board=$2; shift 2 ;;
    --board=*) board=${1#--board=}; shift ;;
    -*) fail "unknown option $1" ;;
    *) positional+=("$1"); shift ;;
  esac
done
[ ${#positional[@]} -eq 3 ] || fail "usage: make-debian-release.sh SUITE RELEASE OUTDIR [--board amd64-usr|arm64-usr]"
suite=${positional[0]} release=${positional[1]} outdir=${positional[2]}
[[ $release =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "$release is not a release: expected three numbers like 2520.0.0"
case $board in
  amd64-usr) arch=amd64 multiarch=x86_64-linux-gnu loader=ld-linux-x86-64.so.2 ;;
  arm64-usr) arch=arm64 multiarch=aarch64-linux-gnu loader=ld-linux-aarch64.so.1 ;;
  *) fail "$board is not a board: expected amd64-usr or arm64-usr" ;;
esac
[ "$(id -u)" = 0 ] || fail "requires root: owners and modes go into the image"

missing=()
need() { command -v "$1" > /dev/null || missing+=("$2"); }
need mmdebstrap mmdebstrap; need mksquashfs squashfs-tools; need cpio cpio; need gzip gzip; need bzip2 bzip2; need gpg gnupg
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
[ ${#missing[@]} -eq 0 ] || fail "not installed: ${missing[*]} (apt-get install ${missing[*]})"

mkdir -p "$outdir"
outdir=$(cd "$outdir" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The packages of a stage1, and the libraries that its programs load. The -dev packages have the linker names
# (libcap.so), which CoreOS images have too.
packages=(
  systemd systemd-container udev dbus bash coreutils kmod util-linux mount iproute2 openssh-server openssh-client
  libpam-modules libpam-systemd libnss-systemd libnss-myhostname procps grep sed
  libpam0g-dev libcap-dev libkmod-dev libseccomp-dev
)
# Libraries that systemd loads with dlopen(3).
packages+=(libcryptsetup12 libkmod2 libseccomp2 libidn2-0)

unpack_suite() {
  local mirror=${DEBIAN_MIRROR:-}
  if [ -z "$mirror" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2> /dev/null |
      grep -m 1 -E '/debian/?$' || true)
  fi
  # A snapshot archive has expired lists: apt's settings on this machine decide whether they are accepted.
  local -a options=()
  if apt-config dump Acquire::Check-Valid-Until | grep -q false; then
    options=(--aptopt='Acquire::Check-Valid-Until "false"')
  fi
  # The hook runs before the packages are removed.
  mmdebstrap --quiet --variant=extract --mode=root --architectures="$arch" \
    "${options[@]}" --include="$(IFS=,; echo "${packages[*]}")" \
    --extract-hook='cp "$1"/var/cache/apt/archives/*.deb "$DEBS"/' \
    --format=directory "$suite" "$work/root" "${mirror:-http://deb.debian.org/debian}"
}

# Debian suites before the merge of /usr also have programs and libraries in the root directory.
merge_usr() {
  local name
  for name in bin sbin lib lib64; do
    if [ -d "$work/root/$name" ] && [ ! -L "$work/root/$name" ]; then
      mkdir -p "$work/root/usr/$name"
      cp -a --remove-destination "$work/root/$name/." "$work/root/usr/$name/"
    fi
  done
}

# Moves the content of directory $1 into $2, directories merged.
move_into() {
  mkdir -p "$2"
  cp -al --remove-destination "$1/." "$2/"
  rm -rf "$1"
}

# CoreOS's layout of libraries, in which Debian's programs still work: Debian's loader, RUNPATHs and dlopen calls use the
# multiarch directory.
convert_layout() {
  local usr=$work/root/usr link target
  # A relative symlink with `..` is made absolute, so that it is valid after the move.
  find "$usr/lib/$multiarch" -type l -lname '*..*' | while read -r link; do
    target=$(realpath -m -s --relative-to="$work/root" "$(dirname "$link")/$(readlink "$link")")
    ln -sfn "/$target" "$link"
  done
  rm -f "$usr/lib64/$loader" "$usr/lib/$loader"
  mkdir -p "$usr/lib64"
  mv "$usr/lib/$multiarch" "$work/multiarch"
  if [ "$board" = amd64-usr ]; then
    move_into "$usr/lib" "$usr/lib64"
    move_into "$work/multiarch" "$usr/lib64"
    ln -s lib64 "$usr/lib"
    ln -s . "$usr/lib64/$multiarch"
  else
    [ ! -d "$work/multiarch/systemd" ] || move_into "$work/multiarch/systemd" "$usr/lib/systemd"
    mv "$work/multiarch"/libgcc_s.so.1 "$usr/lib/"
    move_into "$work/multiarch" "$usr/lib64"
    ln -s "../lib64/$loader" "$usr/lib/$loader"
    ln -s ../lib/systemd "$usr/lib64/systemd"
    ln -s ../lib64 "$usr/lib/$multiarch"
  fi
}

# Files that no stage1 lists are removed to keep the image small.
remove_unlisted() {
  local usr=$work/root/usr
  rm -rf "$usr"/{include,src,games,local,libexec/dpkg} "$usr"/bin/*perl* \
    "$usr"/share/{doc,doc-base,info,man,locale,lintian,perl5,perl,bug,i18n,zoneinfo,pkgconfig} \
    "$usr"/lib*/{*crt*.o,perl*,gcc,gconv,pkgconfig,locale} "$usr"/lib*/udev/{hwdb.bin,hwdb.d}
  find "$usr"/lib* -name '*.a' -delete
}

identity() {
  local usr=$work/root/usr
  rm -f "$usr/lib/os-release"
  cat > "$usr/lib/os-release" <<END
NAME="Container Linux by CoreOS"
ID=coreos
VERSION=$release
VERSION_ID=$release
BUILD_ID=$(date -u +%Y-%m-%d-%H%M)
PRETTY_NAME="Container Linux by CoreOS $release (from Debian $suite)"
ANSI_COLOR="38;5;75"
HOME_URL="https://coreos.com/"
BUG_REPORT_URL="https://issues.coreos.com"
COREOS_BOARD="$board"
END
  mkdir -p "$usr/share/coreos"
  cat > "$usr/share/coreos/release" <<END
COREOS_RELEASE_VERSION=$release
COREOS_RELEASE_BOARD=$board
COREOS_RELEASE_APPID={e96281a6-d1af-4bde-9a0a-97b76e56dc57}
END
  printf 'GROUP=alpha\nSERVER=\n' > "$usr/share/coreos/update.conf"
}

# Category, name and version of a package in Portage's shape: 257.9-1~deb13u1 is 257.9-r1, 258~rc3-1 is 258_rc3-r1.
project() {
  local name version base
  name=$(dpkg-deb -f "$1" Package)
  version=$(dpkg-deb -f "$1" Version)
  version=${version#*:}
  base=${version%-*}
  echo "$(category "$name")/$name-${base//\~/_}$(sed -nE 's/^.*-([0-9]+).*$/-r\1/p' <<< "$version")::debian"
}

# share/licenses/licenses.json.bz2 as in a Flatcar image (flatcar/scripts, write_licenses), with dpkg's own lists of files.
write_licenses() {
  local deb separator='['
  mkdir -p "$work/root/usr/share/licenses"
  for deb in "$DEBS"/*.deb; do
    printf '%s{"project": "%s", "licenses": [], "description": "", "homepage": "%s", "source": "", "files": "' \
      "$separator" "$(project "$deb")" "$(dpkg-deb -f "$deb" Homepage | json_text)"
    dpkg-deb --fsys-tarfile "$deb" | tar -tv --numeric-owner |
      sed -nE 's,^-.{9} +[^ ]+ +[0-9]+ [^ ]+ [^ ]+ \.(/.*),\1 d41d8cd98f00b204e9800998ecf8427e,p; s,^l.{9} +[^ ]+ +[0-9]+ [^ ]+ [^ ]+ \.(/.* -> .*),\1,p; s,^h.{9} +[^ ]+ +[0-9]+ [^ ]+ [^ ]+ \.(/.*) link to .*,\1 d41d8cd98f00b204e9800998ecf8427e,p' |
      json_text
    printf '"}\n'
    separator=,
  done | { cat; echo ']'; } | bzip2 > "$work/root/usr/share/licenses/licenses.json.bz2"
}

# A text within a JSON string.
json_text() { sed -E 's/[\\"]/\\&/g' | sed -z -E 's/\n/\\n/g'; }

# "%M %2n %-7u …" is the format of CoreOS's own lists (coreos/scripts, build_image_util.sh).
write_lists() {
  local deb name
  mkdir "$work/disk"
  mv "$work/root/usr" "$work/disk/usr"
  (cd "$work/disk" && TZ=UTC find . -printf '%M %2n %-7u %-7g %7s %TY-%Tm-%Td %TH:%TM ./%P -> %l\n') |
    sed 's/ -> $//' > "$dest/coreos_production_image_contents.txt"
  for deb in "$DEBS"/*.deb; do
    name=$(dpkg-deb -f "$deb" Package)
    project "$deb"
    dpkg-deb --fsys-tarfile "$deb" | tar -t | sed -nE "/\/$/d; s,^\./(usr/)?(s?bin/|lib|share/|libexec/),$name\t\2,p" >> "$work/files"
  done | LC_ALL=C sort > "$dest/coreos_production_image_packages.txt"
  LC_ALL=C sort "$work/files" > "$dest/debian-files.txt"
}

category() {
  case $1 in
    lib*) echo sys-libs ;;
    openssh* | iproute2) echo net-misc ;;
    bash) echo app-shells ;;
    *) echo sys-apps ;;
  esac
}

write_version() {
  local build branch patch
  IFS=. read -r build branch patch <<< "$release"
  cat > "$dest/version.txt" <<END
COREOS_BUILD=$build
COREOS_BRANCH=$branch
COREOS_PATCH=$patch
COREOS_VERSION=$release
COREOS_VERSION_ID=$release
COREOS_BUILD_ID=""
COREOS_SDK_VERSION=$release
END
}

pack() {
  mkdir "$work/pxe" "$work/pxe/etc"
  mksquashfs "$work/disk/usr" "$work/pxe/usr.squashfs" -p '/.noupdate f 444 0 0 true' -noappend -quiet -no-progress > /dev/null
  (cd "$work/pxe" && find . | cpio --quiet -o -H newc) | gzip > "$dest/coreos_production_pxe_image.cpio.gz"
}

# One certificate per OUTDIR. A subkey signs the releases, like those of the vendors.
sign() {
  export GNUPGHOME=$outdir/.gnupg
  if [ ! -e "$outdir/signing-key.asc" ]; then
    (umask 077; mkdir -p "$GNUPGHOME")
    local gpg=(gpg --batch --quiet --passphrase '' --pinentry-mode loopback) primary
    "${gpg[@]}" --quick-generate-key 'Throwaway Release Signing (not CoreOS) <throwaway@example.org>' rsa3072 cert never
    primary=$(gpg --batch --list-secret-keys --with-colons | awk -F: '$1 == "fpr" { print $10; exit }')
    "${gpg[@]}" --quick-add-key "$primary" rsa3072 sign 2y
    gpg --batch --armor --export "$primary" > "$outdir/signing-key.asc.new"
    mv "$outdir/signing-key.asc.new" "$outdir/signing-key.asc"
  fi
  local file
  for file in "$dest"/*.txt "$dest"/*.cpio.gz; do
    [ "${file##*/}" != debian-files.txt ] || continue
    gpg --batch --quiet --yes --passphrase '' --pinentry-mode loopback --detach-sign --output "$file.sig" "$file"
  done
  gpgconf --kill all
}

export DEBS=$work/debs
dest=$work/release
mkdir "$DEBS" "$dest"
unpack_suite
merge_usr
convert_layout
remove_unlisted
identity
write_licenses
write_lists
write_version
pack
sign
chmod -R u=rwX,go=rX "$dest"
mkdir -p "$outdir/$board"
rm -rf "${outdir:?}/$board/$release"
mv "$dest" "$outdir/$board/$release"
echo "$outdir/$board/$release: systemd $(sed -nE 's,^sys-apps/systemd-([0-9][^:]*)::.*,\1,p' "$outdir/$board/$release/coreos_production_image_packages.txt") from $suite"
