#!/bin/sh
# The engine ends with the same book whether it runs once, twice, or with a SIGKILL in between, with
# snapshots and without, and it reports bad input.
# Usage: matching_engine.sh PATH-OF-MATCHING_ENGINE
set -eu
engine=$1

fail() { echo "$1" >&2; exit 1; }
book_after() { "$engine" "$@" | sed -n 's/^now: //p'; }

whole=$(book_after --dir=whole --requests=60000)
case $whole in
    "60000 requests, "*) ;;
    *) fail "unexpected: $whole" ;;
esac

book_after --dir=parts --requests=25000 >/dev/null
[ "$(book_after --dir=parts --requests=60000)" = "$whole" ] ||
    fail "two runs give a different book than one"
[ "$(book_after --dir=other --requests=60000 --seed=2)" != "$whole" ] ||
    fail "the seed changes nothing"

book_after --dir=snapshots --requests=50000 --snapshot-every=20000 >/dev/null
ls snapshots/SNAP.*.fss >/dev/null || fail "no snapshot was taken"
"$engine" --dir=snapshots --requests=60000 >from_snapshot
grep -q '^snapshot: after [24]0000 requests, [31]0000 replayed$' from_snapshot ||
    fail "the snapshot was not used"
[ "$(sed -n 's/^now: //p' from_snapshot)" = "$whole" ] || fail "from a snapshot the book differs"
[ "$(book_after --dir=snapshots --requests=0 --snapshots=ignore)" = "$whole" ] ||
    fail "without the snapshot the book differs"

"$engine" --dir=killed --requests=100000000 --snapshot-every=50000 >started &
pid=$!
until ls killed/SNAP.*.fss >/dev/null 2>&1; do
    kill -0 $pid || fail "the engine did not start"
    sleep 0.05
done
sleep 0.2
kill -KILL $pid
wait $pid && fail "the engine ended before the SIGKILL"
recovered=$("$engine" --dir=killed --requests=0 | sed -n 's/^now: \([0-9]*\) requests.*/\1/p')
total=$((recovered + 1000))
reference=$(book_after --dir=reference --requests=$total)
[ "$(book_after --dir=killed --requests=$total)" = "$reference" ] ||
    fail "after a SIGKILL the book differs"

printf '1,1,1,100,5000,1\nnonsense\n' >orders.csv
"$engine" --dir=orders --orders=orders.csv --requests=10 >/dev/null 2>errors
grep -q '^orders.csv:2: .*: line skipped$' errors || fail "the malformed line was not reported"
"$engine" --dir=orders --orders=orders.csv --bad-lines=refuse --requests=10 2>errors &&
    fail "the malformed line was not refused"
grep -q 'orders.csv:2: ' errors || fail "the refusal does not name the line"
"$engine" --requests=10 2>errors && fail "a missing --dir was accepted"
"$engine" --dir=orders --requests=ten 2>errors &&
    fail "a request count in words was accepted"
grep -q "requests wants a number, not 'ten'" errors
