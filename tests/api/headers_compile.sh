#!/bin/bash
# SPDX-License-Identifier: MIT
# headers_compile.sh LANGUAGE COMPILER INCLUDE: every public header compiles alone in that language, without
# extensions and without a warning. Exit: 0, 1, or 77 where there is no compiler for it.
set -euo pipefail

language=$1 compiler=$2 include=$3
if ! command -v "$compiler" >/dev/null; then
    echo "SKIPPED: no compiler for $language here"
    exit 77
fi
case $language in
c11 | c17) flags=(-x c "-std=$language" -Wstrict-prototypes) ;;
c++17) flags=(-x c++ "-std=$language") ;;
*) echo "unknown language '$language'" >&2; exit 2 ;;
esac

failed=0
for header in "$include"/synod/*.h; do
    name=synod/$(basename "$header")
    # Twice: a header without a guard does not survive it.
    if ! printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
        "$compiler" "${flags[@]}" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$include" -; then
        echo "$name does not compile as $language" >&2
        failed=1
    fi
done
exit $failed
