#!/usr/bin/env bash
# Usage: run.sh BUILD KIND...
# The C and C++ tests and the examples, with gcc's sanitizers and under valgrind, against the
# ordinary library of BUILD. KIND is one of
#   address   addresses, leaks and undefined behaviour: all of them, compiled once more
#   thread    races: those that have threads, compiled once more
#   memcheck  memory, in the library too, with valgrind: the examples and some tests as they are
# With FLASHSTRIKE_TORTURE `thread` and `memcheck` run all that they can.
#
# Each first has to find the faults of planted.c. CARGO_TARGET_DIR is where the library was built.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$here/../..
build=$(cd "$1" && pwd)
shift
torture=${FLASHSTRIKE_TORTURE:-}
work=$build/sanitizers
plain_addresses=()
all='^(c_|cpp_|f[0-9]+_|example_)'
# They test a script, what a program is linked with, and a stack that is too small for sanitizers.
none_of_these='f29_require|example_record_static|c_small_stack'

fail() {
    echo "$*" >&2
    exit 1
}

# finds FAULT WORDS COMMAND...: the command fails at the planted fault, and says so.
finds() {
    local fault=$1 words=$2
    shift 2
    if "$source/tests/support/scratch.sh" "$work/planted" "$@" "$fault" >"$work/found" 2>&1; then
        fail "$fault was not found: $*"
    fi
    grep -q "$words" "$work/found" || fail "$(cat "$work/found")" "$fault was not found: $*"
    echo "found what was planted: $fault"
}

# compile KIND FLAG TARGET...: programs in a build directory of their own, and planted.c.
compile() {
    local kind=$1 sanitize=(-fsanitize="$2" -fno-sanitize-recover=all)
    local flags="${sanitize[*]} -Wno-format-truncation"
    shift 2
    {
        cmake -S "$source" -B "$work/$kind" -DCMAKE_BUILD_TYPE=Release \
            -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" \
            -DCMAKE_C_FLAGS_RELEASE="-O0 -g" -DCMAKE_CXX_FLAGS_RELEASE="-O0 -g" \
            -DFLASHSTRIKE_WAL_CARGO_TARGET_DIR="$CARGO_TARGET_DIR" &&
            cmake --build "$work/$kind" --parallel "$(nproc)" --target "$@"
    } >"$work/$kind.txt" 2>&1 || fail "$(cat "$work/$kind.txt")"
    plant "$kind" "${sanitize[@]}"
}

# plant KIND FLAG...
plant() {
    local kind=$1
    shift
    gcc -std=c11 -g -pthread "$@" "-I$source/include" "$here/planted.c" -o "$work/planted_$kind" \
        "-L$build/lib" -lflashstrike_wal "-Wl,-rpath,$build/lib"
}

# run DIRECTORY ARGUMENT...: most tests wait most of the time.
run() {
    local directory=$1
    shift
    "${plain_addresses[@]}" ctest --test-dir "$directory" --output-on-failure \
        --parallel $(($(nproc) * 2)) "$@"
}

address() {
    compile address address,undefined linked_programs
    local planted=$work/planted_address
    finds overflow heap-buffer-overflow "$planted"
    finds leak 'detected memory leaks' "$planted"
    finds lost_reader 'detected memory leaks' "$planted"
    finds undefined 'signed integer overflow' "$planted"

    export LSAN_OPTIONS=suppressions=$here/leaks.txt:print_suppressions=0
    # A child can hang in gcc's allocator when it is forked while another thread is in there.
    run "$work/address" -R "$all" -E "$none_of_these|c_forks|c_reader$"
}

thread() {
    local tests='^(c_threads|c_durable_fd|c_log_function|f42_cancellation|example_gateway)$'
    local targets=(test_c_threads test_c_durable_fd test_c_log_function test_f42_cancellation
        gateway)
    if [ -n "$torture" ]; then
        tests=$all
        targets=(linked_programs)
    fi
    # gcc's thread sanitizer does not know all the addresses that kernels give.
    local plain_addresses=(setarch --addr-no-randomize)
    compile thread thread "${targets[@]}"
    export TSAN_OPTIONS=suppressions=$here/thread.txt
    finds race 'data race' "${plain_addresses[@]}" "$work/planted_thread"
    # ThreadSanitizer knows nothing of processes that clone themselves, nor of single steps. It
    # leaves the library out by its file, so a program that has it inside is not for it.
    local unknown='c_forks|f15_children|f13_interrupted|c_panic_static'
    run "$work/thread" -R "$tests" -E "$none_of_these|$unknown"
}

# examples RUNNER...: each example, with little to do. In a script of its own, so that the first one
# that fails ends it wherever this is called.
examples() {
    rm -rf "$work/examples"
    mkdir "$work/examples"
    (cd "$work/examples" && "$here/examples.sh" "$build" "$@") >"$work/examples.txt" 2>&1
}

memcheck() {
    plant memcheck
    local memory=(valgrind --quiet --error-exitcode=99)
    local leaks=(--leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite)
    local planted=$work/planted_memcheck
    finds overflow 'Invalid write' "${memory[@]}" "$planted"
    finds short_batch 'Invalid read' "${memory[@]}" "$planted"
    finds lost_reader 'definitely lost' "${memory[@]}" "${leaks[@]}" "$planted"
    if examples false; then fail "examples that fail were not found"; fi
    examples "${memory[@]}" "${leaks[@]}" || fail "$(cat "$work/examples.txt")"
    echo "memcheck finds nothing in the examples"
    local tests='^(c_log|c_order)$'
    if [ -n "$torture" ]; then tests='^(c_|cpp_|f[0-9]+_)'; fi
    # It knows as little of such processes, and nothing of one that is stopped and goes on.
    local unknown='f15_children|f13_interrupted|c_control'
    local too_slow='f11_clock|f2_standard_descriptors|c_forks|c_read_segment|cpp_order_flow'
    RUN_UNDER="${memory[*]}" run "$build" -R "$tests" -E "$none_of_these|$unknown|$too_slow"
}

mkdir -p "$work"
for kind in "$@"; do
    SECONDS=0
    "$kind"
    echo "$kind: $SECONDS seconds"
done
