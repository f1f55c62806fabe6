#!/bin/sh
# Writes `.sqlx/` anew: what Postgres says of each query, for builds that have no database. Run it after a change of a query or
# of a migration. Needs nothing but what the tests need: a private Postgres gets the schema, and the build asks that.
set -eu
cd "$(dirname "$0")/.."

if [ "${1:-}" != asked ]; then
    unset DATABASE_URL
    exec scripts/with-servers.sh "$0" asked
fi
for file in $(ls migrations | sort -n); do
    psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --dbname="$DATABASE_URL" --file="migrations/$file"
done
rm -f .sqlx/query-*.json
# The crate that has the queries is built again, as they are looked at by its compiler.
touch billing/src/lib.rs
SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$PWD/.sqlx" cargo build --workspace --features demo --examples --lib
git status --short .sqlx
