#!/bin/bash
# Writes the current output of the tool to docs/screens and the documents, and the manual page. The tests compare them.
set -euo pipefail
cd "$(dirname "$0")/.."
UPDATE_EXPECT=1 cargo test --quiet --test it docs_
git status --short docs README.md
