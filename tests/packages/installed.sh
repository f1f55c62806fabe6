#!/bin/bash
# Run by systemd on a clean Debian, booted by scripts/packages.sh: installs the package, runs what it brings against a real PostgreSQL and
# a real Redis, upgrades it, removes it and purges it. /packages has first.deb and second.deb, which differ by their version alone.
set -euo pipefail

config=/etc/tollgate/tollgate.toml
gate=http://127.0.0.1:80
export DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

said() { printf '\n--- %s\n' "$*"; }
die() {
    echo "FAILED: $*" >&2
    journalctl --no-pager --quiet --lines=60 --unit tollgate --unit tollgate-next >&2 || true
    exit 1
}
# is EXPECTED ACTUAL WHAT
is() { [ "$1" = "$2" ] || die "$3 is $2, not $1"; }
# soon WHAT COMMAND...: until the command succeeds, for a minute at most.
soon() {
    local what=$1 left=120
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || die "$what within a minute"
        sleep 0.5
    done
}
status() { curl --silent --output /dev/null --write-out '%{http_code}' --max-time 20 "$@"; }
state() { systemctl show --property=ActiveState --value "$1"; }
pid() { systemctl show --property=MainPID --value tollgate; }
install() { apt-get install --yes --quiet --no-install-recommends "$1"; }
# As an operator: with the secrets of the service, and the rights of its user.
ours() {
    systemd-run --quiet --pipe --wait --property=User=tollgate --property=EnvironmentFile=/etc/tollgate/.env \
        /usr/bin/tollgate "$@" --config $config
}

said 'The package starts nothing, and has nothing that runs as root'
install /packages/first.deb
is inactive "$(state tollgate)" 'the service after the installation'
is disabled "$(systemctl is-enabled tollgate || true)" 'the service at the next boot'
is 'root:tollgate 750' "$(stat --format='%U:%G %a' /etc/tollgate)" '/etc/tollgate'
id tollgate
tollgate --version
man --where tollgate tollgate-run
systemd-analyze verify tollgate.service tollgate-next.service
systemd-analyze security --no-pager tollgate.service | tail -1
systemctl start tollgate
is inactive "$(state tollgate)" 'the service without a configuration'

said 'It runs as its own user, with its configuration and its secrets'
systemctl start postgresql redis-server
soon 'PostgreSQL answers' runuser --user postgres -- psql --command 'select 1'
runuser --user postgres -- psql --quiet --command "create role tollgate login password 'only-here'" \
    --command 'create database tollgate owner tollgate'
cp /usr/share/doc/tollgate/examples/catalog.toml /etc/tollgate/
cat >$config <<'EOF'
catalog = "catalog.toml"

[site]
url = "http://127.0.0.1"
upstream = ["127.0.0.1:3000"]

[listen]
public = "127.0.0.1:80"

[shutdown]
handover = "/run/tollgate/handover"

