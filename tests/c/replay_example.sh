#!/bin/sh
# The example replay gives all of a log and parts of it, and says why it cannot.
# Usage: replay_example.sh WRITE_LOG REPLAY
set -eu
write_log=$1 replay=$2
fail() { echo "$*" >&2; exit 1; }
# gives TEXT ARGUMENT...
gives() {
    wanted=$1
    shift
    said=$("$replay" log "$@") || fail "replay $* failed"
    [ "$said" = "$wanted" ] || fail "replay $*: '$said' instead of '$wanted'"
}
# refused STATUS WORDS ARGUMENT...
refused() {
    status=$1 words=$2
    shift 2
    code=0
    "$replay" "$@" >printed 2>errors || code=$?
    [ $code -eq "$status" ] || fail "replay $* ended with $code"
    grep -q -e "$words" errors || fail "replay $* does not say '$words': $(cat errors)"
}

# Cold and hot segments, and some in memory only.
"$write_log" log 19000
code=0
"$write_log" log 1000 kill || code=$?
[ $code -eq 137 ] || fail "write_log ended with $code"
find log -name '*.lz4' | grep -q . || fail "nothing is compressed"
gives "20000 events, ids 1 to 20000, quantity 200010000"
gives "11 events, ids 4990 to 5000, quantity 54945" ids 4990 5000
gives "101 events, ids 19900 to 20000, quantity 2014950" ids 19900 end
gives "1 events, ids 7 to 7, quantity 7" times 6001 7999
gives "2001 events, ids 2000 to 4000, quantity 6003000" times 2000000 4000000
gives "0 events, ids 0 to 0, quantity 0" times 20000001 end

for arguments in "" "log ids 5" "log ids 5 4" "log ids x 4" "log ids 0 0" "log ids -1 4" \
    "log blocks 1 2"; do
    # shellcheck disable=SC2086 # several arguments
    refused 2 "^usage: replay" $arguments
done
refused 1 "nowhere" nowhere

# Shut down, so that nothing of it stays in memory.
"$write_log" log 0
# Damage: what lies before it is given.
cold=$(find log -name "*.lz4" | sort | sed -n 3p)
printf xxxx | dd of="$cold" bs=1 seek=2000 conv=notrunc status=none
refused 1 "$cold" log
refused 1 "verify" log
[ "$(cut -d, -f1,2 printed)" = "8192 events, ids 1 to 8192" ] || fail "$(cat printed)"
gives "10 events, ids 1 to 10, quantity 55" ids 1 10

# Retention has deleted the beginning.
"$write_log" short 20000 forget
refused 1 "retention has removed events 1 to [1-9]" short ids 1 end
first=$(sed -n 's/^replay: begin at \([0-9]*\), .*/\1/p' errors)
"$replay" short ids "$first" end | grep -q ", ids $first to 20000, " || fail "not at $first"
