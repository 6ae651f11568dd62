#!/bin/bash
# SPDX-License-Identifier: MIT
# The mistakes a person makes with `synod bench`: each is told in one sentence, with the right exit code.
set -uo pipefail
# shellcheck source=tests/cli/cli.sh
. "$(dirname "$0")/cli.sh" "$@"

# As cheap as a run can be.
small=(bench --target null --keys 10 --warmup 0ms --duration 20ms)

refuses 2 "usage: synod COMMAND"
refuses 2 "synod: unknown command 'bensh'; did you mean 'bench'?" bensh
refuses 2 "synod: unknown command 'xyzzy'; see synod --help" xyzzy
refuses 2 "synod bench: --duration 10x: unknown unit 'x' at column 3; use ns us ms s m h" bench --duration 10x
refuses 2 "synod bench: unknown option '--dept'; did you mean '--depth'?" bench --dept 4
refuses 2 "synod bench: unknown option '--dura'; did you mean '--duration'?" bench --dura 4s
refuses 2 "synod bench: unknown option '--rate'" bench --rate 10k
refuses 2 "synod bench: unknown option '--perf-ctl'" bench --perf-ctl x
refuses 2 "did you mean 'get'?" bench --workload gett
refuses 2 "did you mean 'put'?" bench --mix pt:50
refuses 2 "did you mean 'uniform'?" bench --dist unifrm
refuses 2 "--value-size 1t: unknown unit 't' at column 2; use k m g" bench --value-size 1t
refuses 2 "--warmup 1: no unit at column 2; use ns us ms s m h" bench --warmup 1
refuses 2 "--nodes 99: out of range; use 1 to 15" bench --nodes 99
refuses 2 "--reads lease: unknown value; use quorum log" bench --reads lease
refuses 2 "--key-size 2: too short to tell 1000000 keys apart; use at least 5" bench --key-size 2
refuses 2 "--crash 7@1s+1s: there is no such node; use 0 to 2" bench --crash 7@1s
refuses 2 "unexpected argument 'job'" bench job
refuses 2 "--depth: its value is missing" bench --depth
refuses 1 "--json /nonexistent/x.json: No such file or directory" bench --json /nonexistent/x.json
refuses 3 "CPU 1000 is not usable here" bench --pin 1000
refuses 3 "--strict-env: not run under the warnings above" bench --strict-env --clients 1024

run --help
exits 0
prints "synod COMMAND --help"
run --version
exits 0
prints "synod "
run bench --help
exits 0
prints "--segment-size"

run "${small[@]}"
exits 0
prints "throughput"
prints "verdict    ok"

run "${small[@]}" --json -
exits 0
has schema 1
has program '"synod bench"'
has verdict '"ok"'
has interrupted false
has config/duration '"20ms"'
has config/depth 1

run "${small[@]}" --json "$directory/result.json" --ops 1000
exits 0
prints "throughput"
has ops/completed 1000 "$directory/result.json"

# Not a terminal: silent unless asked to speak.
run "${small[@]}" --duration 300ms --interval 100ms
exits 0
! grep -q "p50" "$directory/err" || fail "a live line without a terminal"
run "${small[@]}" --duration 300ms --interval 100ms --progress always
exits 0
says "p50"
run "${small[@]}" --duration 300ms --interval 100ms --progress never
! grep -q "p50" "$directory/err" || fail "a live line with --progress never"

# A result that nobody can take is an error.
if [ -w /dev/full ]; then
    command_line="synod bench >/dev/full"
    status=0
    "$program" "${small[@]}" >/dev/full 2>"$directory/err" || status=$?
    exits 1
    says "cannot write the result"
fi

# Ctrl-C ends the window early and still reports.
command_line="synod bench, interrupted"
"$program" "${small[@]}" --duration 60s --json - >"$directory/out" 2>"$directory/err" </dev/null &
child=$!
sleep 0.5
kill -INT "$child"
status=0
wait "$child" || status=$?
exits 130
has interrupted true

finish
