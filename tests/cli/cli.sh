# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For the scripts beside it: `. cli.sh PROGRAM JSON_GET`, then `run ARGUMENT...` and what was expected.
# Every expectation that fails is told; the script's exit status is the number of them.

program=$1
json_get=$2
failures=0
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

# run ARGUMENT...: leaves $status, and the output in $directory/out and $directory/err.
run() {
    command_line="synod $*"
    status=0
    "$program" "$@" >"$directory/out" 2>"$directory/err" </dev/null || status=$?
}

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n  %s\n  stderr: %s\n' "$command_line" "$1" "$(cat "$directory/err")"
}

exits() {
    [ "$status" -eq "$1" ] || fail "exit status $status, expected $1"
}

# says TEXT: on stderr, as a whole line or part of one.
says() {
    grep -qF -- "$1" "$directory/err" || fail "stderr lacks: $1"
}

prints() {
    grep -qF -- "$1" "$directory/out" || fail "stdout lacks: $1"
}

prints_nothing() {
    [ ! -s "$directory/out" ] || fail "stdout is not empty"
}

# has PATH VALUE [FILE]: in the JSON document on stdout, or in a file.
has() {
    local value
    value=$("$json_get" "$1" <"${3:-$directory/out}") || fail "no valid JSON with $1"
    [ "$value" = "$2" ] || fail "$1 is $value, expected $2"
}

# refuses EXIT TEXT ARGUMENT...
refuses() {
    local code=$1 text=$2
    shift 2
    run "$@"
    exits "$code"
    says "$text"
    prints_nothing
}

finish() {
    if [ "$failures" -gt 0 ]; then
        echo "$failures failed"
        exit 1
    fi
    echo "all good"
    exit 0
}
