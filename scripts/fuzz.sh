#!/bin/sh
# Fuzzes the parsers of what strangers send, with stable Rust: libFuzzer, led by what code an input reaches.
#
#   scripts/fuzz.sh                     every target in fuzz/src/bin, FUZZ_SECONDS (60) each, FUZZ_JOBS (2) at a time
#   scripts/fuzz.sh record routes       only these
#   scripts/fuzz.sh repeat TARGET FILE  one input again, such as one of those in target/fuzz/artifacts
#
# FUZZ_SEED makes up the same inputs again, as far as time allows; without it every run makes up others.
# Starts from fuzz/corpus; what is found on the way is kept in target/fuzz/corpus, and the next run goes on from there.
# A target that fails leaves its input in target/fuzz/artifacts, and this script says so and fails.
set -eu
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
jobs=${FUZZ_JOBS:-2}
built=${CARGO_TARGET_DIR:-target}/debug

# Libraries are taken from the tests' build: with all packages, the feature and the dev-dependencies of those (`--examples`, of which
# there are none), cargo gives each library the same features.
build() {
    RUSTC_WORKSPACE_WRAPPER="$PWD/scripts/instrumented.sh" cargo build --workspace --features demo --examples "$@"
}

# program TARGET
program() { echo "fuzz-$1" | tr _ -; }

# The bounds of every run: bytes of an input, seconds for one, MiB of memory.
bounded() {
    target=$1
    shift
    "$built/$(program "$target")" -max_len=4096 -timeout=5 -rss_limit_mb=2048 -artifact_prefix="target/fuzz/artifacts/$target-" "$@"
}

# one TARGET: called once for each target, by xargs.
one() {
    found=target/fuzz/corpus/$1
    log=target/fuzz/logs/$1.log
    mkdir -p "$found"
    status=0
    # shellcheck disable=SC2086 # nothing, or one word
    bounded "$1" ${FUZZ_SEED:+-seed=$FUZZ_SEED} -max_total_time="$seconds" -dict="fuzz/dictionaries/$1.dict" -print_final_stats=1 -verbosity=1 \
        "$found" "fuzz/corpus/$1" >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 60 "$log" >&2
        echo "fuzz: $1 failed, see above and $log" >&2
        sed -n "s/.*Test unit written to /fuzz: the same again: scripts\/fuzz.sh repeat $1 /p" "$log" >&2
        return 1
    fi
    of() { sed -n "s/^stat::$1: *//p" "$log"; }
    cover() { sed -n "s/^#[0-9]*[[:space:]]*$1.* cov: \([0-9]*\).*/\1/p" "$log" | tail -n 1; }
    printf '%-18s %9s runs %7s a second   coverage %5s -> %5s   %s MiB\n' "$1" "$(of number_of_executed_units)" \
        "$(of average_exec_per_sec)" "$(cover INITED)" "$(cover DONE)" "$(of peak_rss_mb)"
}

mkdir -p target/fuzz/artifacts target/fuzz/logs
case "${1:-}" in
one)
    one "$2"
    exit
    ;;
repeat)
    build --bin "$(program "$2")"
    bounded "$2" "$3"
    exit
    ;;
esac

if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046 # the names of targets are single words
    set -- $(basename -s .rs fuzz/src/bin/*.rs)
fi
# shellcheck disable=SC2046 # one word each
build $(for target in "$@"; do echo --bin "$(program "$target")"; done)
printf '%s\n' "$@" | xargs -n 1 -P "$jobs" scripts/fuzz.sh one ||
    { echo 'fuzz: a target failed' >&2; exit 1; }
