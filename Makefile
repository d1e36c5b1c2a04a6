# make test    Rust, C, C++ and Python tests (tests/README.md)
# make test-sanitizers  C and C++ tests and examples with gcc's sanitizers and under valgrind
# make test-package  the packages: lintian, a clean Debian as root, the same bytes when built twice
# make demo    record order flow, kill the engine, restart it, compare it and its standby
#              (ORDERS=lobster.csv  BAD_LINES=skip|refuse  REQUESTS=n)
# make torture faults of every kind, for an hour or two; prints their table (docs/durability.md)
#              (TORTURE=10: a tenth of what it adds to `make test`)
# make fuzz    look for new inputs with libFuzzer, FUZZ_SECONDS a target
#              (fuzz/README.md: needs nightly Rust)
# make bench   measure the library, the floors of the machine and other logs, in a quarter of an
#              hour (QUICK=1: in a minute and a half; BENCH_DIR=directory on the disk to be
#              measured; benches/README.md)
# make tools   build fswal, the operator's tool (target/tools/release/fswal; docs/operating.md), and
#              its man pages and completions (target/tools/share)
# make package build/packages/: Debian packages, and a tarball (docs/integrating.md)
# make wheel   build/wheel/flashstrike_wal-*.whl, the Python package with the library in it
# make bench-python  what the Python package costs beside calls from C, in two minutes
# make bench-export  what export and backup take beside reading and cp, in two minutes
# make header  generate include/flashstrike_wal.h anew
#              (a test compares the header with the generated one: tests/published/header.rs)
# make transcripts  write those of docs/ anew, from the tool (a test compares them)
# make book    build/book/index.html, the pages of docs/ as a searchable book; fails for a link that
#              leads nowhere, and for code that is not that of the file it is taken from
# make api-docs  build/api-docs/html/index.html, the reference of the headers from their comments;
#              fails for what is not documented
# make lint    formatting, line lengths, clippy, rustdoc, import circles (tools/arrows.py), whether
#              the pages show the kept results (tools/bench_table.py), and whether the licences are
#              those of what is linked (tools/third_party.py)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := test
.PHONY: test test-rust build test-c test-python compile-test-tools test-tools test-sanitizers
.PHONY: test-package tools package wheel torture fuzz demo bench
.PHONY: bench-python bench-export header transcripts book api-docs lint clean

REQUESTS ?= 2000000
FUZZ_SECONDS ?= 600
TORTURE ?= 100
ORDERS ?=
BAD_LINES ?= skip
QUICK ?=
BENCH_DIR ?= target/bench/data
BENCH_OUT := target/bench

# rustup puts cargo where a shell that was open before does not look.
export PATH := $(PATH):$(HOME)/.cargo/bin
export CARGO_TARGET_DIR := $(CURDIR)/target

# What the tests need besides the build; as root they mount filesystems.
RUST_TOOLS := cargo gcc strace lz4 $(if $(filter 0,$(shell id -u)),e2fsprogs xfsprogs)
BUILD_TOOLS := cargo gcc g++ cmake make
C_TOOLS := abigail-tools clang golang-go liblz4-dev ninja-build pkg-config python3 valgrind
PYTHON_TOOLS := gcc python3 python3-venv lz4 $(if $(filter 0,$(shell id -u)),btrfs-progs)
BUILD := build

# One build directory for all: what `make test` built, `make demo` runs.
CONFIGURE = cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_COMPILE_WARNING_AS_ERROR=$(1) \
    -DFLASHSTRIKE_WAL_CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)
BUILD_ALL = cmake --build $(BUILD) --parallel $$(nproc)

# The C and Python tests use the same build. They run side by side: both wait a lot. When those in
# Python have ended, the tool's are compiled beside those in C, which use one processor only. What
# any of the tests needs is asked for before anything is built.
test:
	tools/require.sh $(sort $(RUST_TOOLS) $(BUILD_TOOLS) $(C_TOOLS) $(PYTHON_TOOLS))
	$(MAKE) test-rust
	$(MAKE) --jobs=2 --output-sync=target test-c test-python compile-test-tools
	$(MAKE) test-tools

# The test profile is optimised and has debug assertions and overflow checks on; the release
# library, which has neither, is what the C, C++ and Python tests run. The second run checks the
# hand-offs between threads with loom: every interleaving, and every order of memory accesses that
# the code allows.
test-rust:
	tools/require.sh $(RUST_TOOLS)
	rm -rf target/durability
	cargo test --locked --workspace
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --locked --lib model

