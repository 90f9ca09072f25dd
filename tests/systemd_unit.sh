#!/usr/bin/env bash
# Takes the systemd unit out of the README: systemd understands all of it, and finds that it leaves the
# service an exposure of 2.0 at most (of 10; unconfined ones have 9.6).
#   tests/systemd_unit.sh README PROGRAM
# Status 77: no systemd-analyze here.
set -euo pipefail
command -v systemd-analyze >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unit=$folder/aorta.service
sed -n '/^```ini$/,/^```$/{/^```/d;p}' "$1" | sed "s|^ExecStart=[^ ]*|ExecStart=$(realpath "$2")|" >"$unit"
grep -q '^ExecStart=' "$unit" || { echo "$1: no unit in it"; exit 1; }
# It complains by warnings, too, with status 0; and users are looked for on this machine.
complaints=$(systemd-analyze verify "$unit" 2>&1 | grep -F aorta.service || true)
[ -z "$complaints" ] || { echo "$complaints"; exit 1; }
systemd-analyze security --offline=true --no-pager --threshold=20 "$unit" || exit 1
