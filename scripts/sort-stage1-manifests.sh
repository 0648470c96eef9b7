#!/bin/sh
# Puts the manifests of stage1 in order, without duplicates and blank lines.
# Files that are sorted already, by bytes or as en_US.UTF-8 does it, stay as
# they are. With --check nothing is written, and exit code 1 says that it would be.
set -eu
cd "$(dirname "$0")/.."
exec cargo xtask sort-manifests "$@"