build:
	tools/require.sh $(BUILD_TOOLS)
	$(call CONFIGURE,ON)
	$(BUILD_ALL)

test-c: build
	tools/require.sh $(C_TOOLS)
	ctest --test-dir $(BUILD) --output-on-failure

test-sanitizers: build
	tools/require.sh valgrind
	tests/sanitizers/run.sh $(BUILD) address thread memcheck

test-python: build
	tools/require.sh $(PYTHON_TOOLS)
	FLASHSTRIKE_WAL_LIB=$(CURDIR)/$(BUILD)/lib/libflashstrike_wal.so \
	FLASHSTRIKE_READ_SEGMENT=$(CURDIR)/$(BUILD)/examples_c/read_segment \
	    tests/python/run.sh

# The operator's tool is a separate package: what it depends on must not come into the library's
# build, and neither build makes the other's parts anew.
TOOLS := CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/tools
TOOLS_MANIFEST := --locked --manifest-path fswal/Cargo.toml

tools:
	tools/require.sh cargo gcc
	$(TOOLS) tools/without_paths.sh cargo build --release $(TOOLS_MANIFEST)
	$(CARGO_TARGET_DIR)/tools/release/fswal generate $(CARGO_TARGET_DIR)/tools/share

compile-test-tools:
	tools/require.sh cargo gcc
	$(TOOLS) cargo test --no-run $(TOOLS_MANIFEST)

test-tools: compile-test-tools
	$(TOOLS) cargo test $(TOOLS_MANIFEST)

transcripts:
	tools/require.sh cargo gcc
	FSWAL_WRITE_TRANSCRIPTS=1 $(TOOLS) cargo test $(TOOLS_MANIFEST) --test operating transcripts

# Debian packages and a tarball. Files in them have the time of the last commit.
PACKAGES := $(BUILD)/packages
CONFIGURE_PACKAGES = cmake -S . -DCMAKE_BUILD_TYPE=Release \
    -DFLASHSTRIKE_WAL_CARGO_TARGET_DIR=$(CARGO_TARGET_DIR) \
    -DFLASHSTRIKE_WAL_BUILD_TESTS=OFF -DFLASHSTRIKE_WAL_BUILD_EXAMPLES=OFF

