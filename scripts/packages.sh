#!/usr/bin/env bash
# Holds the packaging in config/ against the tools of its field, builds what `make dist` does, and installs the package on a clean Debian
# that systemd-nspawn boots: tests/packages/installed.sh says what happens there.
#
#   scripts/packages.sh                                as for production: a release build
#   BINARY=target/debug/tollgate scripts/packages.sh   with one that is built already
#
# Needs root, for debootstrap and systemd-nspawn.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo 'packages: a clean Debian is made and booted by root alone: run it as root' >&2; exit 1; }
scripts/install.sh packages
tools=${CARGO_TARGET_DIR:-$PWD/target}/tools
PATH=$PATH:/usr/sbin

echo 'packages: checks what stands in config/'
"$tools/python/bin/hadolint" config/docker/Dockerfile
"$tools/npm/node_modules/.bin/dclint" config/docker/compose.yaml --max-warnings 0 --disable-rule service-keys-order services-alphabetical-order
"$tools/python/bin/kubernetes-validate" --quiet --strict config/kubernetes/*.yaml
shellcheck config/systemd/hand-over config/debian/p* tests/packages/*.sh scripts/dist.sh scripts/packages.sh scripts/install.sh

scripts/dist.sh

place=$(mktemp --directory)
machine=''
# Nothing in the machine is worth being stopped in order: systemd-nspawn kills all of it.
trap '[ -z "$machine" ] || { kill "$machine" && wait "$machine"; } 2>/dev/null || true; rm -rf "$place"' EXIT
mkdir "$place/packages"
cp target/dist/*.deb "$place/packages/first.deb"
# The same again, as the next version.
dpkg-deb --raw-extract "$place/packages/first.deb" "$place/second"
sed --in-place 's/^Version: .*/&+next/' "$place/second/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip -z1 --build "$place/second" "$place/packages/second.deb" >/dev/null
lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$place/packages/first.deb"

# Made once; each run has what it changes there in memory.
release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
clean=$tools/$release
if [ ! -e "$clean" ]; then
    echo "packages: makes a clean Debian $release with PostgreSQL and Redis in $clean"
    rm -rf "$clean.new"
    debootstrap --variant=minbase \
        --include=systemd,systemd-sysv,dbus,adduser,ca-certificates,curl,man-db,postgresql,procps,python3,redis-server \
        "$release" "$clean.new" >"$place/debootstrap.log" || { tail -20 "$place/debootstrap.log" >&2; exit 1; }
    # Started by the test, in its order.
    rm -f "$clean.new"/etc/systemd/system/multi-user.target.wants/{postgresql,redis-server}.service
    cat >"$clean.new/etc/systemd/system/installed.service" <<'EOF'
[Unit]
Description=What is tried here

[Service]
Type=oneshot
ExecStart=/bin/bash /packages/installed.sh
StandardOutput=file:/packages/log
StandardError=file:/packages/log
ExecStopPost=/bin/sh -c 'echo $EXIT_STATUS >/packages/status'
EOF
    ln -s ../installed.service "$clean.new/etc/systemd/system/multi-user.target.wants/"
    mv "$clean.new" "$clean"
fi

echo 'packages: boots it, and installs the package there'
cp tests/packages/installed.sh "$place/packages/"
touch "$place/packages/log"
systemd-nspawn --quiet --register=no --keep-unit --boot --private-network --console=pipe --kill-signal=SIGKILL --volatile=overlay \
    --directory="$clean" --bind="$place/packages:/packages" </dev/null >"$place/console" 2>&1 &
machine=$!
left=900
while [ ! -s "$place/packages/status" ] && kill -0 $machine 2>/dev/null && [ $left -gt 0 ]; do
    left=$((left - 1))
    sleep 1
done
kill $machine 2>/dev/null || true
wait $machine 2>/dev/null || true
machine=''
cat "$place/packages/log"
[ "$(cat "$place/packages/status" 2>/dev/null)" = 0 ] || {
    tail -20 "$place/console" >&2
    echo 'packages: the package does not do on a clean Debian what it should' >&2
    exit 1
}
