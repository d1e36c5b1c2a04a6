#!/bin/sh
# The example tail is there before its log, and prints each event once through the writer's death,
# its restart and a shutdown, until SIGINT ends it; with --durable, too.
# Usage: tail_example.sh WRITE_LOG TAIL
set -eu
write_log=$1 tail=$2
fail() { echo "$*" >&2; exit 1; }

pids=
trap 'for pid in $pids; do kill -KILL "$pid" 2>/dev/null || :; done' EXIT
mkdir log
"$tail" log >all & all=$!
"$tail" --durable log >durable & durable=$!
"$tail" log 2500 >late & late=$!
pids="$all $durable $late"
# printed FILE PID ID: waits until the tail has printed that event.
printed() {
    until grep -q "^$3 " "$1"; do
        kill -0 "$2" || fail "$1: ended before event $3"
        sleep 0.02
    done
}
killed() {
    code=0
    "$write_log" log "$1" kill || code=$?
    [ $code -eq 137 ] || fail "write_log ended with $code"
}
killed 2000
printed all $all 2000
if [ -s durable ]; then fail "with --durable, what was not durable was printed"; fi
"$write_log" log 2000
killed 1000
printed all $all 5000
printed late $late 5000
"$write_log" log 1000
for file in all durable late; do
    eval "pid=\$$file"
    printed $file "$pid" 6000
    kill -INT "$pid"
    wait "$pid" || fail "$file: ended with $?"
done
lines() { seq "$1" 6000 | awk '{ print $1, $1 * 1000, 0, $1 }'; }
lines 1 >wanted
cmp wanted all
cmp wanted durable
lines 2500 | cmp - late

# Events that retention has deleted are said, and what is left is printed.
"$write_log" short 20000 forget
"$tail" short 1 >rest 2>errors & pids=$!
printed rest "$pids" 20000
kill -TERM "$pids"
wait "$pids" || fail "ended with $?"
grep -q "retention has removed events 1 to [1-9]" errors || fail "no gap: $(cat errors)"
first=$(head -n 1 rest | cut -d ' ' -f 1)
seq "$first" 20000 | awk '{ print $1, $1 * 1000, 0, $1 }' | cmp - rest

code=0
"$tail" --durable 2>errors || code=$?
[ $code -eq 2 ] || fail "ended with $code"
