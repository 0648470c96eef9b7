#!/bin/bash
# Updates the tree to the newest release of a channel on a branch, tests it, and opens a pull request.
# The text below is printed by --help.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat << 'END'
Updates the tree to the newest release of a channel on the branch bump/RELEASE, tests it, and proposes it.

Usage: scripts/nightly-bump.sh [OPTION]… [-- XTASK_OPTION…]

  --channel CHANNEL   alpha (default), beta, stable, lts or lts-YEAR
  --release RELEASE   this release instead of the newest one of the channel
  --push              push the branch to origin and open a pull request with gh(1); without it the branch stays local
  --no-smoketest      do not build and boot
  --step STEP         only bump, test or propose, as the jobs of .github/workflows/bump.yml do; needs --state
  --state DIR         directory for the results that one step passes to the next
  --checksum SUM      propose: refuse results of the bump step that do not have this checksum
  -h, --help          print this text

XTASK_OPTION is passed to every command of cargo xtask that is run: --mirror URL, --signing-key FILE, --brand flatcar.
Options that only bump-coreos has (--drop-missing, --dlopen LEVEL, --systemd vN, --compare-sizes, --allow-downgrade) are passed to that command only.

An open pull request for the same release is updated; those for older releases are closed with a reference to the new
one. A branch with other commits is never overwritten.

Exit codes: 0 success, or nothing to do; 1 findings remain, or the smoke test failed; 2 error; 3 the image is not trusted.
END
}

fail() { echo "nightly-bump.sh: $*" >&2; exit 2; }
value() { [ -n "${2:-}" ] || fail "$1 needs a value; see --help"; }

channel=alpha release=latest push=no smoketest=yes step=all state='' checksum='' branch=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --channel) value "$@"; channel=$2; shift 2 ;;
    --release) value "$@"; release=$2; shift 2 ;;
    --step) value "$@"; step=$2; shift 2 ;;
    --state) value "$@"; state=$2; shift 2 ;;
    --checksum) value "$@"; checksum=$2; shift 2 ;;
    --push) push=yes; shift ;;
    --no-smoketest) smoketest=no; shift ;;
    --) shift; break ;;
    *) fail "unknown option $1; see --help" ;;
  esac
done
options=("$@")
case $step in all | bump | test | propose) ;; *) fail "--step $step: expected bump, test or propose" ;; esac
[ "$step" = all ] || [ -n "$state" ] || fail "--step needs --state DIR"

scratch=$(mktemp -d)
home='' work=''
clean_up() {
  [ -z "$home" ] || git checkout --quiet "$home"
  [ -z "$work" ] || git branch --quiet -D "$work" 2> /dev/null || true
  rm -rf "$scratch"
}
trap clean_up EXIT
state=${state:-$scratch}
mkdir -p "$state"
state=$(cd "$state" && pwd)

# Prints standard input. In GitHub Actions no line of it is run as a workflow command.
show() {
  if [ "${GITHUB_ACTIONS:-}" != true ]; then cat; return; fi
  local token
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '::stop-commands::%s\n' "$token"
  sed 's/##\[/# #[/g'
  printf '\n::%s::\n' "$token"
}

output() { if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "$1=$2" >> "$GITHUB_OUTPUT"; fi; }
sum() { (cd "$state" && sha256sum branch commit subject report.md bump.bundle) | sha256sum | cut -d ' ' -f 1; }

# A branch may be replaced if it adds at most one commit to the current one.
is_replaceable() { [ "$(git rev-list --count "$1" "^$2")" -le 1 ]; }

bump() {
  [ -z "$(git status --porcelain)" ] || fail "the tree has uncommitted changes; commit or stash them first"
  local start code=0 pinned
  home=$(git symbolic-ref --quiet --short HEAD || git rev-parse HEAD)
  start=$(git rev-parse HEAD)
  rm -f "$state"/{branch,commit,subject,report.md,bump.bundle}
  work=bump/unnamed-$$
  git checkout --quiet -b "$work"
  cargo xtask --color never bump-coreos "$release" --channel "$channel" --commit --report "$state/report.md" \
    "${options[@]}" > "$scratch/bump.txt" 2>&1 || code=$?
  show < "$scratch/bump.txt"
  if [ $code -eq 3 ] && grep -q -e --allow-downgrade "$scratch/bump.txt"; then
    echo "nothing to do: the pinned release is newer than the newest one of $channel"
    return 0
  fi
  [ $code -le 1 ] || exit $code
  if [ "$(git rev-parse HEAD)" = "$start" ]; then
    echo "nothing to do: no newer release on $channel, and nothing to fix"
    [ $code -eq 0 ] || echo "notice: the manifests have findings; cargo xtask verify-manifests lists them"
    return 0
  fi
  pinned=$(sed -n 's/^CCN_IMG_RELEASE *:*= *\([0-9][0-9.]*\).*$/\1/p' stage1/usr_from_coreos/coreos-common.mk)
  [[ $pinned =~ ^[0-9]+(\.[0-9]+)+$ ]] || fail "no release number in CCN_IMG_RELEASE of coreos-common.mk"
  branch=bump/$pinned
  if git rev-parse --quiet --verify "refs/heads/$branch" > /dev/null; then
    is_replaceable "$branch" "$start" || fail "branch $branch has commits of its own; merge, rename or delete it"
  fi
  git branch --quiet -M "$work" "$branch"
  work=''
  printf '%s\n' "$branch" > "$state/branch"
  git rev-parse HEAD > "$state/commit"
  git log -1 --format=%s > "$state/subject"
  echo $code > "$state/bump.code"
  git bundle create --quiet "$state/bump.bundle" "$start..$branch"
  git archive --format=tar -o "$state/tree.tar" "$branch"
  output release "$pinned"
  output exit-code $code
  output checksum "$(sum)"
}

# The options that every command accepts.
common_options() {
  common=()
  local skip=no option
  for option in "${options[@]}"; do
    if [ $skip = yes ]; then skip=no; continue; fi
    case $option in
      --dlopen | --systemd) skip=yes ;;
      --drop-missing | --compare-sizes | --allow-downgrade | --dlopen=* | --systemd=*) ;;
      *) common+=("$option") ;;
    esac
  done
}

smoke_test() {
  local code=0 common
  common_options
  cargo xtask --color never smoketest "${common[@]}" > "$scratch/smoketest.log" 2>&1 || code=$?
  # The last lines, without control and bidirectional characters.
  tail -n 40 "$scratch/smoketest.log" | tail -c 4000 | iconv -c -f UTF-8 -t UTF-8 |
    LC_ALL=C tr -d '\000-\010\013-\037\177' |
    LC_ALL=C sed 's/\xe2\x80[\x8b-\x8f\xa8-\xae]//g; s/\xe2\x81[\xa6-\xa9]//g' > "$state/smoketest.txt"
  show < "$state/smoketest.txt"
  echo $code > "$state/test.code"
}

# Prints a text as a Markdown code block, with a fence longer than any in the text.
print_code_block() {
  local ticks
  ticks=$({ grep -o '`*' "$1" || true; } | awk '{ if (length > most) most = length } END { print (most < 3 ? 3 : most + 1) }')
  local fence
  fence=$(printf '%*s' "$ticks" '' | tr ' ' '`')
  printf '%s\n' "$fence"; cat "$1"; printf '\n%s\n' "$fence"
}

body() {
  cat "$state/report.md"
  [ -e "$state/smoketest.txt" ] || return 0
  printf '\n### Smoke test\n\n'
  case $(cat "$state/test.code") in 0) echo "Passed." ;; *) echo "**Failed** (exit code $(cat "$state/test.code"))." ;; esac
  printf '\n<details><summary>Output</summary>\n\n'
  print_code_block "$state/smoketest.txt"
  printf '\n</details>\n'
}

