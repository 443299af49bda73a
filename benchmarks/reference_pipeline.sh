#!/usr/bin/env bash
# What people compose themselves: md5sum + exiftool + vipsthumbnail over a list of files, two at a time.
# usage: reference_pipeline.sh LIST OUTPUT_FOLDER
set -euo pipefail
mkdir -p "$2"
out=$(realpath "$2")
xargs -d '\n' -P 2 -n 15 sh -c '
  out=$0
  md5sum "$@" > "$out/$$.md5"
  exiftool -json -n "$@" > "$out/$$.json" 2>/dev/null
  vipsthumbnail --size 256x256 -o "$out/%s.jpg[Q=80,strip]" "$@"
' "$out" < "$1"
