#!/bin/sh
# A standby that was there before the log follows the engine through a shutdown, a restart and a
# SIGKILL, and has its book; and so have the snapshots that the standby took.
# Usage: standby.sh PATH-OF-MATCHING_ENGINE PATH-OF-STANDBY
set -eu
engine=$1
standby=$2

fail() { echo "$1" >&2; exit 1; }
# until_true WHAT PID COMMAND...: waits while the process is there.
until_true() {
    what=$1 process=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        kill -0 "$process" || fail "$what"
        sleep 0.05
    done
}
a_snapshot() { ls log/SNAP.*.fss; }
# After more requests than the engine's first run had.
a_later_snapshot() {
    newest=$(basename "$(a_snapshot | tail -n 1)" .fss | sed 's/^SNAP\.0*//')
    [ "$newest" -gt 200000 ]
}

mkdir log
"$standby" --dir=log --snapshot-every=30000 >followed &
standby_pid=$!
trap 'kill -KILL $standby_pid 2>/dev/null || :' EXIT
until_true "the standby did not start" $standby_pid grep '^following from 1 on$' followed

"$engine" --dir=log --snapshot-every=0 --requests=200000 >/dev/null
until_true "the standby took no snapshot" $standby_pid a_snapshot

"$engine" --dir=log --snapshot-every=0 --requests=100000000 >started &
engine_pid=$!
until_true "the engine did not start" $engine_pid grep '^rebuilt: ' started
grep -q '^snapshot: after [1-9]' started || fail "the engine did not begin with the snapshot"
until_true "the engine went no further" $engine_pid a_later_snapshot
kill -KILL $engine_pid
wait $engine_pid && fail "the engine ended before the SIGKILL"

kill -TERM $standby_pid
wait $standby_pid || fail "the standby failed"
book=$(sed -n 's/^standby: //p' followed)
[ "${book%% requests*}" -gt 200000 ] || fail "unexpected: $book"
for snapshots in ignore use; do
    rebuilt=$("$engine" --dir=log --snapshots=$snapshots --requests=0 | sed -n 's/^rebuilt: //p')
    [ "$rebuilt" = "$book" ] ||
        fail "snapshots=$snapshots: the engine has '$rebuilt', the standby '$book'"
done

# Started late, it begins with the snapshot too; and with a hold.
"$standby" --dir=log --hold=late >late &
standby_pid=$!
until_true "the standby did not start" $standby_pid grep '^following from ' late
grep -q '^following from 1 on$' late && fail "the late standby did not begin with the snapshot"
kill -TERM $standby_pid
wait $standby_pid || fail "the late standby failed"
held=$(sed -n 's/^event_id=0*//p' log/wal_holds/late)
[ "$held" -gt 200000 ] || fail "the hold of the late standby is at $held"
[ "$(sed -n 's/^standby: //p' late)" = "$book" ] || fail "the late standby's book differs"

"$standby" 2>errors && fail "a missing --dir was accepted"
grep -q -e '--dir is missing' errors
