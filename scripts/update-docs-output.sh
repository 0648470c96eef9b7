#!/bin/bash
# Writes the output of the present tool into docs/screens and the documents that show it, and makes the manual page.
# The tests compare the same, so that documents and program agree.
set -euo pipefail
cd "$(dirname "$0")/.."
UPDATE_EXPECT=1 cargo test --quiet --test it docs_
git status --short docs README.md
