#!/bin/sh
# Many books: recorded, killed while they are recorded, recovered, shut down by SIGTERM.
# Usage: books.sh BOOKS VERIFY
set -eu
books=$1 verify=$2
fail() { echo "$*" >&2; exit 1; }
run() { "$books" log 12 "$@" >said || fail "failed"; }

run 1000
[ "$(cat said)" = "recovered 12 books, 0 requests, 49347 KB in memory
recorded 12000, all shut down" ] || fail "$(cat said)"

until_true() {
    until "$@"; do
        kill -0 $pid || fail "ended by itself"
        sleep 0.02
    done
}
segments() { find log -name 'FS.*' | wc -l; }
more_segments() { [ "$(segments)" -gt "$1" ]; }
# busy SIGNAL: starts them, and ends them when they have recorded a while. A book has a segment and
# two that are made ahead; when there are more new ones than that, some are full.
busy() {
    "$books" log 12 100000000 >said &
    pid=$!
    trap 'kill -KILL $pid 2>/dev/null || :' EXIT
    until_true grep -q "^recovered" said
    until_true more_segments $(($(segments) + 36))
    kill "-$1" $pid
    code=0
    wait $pid || code=$?
}
busy KILL
[ $code -eq 137 ] || fail "ended with $code"
grep -q "^recovered 12 books, 12000 requests" said || fail "$(cat said)"
run 1
killed=$(sed -n 's/^recovered 12 books, \([0-9]*\) requests.*/\1/p' said)
[ "$killed" -gt 12000 ] || fail "after the kill: $(cat said)"

busy TERM
[ $code -eq 0 ] || fail "ended with $code"
recorded=$(sed -n 's/^recorded \([0-9]*\), all shut down/\1/p' said)
run 0
grep -q "^recovered 12 books, $((killed + 12 + recorded)) requests" said || fail "$(cat said)"
for log in log/book-*; do
    "$verify" "$log" >report || fail "$(cat report)"
    if grep -q "not shut down" report; then fail "$log: $(cat report)"; fi
done
[ "$(find log -maxdepth 1 -name 'book-*' | wc -l)" -eq 12 ]

code=0
"$books" log x 2>errors || code=$?
[ $code -eq 2 ] || fail "ended with $code"
