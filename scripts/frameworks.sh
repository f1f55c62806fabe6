#!/usr/bin/env bash
# Builds a site with each framework that is tried for real, from npm, and runs the tests that need them.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v npm >/dev/null || { echo "frameworks: npm is missing: install Node.js 20 or newer" >&2; exit 1; }

place=${CARGO_TARGET_DIR:-$PWD/target}/frameworks/nextjs
mkdir -p "$place"
cp -r tests/frameworks/nextjs/. "$place"
echo "frameworks: builds a Next.js site in $place"
(
    cd "$place"
    export NEXT_TELEMETRY_DISABLED=1
    npm install --no-audit --no-fund --loglevel=error
    npx next build >build.log 2>&1 || { cat build.log >&2; exit 1; }
)
TOLLGATE_NEXTJS=$place scripts/with-servers.sh cargo test --workspace --features demo --test blackbox frameworks::
