#!/bin/bash
# SPDX-License-Identifier: MIT
# `synod bench` on a real cluster, as small as it gets.
set -uo pipefail
# shellcheck source=tests/cli/cli.sh
. "$(dirname "$0")/cli.sh" "$@"

small=(bench --keys 100 --warmup 50ms --segment-size 1m --segments 4)

run "${small[@]}" --ops 2000 --depth 16 --mix put:2,get:1,cas:1 --json -
exits 0
has ops/completed 2000
has ops/wrong 0
has cluster/nodes_up 3
has cluster/digests_equal true
has verdict '"ok"'

run "${small[@]}" --nodes 4 --duration 100ms
exits 0
says "warning: 4 nodes survive as many failures as 3"

run "${small[@]}" --duration 2500ms --election-timeout 100ms --crash leader@300ms+300ms --json -
exits 0
has faults/0/done true
has faults/0/was_leader true
has faults/0/resumed true
has cluster/digests_equal true
has verdict '"ok"'

# A directory that is given is kept, and can be used again.
run "${small[@]}" --duration 100ms --wal-dir "$directory/wal"
exits 0
prints "kept       $directory/wal"
case $(stat -f -c %T "$directory") in
tmpfs) ;;
*) says "warning: the logs are on" ;;
esac
[ -d "$directory/wal" ] || fail "the directory is gone"
run "${small[@]}" --duration 100ms --wal-dir "$directory/wal"
exits 0

# In use by another process: said by whom, nothing touched.
"$program" "${small[@]}" --duration 20s --wal-dir "$directory/wal" >"$directory/other" 2>&1 </dev/null &
other=$!
sleep 1
refuses 3 "$other" "${small[@]}" --duration 100ms --wal-dir "$directory/wal"
kill -INT "$other"
wait "$other"

# More than the machine has: refused before the first byte is written. Should the check ever be missing, the
# limit on file sizes fails the reservation before it takes the machine's memory.
(
    ulimit -f 102400
    refuses 3 "the logs need 12.0 TiB; use a smaller --segment-size" \
        "${small[@]}" --segment-size 1g --segments 4096 --duration 100ms
    exit "$failures"
)
failures=$((failures + $?))

finish
