#!/bin/sh
# Holds the arrows between the folders of src, as the aorta_folder lines of CMakeLists.txt draw them,
# and keeps each third-party library to the folders that speak to it. Prints every #include that
# breaks a rule, and then fails.
#   tests/structure.sh [PROJECT]
cd "${1:-$(dirname "$0")/..}" || exit 2
{
  sed -n 's/^aorta_folder(\(.*\))/arrow \1/p' CMakeLists.txt | sed 's/aorta_//g'
  find src include -name '*.[ch]' | sed 's/^/file /'
  grep -rn '^ *# *include' src include | sed 's/^\([^:]*\):\([0-9]*\): *# *include *\([^ ]*\).*/include \1 \2 \3/'
} | awk '
  function complain(why) { print $2 ":" $3 ": #include " $4 ": " why; bad = 1 }
  # A header of include/aorta belongs to the folder of its name, or to the one with its source. One
  # without either is a plain value: nobody'\''s; and so is config.h, read by all, written by one.
  function owner(name) { return name == "config" ? "" : name in folders ? name : source_of[name] }
  # Values know values and what is below everybody; folders below everybody know no values.
  function knows(a, b) { return a == b || (b == "" ? a != "base" : b == "base" || (a, b) in arrow) }
  $1 == "arrow" { for (i = 3; i <= NF; i++) arrow[$2, $i] = 1; folders[$2]; next }
  $1 == "file" { files[$2]; n = split($2, p, "[/.]"); if (p[n] == "c") source_of[p[3]] = p[2]; next }
  !closed++ { for (k in folders) for (a in folders) for (b in folders)
                if ((a, k) in arrow && (k, b) in arrow) arrow[a, b] = 1 }
  {
    split($2, p, "[/.]")
    folder = p[1] == "include" ? owner(p[3]) : p[2]
    name = substr($4, 2, length($4) - 2)
    at = p[1] == "include" ? "include" : " " p[2] " "
    if ($4 ~ /^"/ && !(("src/" p[2] "/" name) in files)) complain("not of its own folder")
    if (name ~ /^aorta\// && split(name, h, "[/.]") && !knows(folder, owner(h[2])))
      complain((folder == "" ? "a value" : folder) " may not know " h[2])
    if (name ~ /^osip/ && " sip " !~ at) complain("only in src/sip")
    if (name ~ /^(libwebsockets|lws|uv|openssl|curl|hiredis)[-\/.]/ && " net " !~ at) complain("only in src/net")
    if (name ~ /^(mbedtls|psa)/ && " auth net compat " !~ at) complain("only in src/auth, src/net")
    if (name ~ /^cjson/ && " base config auth store web " !~ at) complain("not in src/" p[2])
  }
  END { if (!closed) { print "no #include found"; bad = 1 } exit bad }
'
