#!/usr/bin/env bash
# Builds the fuzzers and lets each one run.
#   tests/fuzz/run.sh [--seconds N] [--jobs N] [TARGET]...
# 20 seconds each, as many at a time as there are CPUs up to two, and all of them unless told
# otherwise. What they learn stays in build-fuzz/learnt, so that a later run goes on from there.
# Who crashes leaves the input in build-fuzz/crashes/TARGET: put it into tests/fuzz/corpus/TARGET,
# where every build replays it. The last line says how many passed and failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/lib.sh

seconds=20
jobs=2
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds | --jobs)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "tests/fuzz/run.sh: $1 wants a number" >&2; exit 2; }
      [ "$1" = --seconds ] && seconds=$2 || jobs=$2
      shift 2
      ;;
    *)
      [ -f "tests/fuzz/$1.c" ] || { echo "tests/fuzz/run.sh: no such target: $1" >&2; exit 2; }
      targets+=("$1")
      shift
      ;;
  esac
done
known=$(sed -n 's/^add_fuzz_target(\([a-z_]*\) .*/\1/p' tests/fuzz/fuzz.cmake)
[ ${#targets[@]} -gt 0 ] || mapfile -t targets <<<"$known"

install_packages "${BUILD_PACKAGES[@]}" libcmocka-dev "${FUZZ_PACKAGES[@]}"
cmake --preset fuzz --log-level=WARNING >/dev/null
cmake --build build-fuzz --target "${targets[@]/#/fuzz_}" >build-fuzz/build.log || { cat build-fuzz/build.log; exit 1; }
node tests/fuzz/seeds.mjs build-fuzz/seeds

export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export ASAN_OPTIONS=detect_stack_use_after_return=1

dictionary() {
  case $1 in
    request | uri | credentials | stream | websocket | register) echo sip ;;
    http | http_answer) echo http ;;
    proxy_header) echo proxy ;;
    *) echo json ;;
  esac
}

# fuzz TARGET: one line about it; status 1 when it crashed.
fuzz() {
  local target=$1 log=build-fuzz/$1.log status=0
  mkdir -p "build-fuzz/learnt/$target" "build-fuzz/crashes/$target" "build-fuzz/seeds/$target"
  local folders=("build-fuzz/learnt/$target" "build-fuzz/seeds/$target")
  [ ! -d "tests/fuzz/corpus/$target" ] || folders+=("tests/fuzz/corpus/$target")
  "build-fuzz/tests/fuzz_$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 -dict="tests/fuzz/$(dictionary "$target").dict" \
    -artifact_prefix="build-fuzz/crashes/$target/" "${folders[@]}" >"$log" 2>&1 || status=1
  local runs cover crashed=no
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  cover=$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
  [ "$status" -eq 0 ] || crashed=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
  printf '%-16s %10s runs, %5s edges, crashed: %s\n' "$target" "${runs:-?}" "${cover:-?}" "${crashed:-before it began}"
  [ "$status" -eq 0 ] || grep -E -A12 -m1 'does not hold|ERROR: |runtime error' "$log" || tail -20 "$log"
  return "$status"
}

passed=0
failed=0
running=()
reap() {
  if wait "${running[0]}"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  running=("${running[@]:1}")
}
for target in "${targets[@]}"; do
  [ "${#running[@]}" -lt "$jobs" ] || reap
  fuzz "$target" &
  running+=($!)
done
while [ "${#running[@]}" -gt 0 ]; do reap; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
