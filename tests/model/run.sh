#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks the models in this directory with spin: each as it is (no error allowed, every state visited)
# and with each planted bug (an error demanded: a model that misses a bug proves nothing). Prints a line
# for each; fails if one went the wrong way. Exit 77: spin is not installed.
#
# An error is either of two kinds, and each bug must show its own: "hangs" (a process waits for ever:
# spin's invalid end state) or "lies" (an assertion is violated).
#
#   tests/model/run.sh [model...]     default: all
set -u

here=$(cd "$(dirname "$0")" && pwd)
command -v spin >/dev/null || { echo "spin is not installed"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT INT TERM
failures=0

# check MODEL EXPECTATION [-DNAME...]: EXPECTATION is "holds", "hangs" or "lies".
check() {
    model=$1 expectation=$2
    shift 2
    report=$work/report
    if ! (cd "$work" && spin -a "$@" "$here/$model.pml" && ${CC:-cc} -O1 -w -DSAFETY -o pan pan.c) \
            >"$report" 2>&1; then
        cat "$report"
        verdict="does not build"
    elif ! (cd "$work" && ./pan -m1000000 -w24) >"$report" 2>&1; then
        cat "$report"
        verdict="does not run"
    elif grep -q 'pan:1: invalid end state' "$report"; then
        verdict=hangs
    elif grep -q 'pan:1: assertion violated' "$report"; then
        verdict=lies
    elif ! grep -q 'errors: 0$' "$report"; then
        cat "$report"
        verdict="fails otherwise"
    elif grep -Eq 'max search depth too small|out of memory|Search not completed' "$report"; then
        verdict="is not searched to the end"
    else
        verdict=holds
    fi
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$report")
    outcome=ok
    [ "$verdict" = "$expectation" ] || { outcome=FAILED; failures=$((failures + 1)); }
    printf '%-6s %-9s %-50s %s (%s states)\n' "$outcome" "$model" "${*:-as it is}" "$verdict" \
        "${states:-?}"
}

doorbell() {
    check doorbell holds
    check doorbell holds -DRINGERS=1 -DITEMS=4
    check doorbell holds -DSLEEPERS=2 -DRINGERS=1
    for bug in NO_RING_FENCE NO_ARM_FENCE LOOK_BEFORE_ARM RING_FIRST WAIT_UNCHECKED WAKE_KEEPS_ARMED; do
        check doorbell hangs -DBUG_$bug
    done
}

spsc_ring() {
    check spsc_ring holds
    check spsc_ring holds -DCAPACITY=4 -DMESSAGES=9
    for bug in RELAXED_PUBLISH RELAXED_PEEK RELAXED_RELEASE RELAXED_CLAIM ONE_TOO_MANY RELEASE_PEEKED; do
        check spsc_ring lies -DBUG_$bug
    done
    check spsc_ring hangs -DBUG_ONE_TOO_FEW
}

[ $# -gt 0 ] || set -- doorbell spsc_ring
for name in "$@"; do
    case $name in
    doorbell | spsc_ring) $name ;;
    *) echo "no such model: $name"; exit 2 ;;
    esac
done
[ "$failures" -eq 0 ]
