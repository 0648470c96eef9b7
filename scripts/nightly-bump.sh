#!/bin/bash
# Moves the tree to the newest release of a channel on a branch of its own, tests it, and proposes it.
#
#   scripts/nightly-bump.sh [--channel CHANNEL] [--release RELEASE] [--push] [--no-smoketest] [-- OPTION …]
#
#   --channel CHANNEL   alpha (default), beta, stable or lts
#   --release RELEASE   this one instead of the channel's newest
#   --push              push the branch to origin, and open a pull request with gh(1); without it, all stays here
#   --no-smoketest      neither build nor boot
#   OPTION …            goes to bump-coreos: --mirror URL, --signing-key FILE, --brand flatcar …
#
# Exit codes are those of cargo xtask: 0 all is well or nothing is new, 1 a person has to look, 2 it could not be
# done, 3 the image is not trusted. The branch that the script started on is checked out again in the end.
set -euo pipefail
cd "$(dirname "$0")/.."

channel=alpha release=latest push=no smoketest=yes
while [ $# -gt 0 ]; do
  case $1 in
    --channel) channel=${2:?--channel needs a word}; shift 2 ;;
    --release) release=${2:?--release needs a number}; shift 2 ;;
    --push) push=yes; shift ;;
    --no-smoketest) smoketest=no; shift ;;
    --) shift; break ;;
    *) echo "unknown option $1; see the head of $0" >&2; exit 2 ;;
  esac
done

if [ -n "$(git status --porcelain)" ]; then
  echo "the tree has changes; commit or stash them first" >&2
  exit 2
fi
scratch=$(mktemp -d)
home=$(git symbolic-ref --quiet --short HEAD || git rev-parse HEAD)
start=$(git rev-parse HEAD)
work=bump/unnamed-$$
leave() {
  git checkout --quiet "$home"
  # A branch that holds nothing new is not worth a name.
  if [ "$(git rev-parse --quiet --verify "refs/heads/$work" || true)" = "$start" ]; then
    git branch --quiet -D "$work"
  fi
  rm -rf "$scratch"
}
trap leave EXIT
git checkout --quiet -b "$work"

code=0
cargo xtask bump-coreos "$release" --channel "$channel" --commit --report "$scratch/report.md" "$@" || code=$?
[ $code -le 1 ] || exit $code
if [ "$(git rev-parse HEAD)" = "$start" ]; then
  echo "nothing is new on $channel"
  exit $code
fi

release=$(sed -n 's/^CCN_IMG_RELEASE := //p' stage1/usr_from_coreos/coreos-common.mk)
branch=bump/$release
if git rev-parse --quiet --verify "refs/heads/$branch" > /dev/null ||
  { [ $push = yes ] && git ls-remote --exit-code --heads origin "$branch" > /dev/null; }; then
  echo "$branch is there already"
  # Not this run's to overwrite.
  git checkout --quiet "$home" && git branch --quiet -D "$work"
  exit $code
fi
git branch --quiet -m "$work" "$branch"
work=$branch

if [ $smoketest = yes ]; then
  tested=0
  cargo xtask --color never smoketest > "$scratch/smoketest.txt" 2>&1 || tested=$?
  {
    printf '\n### Smoke test\n\n```\n'
    tail -n 40 "$scratch/smoketest.txt"
    printf '```\n'
  } >> "$scratch/report.md"
  [ $tested -le $code ] || code=$tested
fi

if [ $push = yes ]; then
  git push --quiet origin "$branch"
  draft=()
  [ $code -eq 0 ] || draft=(--draft)
  gh pr create --head "$branch" --title "$(git log -1 --format=%s)" --body-file "$scratch/report.md" "${draft[@]}"
else
  cat "$scratch/report.md"
  echo "branch $branch is ready"
fi
exit $code
