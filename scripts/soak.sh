#!/bin/sh
# Builds Tollgate as for production and lets everything happen at once for ten minutes: readers, free users, buyers, WebSockets,
# reloads, and Redis that restarts empty. Fails when memory or open files grow, or when an answer is wrong.
#
#   scripts/soak.sh                     ten minutes
#   SOAK_SECONDS=60 scripts/soak.sh     one
set -eu
cd "$(dirname "$0")/.."

# The queries were checked against a real database when they were written; a build needs none.
export SQLX_OFFLINE=true

cargo build --release --package tollgate --package bench
exec target/release/bench soak --out target/soak
