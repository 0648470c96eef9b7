#!/bin/bash
# Puts what today's tool says into docs/screens and into the documents that show it, and makes the manual page anew.
# The tests compare the same, so what is shown cannot drift from what runs.
set -euo pipefail
cd "$(dirname "$0")/.."
UPDATE_EXPECT=1 cargo test --quiet --test it docs_
git status --short docs README.md
