# shellcheck shell=bash disable=SC2034
# Shared by run.sh and tests/run.sh; sourced, not run. Its functions fail by their status, so that
# they work where `set -e` does not reach.

BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config libuv1-dev libosip2-dev libmbedtls-dev libcjson-dev
  libwebsockets-dev libwebsockets-evlib-uv libssl-dev libcurl4-openssl-dev libhiredis-dev ca-certificates)
TEST_PACKAGES=(libcmocka-dev sip-tester baresip-core chromium valgrind openssl redis-server nginx-light haproxy python3-redis)
FUZZ_PACKAGES=(clang libclang-rt-14-dev)
# Only tests/bench/run.sh: what aorta is measured beside.
BENCH_PACKAGES=(kamailio kamailio-websocket-modules kamailio-tls-modules kamailio-redis-modules kamailio-utils-modules)
OLDEST_NODE=18

say() {
  echo "aorta: $*"
}

is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

# Node.js is the machine's own when there is one that is new enough, else Debian's.
has_node() {
  command -v npm >/dev/null || return 1
  local version
  version=$(node --version 2>/dev/null) || return 1
  version=${version#v}
  [ "${version%%.*}" -ge "$OLDEST_NODE" ]
}

# install_packages NAME...: installs what is missing, with Node.js if that is missing too.
install_packages() {
  local missing=() name
  for name in "$@"; do
    is_installed "$name" || missing+=("$name")
  done
  has_node || missing+=(nodejs npm ca-certificates)
  [ ${#missing[@]} -gt 0 ] || return 0

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "aorta: needs root to install packages, and sudo is not there. As root, run:" >&2
      echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get -q update || return
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-install-recommends install "${missing[@]}"
}

# npm_packages FOLDER: what its lock file says, unless just that is there already.
npm_packages() {
  local stamp=$1/node_modules/.lock-stamp
  if [ -f "$stamp" ] && cmp -s "$1/package-lock.json" "$stamp"; then
    return 0
  fi
  say "installing npm packages for $1"
  (cd "$1" && npm ci --no-fund --no-audit) || return
  cp "$1/package-lock.json" "$stamp"
}
