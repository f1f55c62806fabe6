#!/bin/sh
# Runs a command with a private Postgres and a private Redis, and removes both when it ends.
#
#   scripts/with-servers.sh cargo test --workspace
#
# Sets DATABASE_URL and REDIS_URL; a server whose variable is already set is not started. Several runs at once are
# fine. The servers hang on a pipe that this process holds open: however it ends, even by `kill -9`, they stop and
# their directory goes.
set -eu

if [ $# -eq 0 ]; then
    echo 'usage: scripts/with-servers.sh COMMAND [ARGUMENT]...' >&2
    exit 2
fi
if [ -n "${DATABASE_URL:-}" ] && [ -n "${REDIS_URL:-}" ]; then
    exec "$@"
fi

# In memory, where there is plenty: nothing outlives the command, and a busy disk makes nobody wait.
place=/tmp
if [ "$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')" -gt 8000000 ] 2>/dev/null; then
    place=/dev/shm
fi
# Short, because the path of a Unix socket may have 107 bytes.
dir=$(mktemp -d "$place/tollgate-servers.XXXXXX")
mkfifo "$dir/leash" "$dir/urls"

# as_owner COMMAND...: Postgres refuses to run as root.
as_owner() {
    if [ "$(id -u)" -ne 0 ]; then
        exec "$@"
    fi
    exec setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups "$@"
}

random_port() { shuf -i 10000-32000 -n 1; }

# wait_for PID COMMAND...: until the command succeeds; fails when the process ends or 30 s have passed.
wait_for() {
    process=$1
    shift
    tries=300
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! kill -0 "$process" 2>/dev/null; then
            return 1
        fi
        sleep 0.1
    done
}

find_postgres() {
    if command -v initdb >/dev/null && command -v postgres >/dev/null; then
        return
    fi
    for bin in /usr/lib/postgresql/*/bin; do
        [ -x "$bin/initdb" ] && PATH="$bin:$PATH"
    done
    command -v initdb >/dev/null || { echo 'with-servers: there is no initdb: run scripts/install.sh' >&2; return 1; }
}

start_postgres() {
    find_postgres
    owner=nobody
    ! id postgres >/dev/null 2>&1 || owner=postgres
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s' "$password" >"$dir/password"
    mkdir "$dir/postgres"
    [ "$(id -u)" -ne 0 ] || chown -R "$owner" "$dir"
    # The password is asked for in clear: on loopback nobody listens, and a client that is built without optimization
    # takes a tenth of a second for each of SCRAM's handshakes.
    (as_owner initdb --pgdata="$dir/postgres" --username=tollgate --pwfile="$dir/password" --no-sync \
        --auth=password --encoding=UTF8 --no-locale >"$dir/initdb.log" 2>&1) || { cat "$dir/initdb.log" >&2; return 1; }
    for _ in 1 2 3 4 5; do
        port=$(random_port)
        # What it writes is thrown away, so nothing waits for the disk.
        (as_owner postgres -D "$dir/postgres" -p "$port" -c listen_addresses=127.0.0.1 \
            -c unix_socket_directories="$dir" -c max_connections=500 -c fsync=off -c full_page_writes=off \
            >"$dir/postgres.log" 2>&1) &
        postgres=$!
        if wait_for "$postgres" pg_isready -q -h "$dir" -p "$port"; then
            DATABASE_URL="postgres://tollgate:$password@127.0.0.1:$port/postgres"
            return
        fi
        kill -QUIT "$postgres" 2>/dev/null || true
        wait "$postgres" || true
    done
    cat "$dir/postgres.log" >&2
    return 1
}

start_redis() {
    for _ in 1 2 3 4 5; do
        port=$(random_port)
        redis-server --bind 127.0.0.1 --port "$port" --unixsocket "$dir/redis.sock" --dir "$dir" --save '' \
            --appendonly no >"$dir/redis.log" 2>&1 &
        redis=$!
        if wait_for "$redis" redis-cli -s "$dir/redis.sock" ping; then
            REDIS_URL="redis://127.0.0.1:$port"
            return
        fi
        kill "$redis" 2>/dev/null || true
        wait "$redis" || true
    done
    cat "$dir/redis.log" >&2
    return 1
}

# Starts the servers, tells their addresses, and stops them when the pipe on its input closes.
keep() {
    # A Ctrl-C reaches the whole group: the keeper outlives it, to clean up.
    trap '' INT TERM HUP
    cd "$dir"
    postgres='' redis='' failed=''
    if [ -z "${DATABASE_URL:-}" ]; then start_postgres || failed=yes; fi
    if [ -z "${REDIS_URL:-}$failed" ]; then start_redis || failed=yes; fi
    [ -n "$failed" ] || echo "$DATABASE_URL $REDIS_URL"
    exec >&-
    read -r _ || true
    [ -z "$postgres" ] || kill -QUIT "$postgres" 2>/dev/null || true
    [ -z "$redis" ] || kill "$redis" 2>/dev/null || true
    wait
    cd /
    rm -rf "$dir"
}

keep <"$dir/leash" >"$dir/urls" &
keeper=$!
exec 9>"$dir/leash"
read -r DATABASE_URL REDIS_URL <"$dir/urls" || { exec 9>&-; wait "$keeper"; exit 1; }
export DATABASE_URL REDIS_URL

status=0
"$@" 9>&- || status=$?
exec 9>&-
wait "$keeper"
exit "$status"
