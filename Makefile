# make test    Rust, C, C++ and Python tests
# make demo    record order flow, kill the engine, restart it, compare
#              (ORDERS=lobster.csv  BAD_LINES=skip|refuse  REQUESTS=n)
# make torture faults of every kind, for an hour or two; their table is printed (docs/durability.md)
# make fuzz    look for new inputs with libFuzzer, FUZZ_SECONDS a target (fuzz/README.md: needs nightly Rust)
# make bench   measure the library, the floors of the machine and other logs, in a quarter of an hour
#              (QUICK=1: in a minute and a half; BENCH_DIR=directory on the disk to be measured;
#              benches/README.md)
# make header  generate include/flashstrike_wal.h anew
# make lint    formatting, line lengths, clippy, rustdoc, import circles (tools/arrows.py)
#              (a test compares the header with the generated one: tests/header.rs)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := test
.PHONY: test test-rust test-c test-python torture fuzz demo bench header lint clean

REQUESTS ?= 2000000
FUZZ_SECONDS ?= 600
ORDERS ?=
BAD_LINES ?= skip
QUICK ?=
BENCH_DIR ?= target/bench/data
BENCH_OUT := target/bench

# rustup puts cargo where a shell that was open before does not look.
export PATH := $(PATH):$(HOME)/.cargo/bin
export CARGO_TARGET_DIR := $(CURDIR)/target

# The tests that cause faults in great numbers and write down what they cost.
HARNESSES := model power_cut kill_storm call_kills recovery_twice recovery_errors call_failures verify_flips \
    fuzz_directories fuzz_bytes retention_floor replay_gap
BUILD := build

# One build directory for all: what `make test` built, `make demo` runs.
CONFIGURE = cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=Release -DCMAKE_COMPILE_WARNING_AS_ERROR=$(1) \
    -DFLASHSTRIKE_WAL_CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)
BUILD_ALL = cmake --build $(BUILD) --parallel $$(nproc)

test: test-rust test-c test-python

# The test profile is optimised and has debug assertions and overflow checks on; the release library, which has
# neither, is what the C, C++ and Python tests run. The second run checks the hand-offs between threads with loom:
# every interleaving, and every order of memory accesses that the code allows.
test-rust:
	tools/require.sh cargo gcc strace lz4 $$([ $$(id -u) -ne 0 ] || echo e2fsprogs xfsprogs)
	rm -rf target/durability
	cargo test --locked
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --locked --lib model

test-c:
	tools/require.sh cargo gcc g++ cmake make pkg-config python3 valgrind
	$(call CONFIGURE,ON)
	$(BUILD_ALL)
	ctest --test-dir $(BUILD) --output-on-failure

test-python:
	tools/require.sh cargo gcc g++ cmake make python3 python3-venv lz4 $$([ $$(id -u) -ne 0 ] || echo btrfs-progs)
	$(call CONFIGURE,ON)
	$(BUILD_ALL)
	FLASHSTRIKE_WAL_LIB=$(CURDIR)/$(BUILD)/lib/libflashstrike_wal.so \
	FLASHSTRIKE_READ_SEGMENT=$(CURDIR)/$(BUILD)/examples_c/read_segment \
	    tests/python/run.sh

# What the harnesses try in every run, and much more of it.
torture:
	tools/require.sh cargo gcc strace lz4 python3 $$([ $$(id -u) -ne 0 ] || echo e2fsprogs xfsprogs)
	FLASHSTRIKE_TORTURE=1 cargo test --locked $(addprefix --test ,$(HARNESSES))
	tools/durability_table.py

fuzz:
	tools/require.sh cargo gcc
	for target in decoders directory; do \
	    cargo +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS); \
	done

demo:
	tools/require.sh cargo gcc g++ cmake make
	$(call CONFIGURE,OFF)
	cmake --build $(BUILD) --parallel $$(nproc) --target demo
	$(BUILD)/examples_c/demo --dir=$(BUILD)/demo --requests=$(REQUESTS) --bad-lines=$(BAD_LINES) \
	    $(if $(ORDERS),--orders="$(ORDERS)")

# The benchmarks are a separate package, so that the logs they compare with are not part of the
# library's build.
bench:
	tools/require.sh cargo gcc
	cargo build --locked --release
	cargo build --locked --release --manifest-path benches/Cargo.toml
	FLASHSTRIKE_WAL_LIB=$(CARGO_TARGET_DIR)/release/libflashstrike_wal.so \
	QUICK=$(QUICK) BENCH_DIR=$(BENCH_DIR) BENCH_OUT=$(BENCH_OUT) \
	    $(CARGO_TARGET_DIR)/release/flashstrike-wal-benches

# The test that checks the header can write it too.
header:
	tools/require.sh cargo gcc
	FLASHSTRIKE_WRITE_HEADER=1 cargo test --locked --test header the_committed_header

lint:
	tools/require.sh cargo gcc python3
	cargo fmt --check
	cargo fmt --check --manifest-path benches/Cargo.toml
	tools/line_lengths.py
	tools/test_arrows.py
	tools/arrows.py
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --manifest-path benches/Cargo.toml -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps

clean:
	rm -rf $(BUILD) target .venv
