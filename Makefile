# Each target installs what it needs, then runs cargo. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help demo demo-script test chaos bench format lint dependencies clippy docs shipped fuzz soak instructions dist long

# What tests, lint, fuzz and demo-script have in common, so that no library is built twice for them: all packages with their largest
# set of features. What dev-dependencies add to it counts for a test; `--examples`, of which there are none, makes it count elsewhere.
ALL := --workspace --features demo
AS_TESTS := $(ALL) --examples
SHIPPED := --package tollgate --package entitlement --package cache --package proxy --package billing

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

demo: ## a sample site behind the gate, with a simulated provider: nothing to set up
	scripts/install.sh
	cargo run --features demo -- demo

demo-script: ## the same story without you, by the program that the tests use
	scripts/install.sh
	cargo build $(AS_TESTS) --bin tollgate
	$(or $(CARGO_TARGET_DIR),target)/debug/tollgate demo --script

# Black-box tests wait more than they compute: three at once keep two cores busy.
test: ## every test, on a private Postgres and Redis
	scripts/install.sh tests
	RUST_TEST_THREADS="$${RUST_TEST_THREADS:-$$(($$(nproc) * 3 / 2))}" scripts/with-servers.sh cargo test $(ALL) --no-fail-fast

chaos: ## a hundred made-up lives while everything fails; CHAOS_SEEDS=n for more, CHAOS_SEED=n for that one
	scripts/install.sh tests
	CHAOS_SEEDS="$${CHAOS_SEEDS:-100}" scripts/with-servers.sh \
		cargo test $(ALL) --test blackbox chaos:: -- --nocapture

bench: ## what gating costs, beside a bare Pingora and what else one might use, on this machine; BENCH="peers --publish docs" for a part
	scripts/install.sh servers
	scripts/bench.sh $(BENCH)

soak: ## ten minutes of everything at once: nothing may grow, nothing may fail; SOAK_SECONDS=n for less
	scripts/install.sh servers
	scripts/soak.sh

instructions: ## the hot path against the instructions that are kept, by callgrind; KEEP=1 keeps the new ones
	scripts/install.sh count
	scripts/instructions.sh

format: ## formatting alone: seconds
	cargo fmt --all --check

lint: format dependencies clippy docs shipped ## formatting, dependencies, clippy and documentation, without a warning

dependencies: ## licences, versions and use of what is built upon, as deny.toml says: seconds
	scripts/install.sh lint
	scripts/dependencies.py

clippy:
	scripts/install.sh
	cargo clippy $(ALL) --all-targets -- -D warnings

docs:
	scripts/install.sh
	RUSTDOCFLAGS='-D warnings' cargo doc $(AS_TESTS) --lib --bins --no-deps

# With its default features, as an installation is built, whatever database the environment names: none is asked.
shipped:
	scripts/install.sh
	DATABASE_URL=postgres://nobody@127.0.0.1:1/nowhere cargo clippy --locked $(SHIPPED) -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked $(SHIPPED) --no-deps

fuzz: ## every parser of what strangers send, against inputs made to break it: FUZZ_SECONDS=60 each
	scripts/install.sh
	scripts/fuzz.sh

dist: ## what installs without a compiler, in target/dist: archive, Debian package, bill of materials, checksums; docs/install.md
	scripts/dist.sh

long: ## what takes too long for each change: installation, packages, gateways, scale, chaos, fuzzing, soak; ends with a table; LONG="chaos soak" for a part
	scripts/install.sh tests
	scripts/long.sh $(LONG)