package test-package: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
package: tools
	tools/require.sh $(BUILD_TOOLS) dpkg-dev file
	rm -rf $(PACKAGES) $(BUILD)/deb/packages $(BUILD)/tarball/packages
	$(CONFIGURE_PACKAGES) -B $(BUILD)/deb -DCPACK_GENERATOR=DEB -DCMAKE_INSTALL_PREFIX=/usr
	$(CONFIGURE_PACKAGES) -B $(BUILD)/tarball -DCPACK_GENERATOR=TGZ -DCMAKE_INSTALL_LIBDIR=lib
	for kind in deb tarball; do \
	    cmake --build $(BUILD)/$$kind && (cd $(BUILD)/$$kind && cpack); \
	done
	mkdir -p $(PACKAGES)
	cp $(BUILD)/deb/packages/*.deb $(BUILD)/tarball/packages/*.tar.gz $(PACKAGES)

test-package: package
	tools/require.sh lintian $(if $(filter 0,$(shell id -u)),debootstrap)
	tests/package/contents.sh . $(PACKAGES)
	tests/package/clean_root.sh . $(PACKAGES) $(CURDIR)/$(BUILD)/clean_root || [ $$? -eq 77 ]
	CMAKE=cmake SOURCE=$(CURDIR) BUILD=$(CURDIR)/$(BUILD)/deb \
	    tests/support/scratch.sh $(BUILD)/same_bytes $(CURDIR)/tests/package/same_bytes.sh

wheel: build
	tools/require.sh $(PYTHON_TOOLS)
	FLASHSTRIKE_WAL_LIB=$(CURDIR)/$(BUILD)/lib/libflashstrike_wal.so \
	    tests/python/run.sh --wheel $(BUILD)/wheel

# What the group `faults` tries in every run, and much more of it.
torture: build
	tools/require.sh $(sort $(RUST_TOOLS) $(C_TOOLS) $(PYTHON_TOOLS)) prometheus
	FLASHSTRIKE_TORTURE=$(TORTURE) cargo test --locked --workspace --test faults
	FLASHSTRIKE_TORTURE=$(TORTURE) cargo test --locked --workspace --test hostile f12_
	FLASHSTRIKE_WAL_LIB=$(CURDIR)/$(BUILD)/lib/libflashstrike_wal.so FLASHSTRIKE_TORTURE=$(TORTURE) \
	    tests/python/run.sh test_package_lifetime.py
	FLASHSTRIKE_TORTURE=$(TORTURE) $(TOOLS) cargo test $(TOOLS_MANIFEST) --test operating storm \
	    -- --show-output
	FLASHSTRIKE_TORTURE=$(TORTURE) ctest --test-dir $(BUILD) --output-on-failure \
	    -R '^package_matrix$$'
	FLASHSTRIKE_TORTURE=$(TORTURE) $(MAKE) test-sanitizers
	$(MAKE) tools
	.venv/bin/python fswal/tests/prometheus.py $(CARGO_TARGET_DIR)/tools/release/fswal
	tools/durability_table.py

fuzz:
	tools/require.sh cargo gcc
	for target in decoders directory; do \
	    cargo +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS); \
	done

demo:
	tools/require.sh $(BUILD_TOOLS)
	$(call CONFIGURE,OFF)
	cmake --build $(BUILD) --parallel $$(nproc) --target demo standby
	$(BUILD)/examples_c/demo --dir=$(BUILD)/demo --requests=$(REQUESTS) --bad-lines=$(BAD_LINES) \
	    $(if $(ORDERS),--orders="$(ORDERS)")

# The benchmarks are a separate package, so that the logs they compare with are not part of the
# library's build.
bench:
	tools/require.sh $(BUILD_TOOLS)
	$(call CONFIGURE,OFF)
	cmake --build $(BUILD) --target flashstrike_wal_shared
	cargo build --locked --release --manifest-path benches/Cargo.toml
	FLASHSTRIKE_WAL_LIB=$(CURDIR)/$(BUILD)/lib/libflashstrike_wal.so \
	QUICK=$(QUICK) BENCH_DIR=$(BENCH_DIR) BENCH_OUT=$(BENCH_OUT) \
	    $(CARGO_TARGET_DIR)/release/flashstrike-wal-benches

INSTALL_WHEEL = .venv/bin/pip install --quiet --disable-pip-version-check --force-reinstall \
    --no-deps $(BUILD)/wheel/*.whl

bench-python: wheel
	$(INSTALL_WHEEL)
	.venv/bin/python python/bench.py --dir=$(BENCH_DIR) --out=$(BENCH_OUT)

bench-export: wheel tools
	$(INSTALL_WHEEL)
	.venv/bin/python fswal/bench.py $(CARGO_TARGET_DIR)/tools/release/fswal \
	    --dir=$(BENCH_DIR) --out=$(BENCH_OUT)

# The test that checks the header can write it too.
header:
	tools/require.sh cargo gcc
	FLASHSTRIKE_WRITE_HEADER=1 cargo test --locked -p flashstrike-wal-tests --test published \
	    the_committed_header
	tools/loader_table.py --write

# mdbook in an environment of its own, made anew when its version changes.
MDBOOK := $(BUILD)/mdbook/bin/mdbook

$(MDBOOK): tools/book_requirements.txt
	tools/require.sh python3 python3-venv
	python3 -m venv --clear $(BUILD)/mdbook
	$(BUILD)/mdbook/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

book: $(MDBOOK)
	tools/book_code.py --check
	$(MDBOOK) build
	tools/book.py --check-links $(BUILD)/book

api-docs:
	tools/require.sh doxygen
	mkdir -p $(BUILD)
	doxygen docs/Doxyfile

lint:
	tools/require.sh cargo gcc python3
	cargo fmt --all --check
	cargo fmt --check --manifest-path benches/Cargo.toml
	cargo fmt --check --manifest-path fswal/Cargo.toml
	tools/line_lengths.py
	tools/loader_table.py --check
	tools/test_arrows.py
	tools/arrows.py
	tools/test_bench_table.py
	tools/bench_table.py --check
	tools/book_code.py --check
	tools/test_third_party.py
	tools/third_party.py --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --all-targets --manifest-path benches/Cargo.toml -- -D warnings
	$(TOOLS) cargo clippy --all-targets $(TOOLS_MANIFEST) -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps

clean:
	rm -rf $(BUILD) target .venv
