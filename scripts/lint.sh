#!/usr/bin/env bash
# Check style, types and the direction of imports. All checks run; the exit code is 1 if any finds something.
set -uo pipefail
cd "$(dirname "$0")/.."
status=0
.venv/bin/ruff check --quiet . || status=1
.venv/bin/ruff format --check --quiet . || { echo "Not formatted: run \`.venv/bin/ruff format .\`."; status=1; }
.venv/bin/mypy || status=1
imports=$(.venv/bin/lint-imports 2>&1) || { printf '%s\n' "$imports"; status=1; }
exit "$status"
