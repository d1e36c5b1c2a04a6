#!/usr/bin/env bash
# Usage: examples.sh BUILD RUNNER...
# Each example under RUNNER, with little to do, in the current directory, which is empty.
set -euo pipefail
programs=$1/examples_c
library=$1/lib/libflashstrike_wal.so
shift

"$@" "$programs/record" recorded
"$@" "$programs/verify" recorded
"$@" "$programs/replay" recorded
"$@" "$programs/read_log" recorded
"$@" "$programs/read_segment" recorded/FS.00000000.wal
"$@" "$programs/gateway" gateway 5000
"$@" "$programs/loader" loader "$library"
"$@" "$programs/books" books 2 1000

mkdir engine
"$@" "$programs/standby" --dir=engine >standby &
standby=$!
trap 'kill -KILL $standby 2>/dev/null' EXIT
"$@" "$programs/matching_engine" --dir=engine --requests=10000 --snapshot-every=0
"$@" "$programs/matching_engine" --dir=engine --requests=11000 --snapshot-every=0
kill -TERM $standby
wait $standby
trap - EXIT
