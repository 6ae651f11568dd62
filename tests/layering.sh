#!/bin/sh
# SPDX-License-Identifier: MIT
# tests/layering.sh MAP CHECK [--catches RULE] [MODULE=FILE...]: proves the layers of src/CMakeLists.txt.
#
# MAP is what the build wrote of its modules (tools/dev/cmake/house_map.cmake). CHECK is one of
#
#   symbols  the built objects: who calls what, against tests/layering/rules and the declared DEPENDS
#   text     the sources, for what leaves no symbol behind (atomics, assembly)
#   headers  every header compiles alone, with the include roots of its module; *_template.h excepted,
#            which its includers instantiate
#   files    licence lines, names used once, a test for every source
#
# Each MODULE=FILE adds a file (object, source or header) to a module, as if it were part of it. With
# --catches RULE the check is itself checked: it has to report RULE for each of the files added.
# Prints violations as "RULE: MODULE/NAME: what is wrong". Exit: 0 none, 1 some, 2 usage.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
rules=$here/layering/rules
export LC_ALL=C

usage() {
    echo "usage: tests/layering.sh MAP symbols|text|headers|files [--catches RULE] [MODULE=FILE...]" >&2
    exit 2
}

map_objects() {
    awk '$1 == "objects" { for (i = 2; i <= NF; i++) print $i }' "$map"
}

added_files() {
    for word in $added; do
        echo "${word#*=}"
    done
}

check_symbols() {
    for object in $(map_objects); do
        [ -e "$object" ] || echo "symbols: $object is not built"
    done
    # shellcheck disable=SC2046 # paths of a build tree, one word each
    nm -A -P -g $(map_objects) $(added_files) 2>/dev/null |
        awk -v map="$map" -v rules="$rules" -v added="$added" -f "$here/layering/house.awk" \
            -f "$here/layering/symbols.awk"
}

check_text() {
    (
        cd "$root/src"
        modules=$(find . -mindepth 2 -name '*.[ch]' | sort | sed 's|^\./\([^/]*\)/.*|\1=&|' | paste -s -d ' ' -)
        # shellcheck disable=SC2086,SC2046 # lists of words
        awk -v rules="$rules" -v added="$modules $added" -f "$here/layering/house.awk" \
            -f "$here/layering/text.awk" $(for word in $modules; do echo "${word#*=}"; done) $(added_files)
    )
}

check_headers() {
    compiler=$(awk '$1 == "compiler" { print $2 }' "$map")
    work=$(mktemp -d)
    {
        find "$root/src" -mindepth 2 -name '*.h' ! -name '*_template.h' | sort | sed 's|.*/src/\([^/]*\)/.*|\1=&|'
        for word in $added; do echo "$word"; done
    } >"$work/headers"
    while IFS='=' read -r module header; do
        flags=$(awk -v module="$module" '$1 == "module" { here = $2 == module }
                    here && $1 == "flags" { sub(/^flags /, ""); print }' "$map")
        name=$(basename "$header" .h)
        # shellcheck disable=SC2086 # a list of flags
        printf '#include "%s"\nextern int lone;\n' "$header" |
            "$compiler" -std=gnu17 $flags -fsyntax-only -x c - >"$work/out" 2>&1 || {
            echo "headers: $module/$name: does not compile alone"
            sed 's/^/    /' "$work/out"
        }
    done <"$work/headers"
    rm -r "$work"
}

check_files() {
    cd "$root"
    find .ci include src bench tools tests CMakeLists.txt -type f ! -path '*/build/*' | sort |
        while read -r file; do
            case $file in
            *.c | *.h | *.sh | *.pml | *.cmake | *CMakeLists.txt) ;;
            *) head -c 2 "$file" | grep -q '^#!' || continue ;;
            esac
            head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' ||
                echo "licence: $file: no SPDX line among its first three"
        done
    # A file is found by its name alone.
    find src -name '*.[ch]' | sed 's|.*/||' | sort | uniq -d | while read -r name; do
        echo "names: $name: used more than once: $(find src -name "$name" | sort | paste -s -d ' ' -)"
    done
    find src -mindepth 2 -name '*.c' | sort | while read -r file; do
        module=$(basename "$(dirname "$file")")
        test=test_$(basename "$file")
        find "tests/unit/$module" -name "$test" | grep -q . ||
            echo "note: $file has no $test below tests/unit/$module" >&2
    done
}

[ $# -ge 2 ] || usage
map=$1
check=$2
shift 2
[ -f "$map" ] || { echo "layering: no house map '$map'; configure first" >&2; exit 2; }
catches=
if [ "${1:-}" = --catches ]; then
    [ $# -ge 3 ] || usage
    catches=$2
    shift 2
fi
added=$*

case $check in
symbols) found=$(check_symbols) ;;
text) found=$(check_text) ;;
headers) found=$(check_headers) ;;
files) found=$(check_files) ;;
*) usage ;;
esac

if [ -z "$catches" ]; then
    if [ -n "$found" ]; then
        printf '%s\n' "$found"
        exit 1
    fi
    exit 0
fi

missed=0
for word in $added; do
    name=$(basename "${word#*=}" | sed 's/\.o$//; s/\.[ch]$//')
    case $name in
    provider_*) continue ;; # the other half of a violation
    esac
    if ! printf '%s\n' "$found" | grep -q "^$catches: ${word%%=*}/$name: "; then
        echo "layering: the check '$check' does not catch $name breaking the rule '$catches'; it says:"
        printf '%s\n' "$found"
        missed=1
    fi
done
exit $missed
