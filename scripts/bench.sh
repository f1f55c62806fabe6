#!/bin/sh
# Builds Tollgate as for production and measures it on this machine: prints the table, writes target/bench/results.md.
#
#   scripts/bench.sh                    everything; about five minutes after the build
#   scripts/bench.sh laps freshness     some parts: instructions, laps, freshness, backlog, sockets, start
#   EMBEDDED=1 scripts/bench.sh         also how fast the embedded database starts (one more build)
#
# Installs valgrind when it counts instructions and there is none. Starts its own servers, on loopback.
set -eu
cd "$(dirname "$0")/.."

# The queries were checked against a real database when they were written; a build needs none.
export SQLX_OFFLINE=true

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo -n "$@"
    else
        return 1
    fi
}

counts_instructions() {
    [ $# -ne 0 ] || return 0
    case " $* " in *" instructions "*) return 0 ;; esac
    return 1
}

install_valgrind() {
    if ! have apt-get; then
        echo 'bench: valgrind is missing: install it, or name other parts: scripts/bench.sh laps freshness backlog sockets start' >&2
        exit 1
    fi
    echo 'bench: installing valgrind'
    as_root apt-get update -q &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends valgrind </dev/null ||
        { echo 'bench: valgrind could not be installed: it needs root' >&2; exit 1; }
}

if counts_instructions "$@" && ! { have valgrind && have callgrind_control; }; then
    install_valgrind
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
