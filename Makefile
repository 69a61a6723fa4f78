# Every target installs what it needs first (.ci/setup: cheap, and silent when all is there).

.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
MUSL := $(shell uname -m)-unknown-linux-musl
THUMB := thumbv7em-none-eabihf

STATIC := $(TARGET_DIR)/$(MUSL)/release/midge
TINY := $(TARGET_DIR)/$(MUSL)/tiny/midge
READER := $(TARGET_DIR)/$(MUSL)/tiny
PEERS := $(TARGET_DIR)/peers
FIRMWARE := $(TARGET_DIR)/$(THUMB)/release/firmware

# Names each function's crate the same way whichever toolchain compiles; changes no byte of code.
SYMBOLS := -Csymbol-mangling-version=v0

STATIC_FLAGS := $(SYMBOLS) -Clink-arg=-Wl,-Map=$(STATIC).map

# The smallest binary. The standard library is built with the program and for size; a panic
# stops the process at once, without a message and so without its text; the linker is musl's own
# wrapper, with no tables for unwinding, no build id, and no padding between pages. The three
# numbers of the inliner keep its rule for size (inline when it is free), and take a fourfold
# weight from its bonus for functions with one caller: that bonus makes bodies of 8 kB whose
# variables are far from the stack pointer, which is 2 kB in all. Repeated runs of instructions
# become functions, and small matches comparisons instead of tables of addresses: 2 kB more.
NO_UNWIND := $(TARGET_DIR)/no-unwind
TINY_FLAGS := $(SYMBOLS) -Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none \
	-Zfmt-debug=none -Cforce-unwind-tables=no -Crelocation-model=static \
	-Clinker=musl-gcc -Clink-self-contained=no -Lnative=$(NO_UNWIND) \
	-Clink-arg=-Wl,-z,noseparate-code -Clink-arg=-Wl,-z,norelro -Clink-arg=-Wl,--build-id=none \
	-Clink-arg=-Wl,--no-eh-frame-hdr -Clink-arg=-Wl,-z,common-page-size=16 \
	-Cllvm-args=-inline-threshold=20 -Cllvm-args=-inline-instr-cost=20 \
	-Cllvm-args=-inline-call-penalty=100 -Cllvm-args=-enable-machine-outliner=always \
	-Cllvm-args=-switch-to-lookup=false -Cllvm-args=-min-jump-table-entries=12
BUILD_STD := -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size

.PHONY: help setup build test test-official sim nightly bench bench-peers soak soak-clock \
	test-clockbound chaos numbers \
	lint static tiny reader size firmware fuzz miri manual run doc clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: ## install everything that any target needs
	@.ci/setup base tests lint musl thumb i686 aarch64 nightly fuzz

build: ## the agent and the library, for development
	@.ci/setup base
	cargo build --workspace

test: ## every test: units, wire, real processes, then the simulator (optimised)
	@.ci/setup base tests
	cargo test --workspace
	cargo test --profile sim --test sim
	cargo test --profile sim --features mutants --test council

test-official: ## the clock arithmetic beside the official ClockBound clients, which it builds
	@.ci/setup base
	cargo test --manifest-path tests/official_clock/Cargo.toml \
		--target-dir $(TARGET_DIR)/official-clock

sim: ## over 10,000 simulated runs, SIM_SEEDS of each scenario from SIM_FIRST_SEED on; large fleets
	@.ci/setup base
	.ci/sim
	cargo build --profile sim --example fleet
	set -e; for run in 'burst --nodes 2000' 'partition-tenth --nodes 2000' 'idle --nodes 1000' \
		'sawtooth --nodes 150' 'loss --nodes 100 --hours 24'; do \
		echo "fleet --scenario $$run"; $(TARGET_DIR)/sim/examples/fleet --scenario $$run; done

nightly: export FUZZ_RUNS := $(or $(FUZZ_RUNS),10000000)
nightly: sim miri fuzz test-clockbound ## sim, miri, fuzz with FUZZ_RUNS (10000000) of each, and test-clockbound: hours

bench: ## how long real processes take to agree and to notice a crash; the API beside nginx
	@.ci/setup base bench
	cargo bench --package midge-agent --bench processes
	PATH="$$PATH:$(PEERS)/usr/sbin" cargo bench --package midge-agent --bench requests
	CARGO_TARGET_DIR=$(TARGET_DIR)/benches benches/times.sh
	CARGO_TARGET_DIR=$(TARGET_DIR)/benches benches/instructions.sh
	cargo bench --manifest-path tests/official_clock/Cargo.toml \
		--target-dir $(TARGET_DIR)/official-clock --bench reading

soak: ## 30 agents that are asked everything for SOAK_SECONDS (600): no heap use, no growth
	@.ci/setup base
	cargo bench --package midge-agent --bench soak

