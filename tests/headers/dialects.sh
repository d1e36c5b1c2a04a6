#!/bin/sh
# The headers that a program may use without the library compile without a warning: alone, twice, in
# either order, in every dialect, with every compiler that is here.
#
# Usage: dialects.sh INCLUDE-DIRECTORY
set -eu
include=$1
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
tried=0

# try COMPILER DIALECT LANGUAGE HEADER...
try() {
    compiler=$1 dialect=$2 language=$3
    shift 3
    for header in "$@" "$@"; do
        printf '#include <%s>\n' "$header"
    done >unit
    printf 'int unit(void);\nint unit(void) { return 0; }\n' >>unit
    # Some warnings come with optimizing only.
    "$compiler" -std="$dialect" -O2 $warnings -I"$include" -x "$language" -c unit -o unit.o || {
        echo "$compiler -std=$dialect: $*"
        exit 1
    }
    tried=$((tried + 1))
}

for compiler in gcc clang; do
    command -v "$compiler" >found || continue
    for dialect in c99 c11 c17 c2x; do
        for header in flashstrike_wal_read.h flashstrike_wal_loader.h; do
            try "$compiler" "$dialect" c "$header"
            try "$compiler" "$dialect" c flashstrike_wal.h "$header"
            try "$compiler" "$dialect" c "$header" flashstrike_wal.h
        done
    done
done
for compiler in g++ clang++; do
    command -v "$compiler" >found || continue
    for dialect in c++11 c++14 c++17 c++20 c++2b; do
        for header in flashstrike_wal_read.h flashstrike_wal_loader.h; do
            try "$compiler" "$dialect" c++ "$header"
            try "$compiler" "$dialect" c++ flashstrike_wal.h "$header"
        done
        case $dialect in
        c++1[14]) ;;
        *) try "$compiler" "$dialect" c++ flashstrike_wal_read.hpp flashstrike_wal.hpp ;;
        esac
    done
done
test "$tried" -gt 0
echo "$tried units compiled"