[[route]]
path = "/premium/**"
require = { tier = "paid" }
EOF
umask 077
cp /usr/share/doc/tollgate/examples/env.example /etc/tollgate/.env
set_secret() { sed --in-place "s|^$1=.*|$1=$2|" /etc/tollgate/.env; }
set_secret TOLLGATE_JWT_SECRET "dev-$(od --address-radix=n --read-bytes=32 --format=x1 /dev/urandom | tr --delete ' \n')"
set_secret TOLLGATE_ASSERTION_KEY "$(od --address-radix=n --read-bytes=32 --format=x1 /dev/urandom | tr --delete ' \n')"
set_secret DATABASE_URL postgres://tollgate:only-here@127.0.0.1/tollgate
set_secret REDIS_URL redis://127.0.0.1/
umask 022
mkdir -p /srv/site/premium
echo 'for everybody' >/srv/site/index.html
echo 'for those who paid' >/srv/site/premium/today
systemd-run --quiet --unit=site python3 -m http.server 3000 --bind 127.0.0.1 --directory /srv/site
systemctl enable --now tollgate
soon 'the gate is ready' tollgate healthcheck --config $config
is tollgate "$(ps -o user= -p "$(pid)")" 'the user'
grep 'Max open files' "/proc/$(pid)/limits"
grep -E '^(NoNewPrivs|Seccomp|CapEff)' "/proc/$(pid)/status"
curl --silent --fail http://127.0.0.1:9090/metrics | grep -E '^(process_open_fds|process_resident_memory_bytes|tollgate_build_info)'
token=$(ours token reader)
is 200 "$(status $gate/)" 'the public page'
is 401 "$(status $gate/premium/today)" 'a paid page for a stranger'
is 402 "$(status --cookie "session=$token" $gate/premium/today)" 'a paid page for an account that has not paid'
ours grant reader paid --days 3 --reason 'a test'
soon 'the grant is in force' curl --silent --fail --cookie "session=$token" $gate/premium/today
is 'for those who paid' "$(curl --silent --cookie "session=$token" $gate/premium/today)" 'the paid page'
journalctl --no-pager --quiet --output=cat --unit tollgate | grep 'tollgate is running'
journalctl --no-pager --quiet --output=cat --unit tollgate | grep -iE 'cannot be raised|cannot be forgone|panicked' && die 'the sandbox is too tight'

said 'systemctl reload puts a changed file in force, and a wrong one does not'
before=$(pid)
printf '\n[[route]]\npath = "/more/**"\nrequire = { signed_in = true }\n' >>$config
systemctl reload tollgate
answers_401() { [ "$(status $gate/more/x)" = 401 ]; }
soon 'the new rule is in force' answers_401
is "$before" "$(pid)" 'the process after a reload'

said 'An upgrade relieves the old process without a refused connection, and keeps what was configured'
echo 'RUST_LOG=info' >>/etc/default/tollgate
kept() { sha256sum $config /etc/tollgate/.env /etc/default/tollgate; stat --format='%U:%G %a %n' /etc/tollgate/.env; }
kept >/run/kept
(while [ ! -e /run/enough ]; do status $gate/ || true; echo; done >/run/answers) &
load=$!
install /packages/second.deb
soon 'the service runs' systemctl is-active --quiet tollgate
touch /run/enough
wait $load
[ "$before" != "$(pid)" ] || die 'the old process still runs'
kept | diff /run/kept -
sort /run/answers | uniq --count
is 200 "$(sort --unique /run/answers)" 'the set of answers during the upgrade'
is inactive "$(state tollgate-next)" 'the service that relieves'
dpkg --list tollgate | tail -1
tollgate healthcheck --config $config

said 'A version that cannot start leaves the old one running'
before=$(pid)
cp $config /run/good
sed --in-place 's|^upstream = .*|upstream = ["nowhere"]|' $config
! /usr/lib/tollgate/hand-over || die 'the hand-over succeeds with a wrong configuration'
is "$before" "$(pid)" 'the process after a failed hand-over'
is 200 "$(status $gate/)" 'the public page'
cat /run/good >$config

said 'The scripts of the package may run again'
dpkg-reconfigure tollgate
kept | diff /run/kept -
is active "$(state tollgate)" 'the service'

said 'It ends when it is told to'
systemctl stop tollgate
is success "$(systemctl show --property=Result --value tollgate)" 'the end'

said 'Removed, it leaves the configuration; purged, nothing but its user'
systemctl start tollgate
apt-get remove --yes --quiet tollgate
is inactive "$(state tollgate)" 'the service after the removal'
[ ! -e /usr/bin/tollgate ] || die 'the binary is still there'
kept | diff /run/kept - || die 'the configuration is another'
apt-get purge --yes --quiet tollgate
for gone in /etc/tollgate /etc/default/tollgate /run/tollgate /usr/lib/tollgate /usr/share/doc/tollgate \
    /etc/systemd/system/multi-user.target.wants/tollgate.service; do
    if [ -e $gone ] || [ -h $gone ]; then die "$gone is still there"; fi
done
systemctl --failed --no-legend --plain | grep tollgate && die 'a unit has failed'
said 'All is well'