# Exit code: 1 if findings remain or the smoke test failed. Exit code 2 of the smoke test is a failed test here.
outcome() {
  local code
  code=$(cat "$state/bump.code")
  [ ! -e "$state/test.code" ] || [ "$(cat "$state/test.code")" = 0 ] || code=1
  echo "$code"
}

# Fetches the branch of another job: one commit on top of the current one, which changes only files below stage1/.
import() {
  [ -z "$checksum" ] || [ "$(sum)" = "$checksum" ] || fail "the results in $state are not those of the bump step"
  local commit others
  commit=$(cat "$state/commit")
  git fetch --quiet --force "$state/bump.bundle" "refs/heads/$branch:refs/heads/$branch"
  [ "$(git rev-parse "refs/heads/$branch")" = "$commit" ] || fail "$branch is not the commit $commit"
  [ "$(git rev-list --count "$commit" ^HEAD)" = 1 ] || fail "$branch is not one commit on top of HEAD"
  others=$(git diff --name-only "$commit^" "$commit" -- . ':!stage1')
  [ -z "$others" ] || fail "$branch changes files outside of stage1: $others"
}

push_branch() {
  local theirs
  theirs=$(git ls-remote --heads origin "refs/heads/$branch" | cut -f 1)
  if [ -n "$theirs" ]; then
    git fetch --quiet origin "refs/heads/$branch"
    # The same change on the same commit needs no push.
    if [ "$(git rev-parse "$branch^{tree}" "$branch^")" = "$(git rev-parse 'FETCH_HEAD^{tree}' FETCH_HEAD^)" ]; then
      return 0
    fi
    is_replaceable FETCH_HEAD HEAD || fail "$branch on origin has commits of somebody else; merge or delete it"
  fi
  git push --quiet --force-with-lease="refs/heads/$branch:$theirs" origin "$branch"
}

propose() {
  local code open number='' url other old_branch draft=()
  branch=$(cat "$state/branch")
  [[ $branch =~ ^bump/[0-9]+(\.[0-9]+)+$ ]] || fail "$branch is not a branch of this script"
  [ "$step" = all ] || import
  code=$(outcome)
  body > "$scratch/body.md"
  push_branch
  open=$(gh pr list --state open --limit 200 --json number,headRefName,isCrossRepository \
    --jq '.[] | select(.isCrossRepository | not) | "\(.number) \(.headRefName)"')
  number=$(awk -v branch="$branch" '$2 == branch { print $1; exit }' <<< "$open")
  if [ -n "$number" ]; then
    gh pr edit "$number" --title "$(cat "$state/subject")" --body-file "$scratch/body.md"
    echo "updated pull request #$number for $branch"
  else
    [ "$code" -eq 0 ] || draft=(--draft)
    url=$(gh pr create --head "$branch" --title "$(cat "$state/subject")" --body-file "$scratch/body.md" "${draft[@]}")
    echo "opened ${url:-a pull request} for $branch"
    number=${url##*/}
  fi
  while read -r other old_branch; do
    [[ $old_branch != "$branch" && $old_branch =~ ^bump/[0-9]+(\.[0-9]+)+$ ]] || continue
    [ "$(printf '%s\n' "$old_branch" "$branch" | sort -V | tail -n 1)" = "$branch" ] || continue
    gh pr close "$other" --comment "Replaced by ${number:+#}${number:-$branch}."
    echo "closed pull request #$other for $old_branch"
  done <<< "$open"
  return "$code"
}

case $step in
  bump) bump ;;
  test) smoke_test ;;
  propose) propose ;;
  all)
    bump
    [ -e "$state/branch" ] || exit 0
    if [ $smoketest = yes ]; then
      git checkout --quiet "$branch"
      smoke_test
    fi
    git checkout --quiet "$home"
    if [ $push = yes ]; then
      propose
    else
      body | show
      echo "branch $branch is ready"
      exit "$(outcome)"
    fi
    ;;
esac
