#!/bin/sh
# Counts the instructions of one warm request through Tollgate's proxy and through the bare Pingora, and fails when they differ
# by more than 3 % from those in bench/instructions.toml. Says so for more and for fewer: what was gained is kept as well.
#
#   scripts/instructions.sh             compares
#   KEEP=1 scripts/instructions.sh      writes bench/instructions.toml
set -eu
cd "$(dirname "$0")/.."

# As optimised as a release, without its link-time optimisation; without the database and the provider, which are not counted.
cargo build --profile counted --package bench --no-default-features
exec "${CARGO_TARGET_DIR:-target}/counted/bench" kept ${KEEP:+--keep}
