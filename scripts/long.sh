#!/usr/bin/env bash
# Runs what takes too long for each change, one stage after the other, and goes on when one fails; ends with a table of results.
#
#   scripts/long.sh                 everything: about an hour and a half on two cores
#   scripts/long.sh chaos fuzz      some stages: install packages lint deny gateways examples frameworks scale chaos fuzz soak instructions
set -uo pipefail
cd "$(dirname "$0")/.."
STAGES_GO_ON=yes
. scripts/stages.sh

stages=(install packages lint deny gateways examples frameworks scale chaos fuzz soak instructions)

# The test suites whose names begin with one of these words, each again with what each change gets once.
suites() {
    scripts/with-servers.sh cargo test --workspace --features demo --test blackbox -- "$@"
}

# As README.md has it: from a fresh clone, with a DATABASE_URL that leads nowhere.
installed() {
    local place
    place=$(mktemp -d)
    git clone --quiet . "$place/tollgate" &&
        (
            cd "$place/tollgate" || exit
            export DATABASE_URL=postgres://nobody@127.0.0.1:1/nowhere
            command=$(sed -n 's/^ *\(cargo install --path [^#]*[^# ]\) *\(#.*\)\?$/\1/p' README.md)
            echo "$command"
            $command --root "$place" --target-dir "${CARGO_TARGET_DIR:-$OLDPWD/target}"
        ) &&
        "$place/bin/tollgate" --version &&
        ls -l "$place/bin/tollgate"
    local status=$?
    rm -rf "$place"
    return $status
}

# The field's own tools, against the same rules that scripts/dependencies.py keeps.
denied() {
    cargo install --quiet --locked --root target/tools cargo-deny cargo-machete &&
        target/tools/bin/cargo-deny --offline check licenses bans &&
        target/tools/bin/cargo-machete
}

run() {
    case "$1" in
    install) stage install installed ;;
    packages) stage packages scripts/packages.sh ;;
    lint) stage lint make lint ;;
    deny) stage deny denied ;;
    gateways) stage gateways scripts/gateways.sh ;;
    examples) stage examples suites examples:: ;;
    frameworks) stage frameworks scripts/frameworks.sh ;;
    scale) stage scale suites scale:: outage:: freshness:: running:: ;;
    chaos) stage chaos make chaos ;;
    fuzz) stage fuzz make fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-300}" ;;
    soak) stage soak make soak ;;
    instructions) stage instructions make instructions ;;
    *)
        echo "long: there is no stage $1: there are ${stages[*]}" >&2
        exit 2
        ;;
    esac
}

[ $# -gt 0 ] || set -- "${stages[@]}"
for name in "$@"; do
    run "$name"
done
