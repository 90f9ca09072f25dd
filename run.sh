#!/usr/bin/env bash
# Installs what is missing, builds aorta and starts it with demo users on this machine's loopback.
#   ./run.sh [--build-only] [--callback] [further arguments for aorta]
# With --callback, tests/example/callback.mjs decides who may register; it ends with aorta.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. tests/lib.sh

build_only=no
callback=no
while :; do
  case ${1:-} in
    --build-only) build_only=yes ;;
    --callback) callback=yes ;;
    *) break ;;
  esac
  shift
done

# run_with_callback ARGUMENT...: both in process groups of their own, so that Ctrl-C reaches only this
# script, which hands it on to aorta once; the callback is needed until aorta has ended.
run_with_callback() {
  local folder line
  folder=$(mktemp -d)
  mkfifo "$folder/said"
  set -m
  node tests/example/callback.mjs >"$folder/said" &
  callback_pid=$!
  disown "$callback_pid" # no word of it when it is ended
  trap 'kill "$callback_pid" 2>/dev/null || true' EXIT
  exec 3<"$folder/said"
  rm -r "$folder"

  say "users that the example callback lets register:"
  while read -r line <&3; do
    [[ $line != http://* ]] || break
    echo "$line"
  done
  [[ $line == http://* ]] || return 1 # it said why
  say "callback at $line"

  local signalled=no status=0
  trap 'signalled=yes; kill -TERM "$aorta_pid" 2>/dev/null || true' INT TERM HUP
  build/aorta --demo -D "authCallback.uri=$line" "$@" &
  aorta_pid=$!
  wait "$aorta_pid" || status=$?
  while [ $signalled = yes ]; do # then it was our signal that ended the waiting
    signalled=no
    status=0
    wait "$aorta_pid" || status=$?
  done
  return "$status"
}

install_packages "${BUILD_PACKAGES[@]}"
say "building in build/"
cmake --preset release --log-level=WARNING
cmake --build build
if [ $build_only = yes ]; then
  say "built: build/aorta"
  exit 0
fi
if [ $callback = yes ]; then
  status=0
  run_with_callback "$@" || status=$?
  exit "$status"
fi
exec build/aorta --demo "$@"
