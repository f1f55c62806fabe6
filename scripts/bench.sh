#!/bin/sh
# Builds Tollgate as for production and measures it on this machine: prints the tables, writes target/bench/results.md.
#
#   scripts/bench.sh                    everything; about forty minutes after the build, on a machine that does nothing else
#   scripts/bench.sh laps freshness     some parts: instructions, laps, peers, growth, freshness, backlog, sockets, start
#   scripts/bench.sh --publish docs     also writes docs/bench.md and docs/bench.svg, which the README shows
#   EMBEDDED=1 scripts/bench.sh         also how fast the embedded database starts (one more build)
#
# Installs valgrind when it counts instructions, and the peers when it compares with them; what cannot be had is left out
# and said so. Starts its own servers, on loopback.
set -eu
cd "$(dirname "$0")/.."

# The queries were checked against a real database when they were written; a build needs none.
export SQLX_OFFLINE=true

# wants PART: it is named, or no part is.
wants() {
    wanted=$1
    shift
    named=''
    for word in "$@"; do
        case "$word" in
            "$wanted") return 0 ;;
            instructions | laps | peers | growth | freshness | backlog | sockets | start | soak) named=1 ;;
        esac
    done
    [ -z "$named" ]
}

if wants instructions "$@" || wants growth "$@"; then
    scripts/install.sh count
fi
if wants peers "$@"; then
    scripts/install.sh peers || echo 'bench: some peers could not be installed: they are left out' >&2
fi

if [ -n "${EMBEDDED:-}" ]; then
    cargo build --release --package tollgate --features embedded
    mkdir -p target/bench
    # The next build puts its own binary in this place.
    cp target/release/tollgate target/bench/tollgate-embedded
    set -- "$@" --embedded target/bench/tollgate-embedded
fi
# In one go, so that both proxies are built of the very same libraries.
cargo build --release --package tollgate --package bench
exec target/release/bench "$@"
