#!/usr/bin/env bash
# Instructions that one registration costs aorta, counted by callgrind: repeatable where times are not,
# so that a change shows what it costs. One client in a closed loop, one worker, everything on loopback.
#   tests/bench/instructions.sh [--write] [--keep FOLDER] [--repeat N] [CASE]...
# Prints `case instructions` for each case (all without a name). Fails when one is more than 5 % above
# tests/bench/instructions.json; --write writes that file anew; --keep keeps callgrind's profiles of the
# registrations alone, without the start (callgrind_annotate FOLDER/CASE.callgrind).
# AORTA_BIN names the binary: a release build. Status 77: this system cannot be compared with the file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

skip() {
  echo "tests/bench/instructions.sh: skipped: $*" >&2
  exit 77
}

for tool in valgrind callgrind_control node redis-server; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
[ -x "${AORTA_BIN:-build/aorta}" ] || skip "${AORTA_BIN:-build/aorta} is not built"
exec node tests/bench/instructions.mjs "$@"
