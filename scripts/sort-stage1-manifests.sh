#!/bin/sh
# Sorts the manifests of stage1, and removes duplicates and blank lines.
# Files that are sorted already, in byte order or in en_US.UTF-8 order, are not
# changed. With --check nothing is written, and the exit code is 1 if a file would change.
set -eu
cd "$(dirname "$0")/.."
exec cargo xtask sort-manifests "$@"
