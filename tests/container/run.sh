#!/usr/bin/env bash
# Builds the Dockerfile's stages in fresh Debian roots (chroot; no Docker is needed) and tries the image.
#   tests/container/run.sh     as root; some minutes, and 3 GB under /tmp (or TMPDIR) while it lasts
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/lib.sh

if [ "$(id -u)" -ne 0 ]; then
  echo "tests/container/run.sh: chroot needs root" >&2
  exit 1
fi
install_packages debootstrap iproute2
npm_packages tests/integration
images=$(mktemp -d)
trap 'rm -rf --one-file-system "$images"' EXIT
node tests/container/build.mjs "$images" >"$images/log" 2>&1 || { grep -B60 -m1 "^The following tests FAILED" "$images/log" >&2 || true; tail -40 "$images/log" >&2; exit 1; }
export AORTA_IMAGES=$images
unshare --net sh -c 'ip link set lo up && exec "$@"' sh \
  node --test --test-reporter=spec --test-reporter-destination=stdout --test-reporter=tap \
  --test-reporter-destination="${AORTA_TAP:-/dev/null}" tests/container/image.test.mjs
