#!/bin/sh
# record, linked with the static library, needs no shared library but the system's, and records what
# the other one goes on with.
# Usage: static_example.sh RECORD RECORD_STATIC
set -eu
record=$1 record_static=$2
fail() { echo "$*" >&2; exit 1; }
needs() { readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

needs "$record" | grep -q '^libflashstrike_wal\.so\.' || fail "record: $(needs "$record")"
if needs "$record_static" | grep -vE '^(libc|libm|libgcc_s|ld-linux-x86-64)\.so\.[0-9]+$'; then
    fail "record_static needs more than glibc and the compiler's unwinder"
fi
# Where no library can be found.
mkdir alone
cp "$record_static" alone
[ "$(env -i alone/record_static log)" = "recorded 1 to 1000, durable" ] || fail "record_static"
[ "$("$record" log)" = "recorded 1001 to 2000, durable" ] || fail "record"
