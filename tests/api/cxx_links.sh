#!/bin/bash
# SPDX-License-Identifier: MIT
# cxx_links.sh CXX CC SOURCE INCLUDE LIBRARY FLAG...: a C++ program compiles, links with the library and runs.
# Linked by the C compiler: it uses nothing of C++'s own library. Exit: 0, 1, or 77 without a C++ compiler.
set -euo pipefail

cxx=$1 cc=$2 source=$3 include=$4 library=$5
shift 5
if ! command -v "$cxx" >/dev/null; then
    echo "SKIPPED: no C++ compiler here"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cxx" -std=c++17 -Wall -Wextra -Werror -fno-exceptions -fno-rtti -I "$include" -c "$source" -o "$work/main.o"
"$cc" "$work/main.o" "$library" "$@" -lurcu-memb -lurcu-common -lisal -lxxhash -lpthread -o "$work/main"
"$work/main"
