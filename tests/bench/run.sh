#!/usr/bin/env bash
# Measures aorta, and beside it Kamailio, alternating, each run with fresh processes on loopback.
#   tests/bench/run.sh [--case NAME]... [--pairs N] [--seconds S] [--aorta-only] [--no-readme] [--list]
#   tests/bench/run.sh --growth   cost against the number of bindings and connections, start with 1 million
#   tests/bench/run.sh --short    instructions a registration against the file (tests/bench/instructions.sh)
# Every run's line goes to tests/bench/results/; the table and plots into README.md, unless --no-readme.
# Installs the Debian packages that are missing, and builds build/aorta and aorta-load.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/lib.sh

case " $* " in
  *" --list "*) exec node tests/bench/run.mjs --list ;;
  *" --short "*) exec tests/bench/instructions.sh ;;
esac
packages=("${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}")
case " $* " in
  *" --aorta-only "* | *" --growth "*) ;;
  *) packages+=("${BENCH_PACKAGES[@]}") ;;
esac
install_packages "${packages[@]}"
if [ -z "${AORTA_BIN:-}" ]; then
  cmake --preset release-tests --log-level=WARNING
  cmake --build build --target aorta aorta-load
fi
ulimit -n "$(ulimit -H -n)" # a file each for the clients of every process
exec node tests/bench/run.mjs "$@"
