# Each target installs what it needs, then runs cargo. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help demo test chaos bench lint fuzz soak instructions

# The queries were checked against a real database when they were written; a build needs none.
export SQLX_OFFLINE := true

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

demo: ## a sample site behind the gate, with a simulated provider: nothing to set up
	scripts/install.sh
	cargo run --features demo -- demo

test: ## every test, on a private Postgres and Redis
	scripts/install.sh tests
	scripts/with-servers.sh cargo test --workspace --features demo --no-fail-fast

chaos: ## a hundred made-up lives while everything fails; CHAOS_SEEDS=n for more, CHAOS_SEED=n for that one
	scripts/install.sh tests
	CHAOS_SEEDS="$${CHAOS_SEEDS:-100}" scripts/with-servers.sh \
		cargo test --features demo --test blackbox chaos:: -- --nocapture

bench: ## what gating costs, beside a bare Pingora and what else one might use, on this machine; BENCH="peers --publish docs" for a part
	scripts/install.sh
	scripts/bench.sh $(BENCH)

soak: ## ten minutes of everything at once: nothing may grow, nothing may fail; SOAK_SECONDS=n for less
	scripts/install.sh
	scripts/soak.sh

instructions: ## the hot path against the instructions that are kept, by callgrind; KEEP=1 keeps the new ones
	scripts/install.sh count
	scripts/instructions.sh

lint: ## formatting, clippy and documentation, without a warning
	scripts/install.sh
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --workspace --all-targets --features demo -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --features demo

fuzz: ## every parser of what strangers send, against inputs made to break it: FUZZ_SECONDS=60 each
	scripts/install.sh
	scripts/fuzz.sh