soak-clock: ## readers of shared memory beside a hostile writer for CLOCK_TORTURE_SECONDS (600)
	@.ci/setup base
	CLOCK_TORTURE_SECONDS=$${CLOCK_TORTURE_SECONDS:-600} \
		cargo test --release --package midge-agent --test clockbound

test-clockbound: ## the real ClockBound daemon, started and disrupted where it can set no clock
	@.ci/setup base clockbound
	CLOCKBOUND=$(PEERS)/bin/clockbound CHRONYD=$(PEERS)/usr/sbin/chronyd \
		cargo test --package midge-agent --test clockbound real_daemon

bench-peers: tiny ## midge beside serf and foca, into docs/peers.md (root; QUICK=1: a smoke test)
	@.ci/setup base chaos peers
	cargo build --release --package netlab --bin peers
	MIDGE_BIN=$(TINY) FOCA_BIN=$(PEERS)/bin/foca_insecure_udp_agent SERF_BIN=$(PEERS)/usr/bin/serf \
		$(TARGET_DIR)/release/peers $(if $(QUICK),--quick)

chaos: tiny ## real agents under loss, partitions, crashes and pauses (root; QUICK=1: a short form; ONLY=NAME)
	@.ci/setup base chaos
	cargo build --release --package netlab --bin chaos
	MIDGE_BIN=$(TINY) $(TARGET_DIR)/release/chaos $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

numbers: ## measure all that the documents say in figures, and write it there (root; PARTS="size bench")
	@.ci/setup base tests bench nightly chaos peers
	.ci/measure $(PARTS)

lint: ## formatting, clippy, documentation, licences and sources of dependencies
	@.ci/setup base lint
	cargo fmt --all --check
	cargo fmt --check --manifest-path size-report/firmware/Cargo.toml
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo fmt --check --manifest-path benches/Cargo.toml
	cargo fmt --check --manifest-path tests/official_clock/Cargo.toml
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --test sim -- -D warnings
	cargo clippy --features mutants --test council -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --package midge --no-deps
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" \
		cargo doc --package midge-agent --no-deps --document-private-items
	.ci/dependencies
	.ci/service

static: ## one static binary with the stable toolchain
	@.ci/setup base musl
	RUSTFLAGS="$(STATIC_FLAGS)" .ci/cargo target $(MUSL) build --release --package midge-agent
	@ls -l $(STATIC)

tiny: ## the smallest static binary (nightly toolchain)
	@.ci/setup base nightly
	@mkdir -p $(NO_UNWIND) && ar rc $(NO_UNWIND)/libunwind.a
	RUSTFLAGS="$(TINY_FLAGS)" .ci/cargo nightly rustc --profile tiny $(BUILD_STD) \
		--target $(MUSL) --package midge-agent --bin midge -- -Clink-arg=-Wl,-Map=$(TINY).map
	@ls -l $(TINY)

reader: tiny ## two smallest programs, with a reader of ClockBound and without, to be measured
	RUSTFLAGS="$(TINY_FLAGS)" .ci/cargo nightly build --profile tiny $(BUILD_STD) \
		--target $(MUSL) --package reader

firmware: ## a Cortex-M4 image with membership only, to be measured
	@.ci/setup base thumb
	RUSTFLAGS="$(SYMBOLS)" .ci/cargo target $(THUMB) build --release \
		--manifest-path size-report/firmware/Cargo.toml --target-dir $(TARGET_DIR)

size: static tiny reader firmware ## bytes by section and crate, memory, stacks, against size-report/budget.toml
	cargo run --quiet --release --package size-report -- $(if $(filter write,$(BASELINE)),--write) \
		size-report/budget.toml size-report/baseline.toml $(TINY) \
		static=$(STATIC) tiny=$(TINY) firmware=$(FIRMWARE) \
		clock=$(READER)/with-clock,$(READER)/without-clock

fuzz: ## hostile input for parsers and a whole node, FUZZ_SECONDS (60) or FUZZ_RUNS of each; coverage
	@.ci/setup base nightly fuzz
	.ci/fuzz

miri: ## the core's unit tests under Miri, about 10 minutes (nightly toolchain)
	@.ci/setup base miri
	.ci/miri

manual: ## the man page and completions for bash, zsh and fish, in target/manual
	@.ci/setup base
	@cargo run --quiet --package midge-agent --example manual -- $(TARGET_DIR)/manual

run: ## three nodes on loopback with a live table, until Ctrl-C
	@.ci/setup base
	@cargo build --release --package midge-agent
	@sh examples/three-nodes.sh $(TARGET_DIR)/release/midge

doc: ## the documentation, in target/doc; of the agent with its private parts
	@.ci/setup base
	cargo doc --package midge --no-deps
	cargo doc --package midge-agent --no-deps --document-private-items

clean: ## remove what was built
	cargo clean
