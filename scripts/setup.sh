#!/usr/bin/env bash
# Make everything ready to run: the Python environment in .venv, its pinned packages, the front-end files, exiftool.
# Quick when nothing has changed. With the argument `dev` the tools for tests and checks come too.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh

PYTHON=${PYTHON:-python3}

make_environment() {
  if .venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
  command -v "$PYTHON" >/dev/null || fail "Python is not installed. Install Python 3.11 or newer, then run \`make setup\` again."
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Photolala needs Python 3.11 or newer; $PYTHON is $("$PYTHON" --version). Name another: make setup PYTHON=/path/to/python3"
  say "Making the Python environment in .venv ..."
  if "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    quietly "$PYTHON" -m venv --clear .venv
  elif is_root && command -v apt-get >/dev/null; then
    install_packages python3-venv
    quietly "$PYTHON" -m venv --clear .venv
  else
    fail "Python's venv module is missing. As root run \`apt-get install python3-venv\`, then run \`make setup\` again."
  fi
}

# Install a file of pinned requirements unless just this file was installed into this environment.
install_requirements() {
  local stamp=".venv/.installed-$1" want
  want=$(sha256sum "$1")
  if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then return; fi
  say "Installing the Python packages of $1 ..."
  quietly .venv/bin/python -m pip install --disable-pip-version-check --require-hashes -r "$1" ||
    fail "The Python packages could not be installed; is the network there? Nothing else was changed."
  printf '%s\n' "$want" >"$stamp"
}

# The pinned exiftool came with the front-end files; it needs the whole of Perl, of which Debian's minimum is a part.
provide_exiftool() {
  if perl -MTime::Local -MEncode -MDigest::MD5 -e 1 2>/dev/null; then return; fi
  if is_root && command -v apt-get >/dev/null && install_packages libimage-exiftool-perl; then return; fi
  say "Perl is missing, which exiftool needs: everything works except writing ratings and dates into files." \
    "As root run \`apt-get install perl\`."
}

# The tools that tests take from npm, unless just these are there.
provide_typescript() {
  local folder=tests/contract/clients/typescript want
  want=$(sha256sum "$folder/package-lock.json")
  if [ "$(cat "$folder/node_modules/.installed" 2>/dev/null)" = "$want" ]; then return; fi
  say "Fetching the tools that tests take from npm ..."
  .venv/bin/python -c "
import sys; sys.path.insert(0, 'scripts'); import fetch_frontend as fetch
sys.exit(fetch.install('$folder'))" || fail "They could not be fetched; is the network there? Nothing else was changed."
  printf '%s\n' "$want" >"$folder/node_modules/.installed"
}

make_environment
install_requirements requirements.txt
if [ "${1:-}" = dev ]; then install_requirements requirements-dev.txt; fi
.venv/bin/python scripts/fetch_frontend.py
if [ "${1:-}" = dev ]; then provide_typescript; fi
provide_exiftool
