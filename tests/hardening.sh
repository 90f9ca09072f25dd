#!/usr/bin/env bash
# Reads the ELF headers of a release build: what compiler and linker were to build in is there.
#   tests/hardening.sh PROGRAM
# Status 77: nothing to read them with.
set -euo pipefail
program=$1
command -v readelf >/dev/null || exit 77
headers=$(readelf -hlW "$program")
dynamic=$(readelf -dW "$program")
symbols=$(readelf --dyn-syms -W "$program")
bad=0

# has WHAT TEXT PATTERN, and its contrary
has() {
  grep -qE -- "$3" <<<"$2" || { echo "$program: no $1"; bad=1; }
}
has_no() {
  ! grep -qE -- "$3" <<<"$2" || { echo "$program: $1"; bad=1; }
}

has 'position-independent code (-pie)' "$headers" 'Type: +DYN \(Position-Independent'
has 'RELRO segment (-z relro)' "$headers" 'GNU_RELRO'
has 'full RELRO (-z now)' "$dynamic" '\((BIND_NOW|FLAGS)\).*BIND_NOW|FLAGS_1.*NOW'
has 'mark of a stack without code (-z noexecstack)' "$headers" 'GNU_STACK .* RW +0x'
has_no 'a segment that can be written and executed' "$headers" '(LOAD|STACK) .* RWE '
has_no 'a path of its own for libraries' "$dynamic" 'RPATH|RUNPATH'
has_no 'relocations in code (text relocations)' "$dynamic" 'TEXTREL'
has 'stack protector (-fstack-protector-strong)' "$symbols" '__stack_chk_fail'
has 'checked calls (_FORTIFY_SOURCE)' "$symbols" '__(memcpy|vsnprintf|snprintf|read|printf)_chk'
exit $bad
