#!/bin/bash
# SPDX-License-Identifier: MIT
# readme_example.sh CC README INCLUDE LIBRARY FLAG...: the C program in README.md compiles without a warning,
# links with just what the README says, runs, and prints what it read back.
set -euo pipefail

cc=$1 readme=$2 include=$3 library=$4
shift 4
fail() {
    echo "README.md: $*" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ -f "$readme" ] || fail "there is none"
# shellcheck disable=SC2016 # the backquotes are Markdown's
awk '/^```c$/ { inside = 1; found = 1; next } /^```/ { inside = 0 } inside { print }
     END { exit !found }' "$readme" >"$work/example.c" || fail 'no ```c block'
[ -s "$work/example.c" ] || fail 'the ```c block is empty'

# The libraries named behind libsynod.a on the line that says how to link.
# shellcheck disable=SC2016
read -ra libraries < <(sed -n 's/.*libsynod\.a\( -l[^`]*\)`.*/\1/p' "$readme" | head -n 1) ||
    fail "no line says how to link with libsynod.a"
"$cc" -std=c17 -Wall -Wextra -Wpedantic -Werror -I "$include" "$@" "$work/example.c" "$library" \
    "${libraries[@]}" -o "$work/example" || fail "the example does not compile or link"

output=$("$work/example") || fail "the example ended with status $?"
[ -n "$output" ] || fail "the example printed nothing"
echo "$output"
grep -q 'hello' <<<"$output" || fail "the example did not print the value it wrote"
