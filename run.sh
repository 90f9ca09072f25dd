#!/usr/bin/env bash
# Installs what is missing, builds aorta and starts it with demo users on this machine's loopback.
#   ./run.sh [--build-only] [further arguments for aorta]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. tests/lib.sh

build_only=no
if [ "${1:-}" = --build-only ]; then
  build_only=yes
  shift
fi

install_packages "${BUILD_PACKAGES[@]}"
say "building in build/"
cmake --preset release --log-level=WARNING
cmake --build build
if [ $build_only = yes ]; then
  say "built: build/aorta"
  exit 0
fi
exec build/aorta --demo "$@"
