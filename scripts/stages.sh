# Runs stages one after the other, and prints at the end how long each took. To be sourced by a Bash script:
#
#   . scripts/stages.sh
#   stage tests make test
#
# The table is printed however the script ends. A stage that fails ends the script, unless STAGES_GO_ON is set: then the
# other stages run as well, and the script fails at its end.

stages_table=()
stages_failed=''

# stage NAME COMMAND [ARGUMENT]...
stage() {
    local name=$1 status=0 began=$SECONDS
    shift
    printf '\n==> %s: %s\n' "$name" "$*"
    "$@" || status=$?
    stages_table+=("$(printf '%-24s %6d s   %s' "$name" $((SECONDS - began)) "$([ $status -eq 0 ] && echo ok || echo "FAILED ($status)")")")
    if [ $status -ne 0 ]; then
        stages_failed="$stages_failed $name"
        [ -n "${STAGES_GO_ON:-}" ] || exit $status
    fi
}

stages_end() {
    local status=$?
    printf '\n%s\n' "${stages_table[@]}"
    printf '%-24s %6d s\n' 'in all' "$SECONDS"
    if [ -n "$stages_failed" ]; then
        echo "failed:$stages_failed"
        [ $status -ne 0 ] || status=1
    fi
    exit $status
}
trap stages_end EXIT
