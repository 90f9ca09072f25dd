#!/usr/bin/env bash
# Installs what the tests need, builds release and sanitizer binaries, runs the tests of both.
#   tests/run.sh [unit|integration|browser|fuzz|soak|tsan]...     without a name: all but tsan
# soak: random clients and faults for AORTA_SOAK_SECONDS (60), with AORTA_SOAK_SEED or one of its own.
# tsan: unit tests, the integration tests with the most threads at work, and a soak, under the thread
# sanitizer (about 20 minutes on two cores).
# The last line says how many passed and failed; the exit status is 0 when none failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/lib.sh

suites=" ${*:-unit integration browser fuzz soak} "
for suite in $suites; do
  case $suite in
    unit | integration | browser | fuzz | soak | tsan) ;;
    *)
      echo "tests/run.sh: no such tests: $suite (unit, integration, browser, fuzz, soak, tsan)" >&2
      exit 2
      ;;
  esac
done

TSAN_FILES=(reload nodes bans_callback redis_faults redis jambonz callback realms transport)
# Integration tests that load the machine, or measure: one at a time. The others wait most of the time, three at once.
ALONE_FILES=(crowd growth load memory metrics no_memory noise overload reload_fleet scale secrets slow_peers)
NODE_TESTS_MAX_S=900 # a client library that never stops reconnecting must not keep us here for ever
passed=0
failed=0
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

wants() {
  case $suites in *" $1 "*) return 0 ;; esac
  return 1
}

finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

# A step without which nothing further makes sense.
must() {
  if ! "$@"; then
    echo "tests/run.sh: this failed: $*" >&2
    failed=$((failed + 1))
    finish
  fi
}

# count PASSED FAILED STATUS: a runner that failed without telling which test did counts as one.
count() {
  local bad=$2
  if [ "$3" -ne 0 ] && [ "$bad" -eq 0 ]; then
    bad=1
  fi
  passed=$((passed + $1))
  failed=$((failed + bad))
}

# number PATTERN FILE: the first number that follows PATTERN; 0 when there is none.
number() {
  local line
  line=$(grep -m1 -oE "$1[0-9]+" "$2" 2>/dev/null) || line=0
  echo "${line##*[^0-9]}"
}

# run_ctest BUILD_FOLDER
run_ctest() {
  say "unit tests in $1"
  local report=$results/ctest.xml status=0
  ctest --test-dir "$1" -j "$(nproc)" --output-on-failure --output-junit "$report" || status=$?
  local all bad
  all=$(number 'tests="' "$report")
  bad=$(number 'failures="' "$report")
  count $((all - bad)) "$bad" "$status"
}

# run_node FOLDER [FILE]...: the node tests there, all or those, as the environment says.
run_node() {
  local report=$results/node.tap status=0 folder=$1
  shift
  (
    cd "$folder"
    timeout --kill-after=10 "$NODE_TESTS_MAX_S" node --test --test-concurrency="${at_once:-1}" --test-reporter=spec --test-reporter-destination=stdout \
      --test-reporter=tap --test-reporter-destination="$report" "$@"
  ) || status=$?
  count "$(number '^# pass ' "$report")" \
    $(($(number '^# fail ' "$report") + $(number '^# cancelled ' "$report"))) "$status"
}

# The integration tests of AORTA_BIN.
run_integration() {
  local file others=()
  for file in tests/integration/*.test.mjs; do
    file=${file##*/}
    case " ${ALONE_FILES[*]} " in *" ${file%.test.mjs} "*) ;; *) others+=("$file") ;; esac
  done
  at_once=3 run_node tests/integration "${others[@]}"
  run_node tests/integration "${ALONE_FILES[@]/%/.test.mjs}"
}

# run_soak SECONDS: one test, however long.
run_soak() {
  local status=0
  node tests/soak/soak.mjs --seconds="$1" || status=$?
  count $((status == 0)) $((status != 0)) "$status"
}

# Each fuzzer for a short time; it counts as one test.
run_fuzzers() {
  local report=$results/fuzz.txt status=0
  tests/fuzz/run.sh | tee "$report" || status=$?
  count "$(sed -n 's/^\([0-9]*\) passed, [0-9]* failed$/\1/p' "$report" | grep . || echo 0)" \
    "$(sed -n 's/^[0-9]* passed, \([0-9]*\) failed$/\1/p' "$report" | grep . || echo 0)" "$status"
}

must install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
must cmake --preset release-tests --log-level=WARNING
must cmake --build build
if wants unit || wants integration; then
  must cmake --preset asan --log-level=WARNING
  must cmake --build build-asan
fi

export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1

if wants unit; then
  run_ctest build
  run_ctest build-asan
fi
if wants integration; then
  must npm_packages tests/integration
  say "integration tests, release build"
  AORTA_BIN=$PWD/build/aorta run_integration
  say "integration tests, sanitizer build"
  AORTA_BIN=$PWD/build-asan/aorta AORTA_SANITIZED=1 run_integration
fi
if wants browser; then
  must npm_packages tests/browser
  say "browser tests"
  AORTA_BIN=$PWD/build/aorta at_once=2 run_node tests/browser
fi
if wants fuzz; then
  say "fuzzers"
  run_fuzzers
fi
if wants soak; then
  must npm_packages tests/integration
  say "soak test, release build"
  AORTA_BIN=$PWD/build/aorta run_soak "${AORTA_SOAK_SECONDS:-60}"
fi
if wants tsan; then
  must cmake --preset tsan --log-level=WARNING
  must cmake --build build-tsan
  must npm_packages tests/integration
  export TSAN_OPTIONS=suppressions=$PWD/tests/tsan.supp:halt_on_error=0:exitcode=66:second_deadlock_stack=1
  run_ctest build-tsan
  say "integration tests, thread sanitizer build"
  AORTA_BIN=$PWD/build-tsan/aorta AORTA_SANITIZED=1 AORTA_PATIENCE=12 \
    run_node tests/integration "${TSAN_FILES[@]/%/.test.mjs}"
  say "soak test, thread sanitizer build"
  AORTA_BIN=$PWD/build-tsan/aorta AORTA_SANITIZED=1 run_soak "${AORTA_SOAK_SECONDS:-60}"
fi
finish
