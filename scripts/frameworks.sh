#!/usr/bin/env bash
# Builds a site with each framework that is tried for real, from npm and PyPI, and runs the tests that need them.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "frameworks: python3 is missing" >&2; exit 1; }
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
django=${CARGO_TARGET_DIR:-$PWD/target}/frameworks/django
mkdir -p "$django"
cp -r tests/frameworks/django/. "$django"
echo "frameworks: builds a Django site in $django"
[ -x "$django/venv/bin/python" ] || python3 -m venv "$django/venv"
"$django/venv/bin/pip" install --quiet --disable-pip-version-check -r "$django/requirements.txt"
TOLLGATE_DJANGO=$django TOLLGATE_NEXTJS=$place scripts/with-servers.sh cargo test --workspace --features demo --test blackbox frameworks::
