#!/bin/sh
# Compiles our own crates for libFuzzer: scripts/fuzz.sh names it as cargo's RUSTC_WORKSPACE_WRAPPER, so that libraries are
# those that the tests were built with. Called as `instrumented.sh rustc ARGUMENT...`.
set -eu

case " $* " in
*' --crate-name build_script_build '*) exec "$@" ;;
esac
# What `cargo fuzz` passes, without the sanitizers: those need a nightly compiler, and this code has nothing unsafe. More
# optimization costs more in building than it gives in runs: one minute is short.
exec "$@" -Copt-level=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing
