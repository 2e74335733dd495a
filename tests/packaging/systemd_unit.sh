#!/usr/bin/env bash
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# systemd_unit.sh <kv-server>    What systemd says of the unit: nothing wrong, and little exposed;
#                                and the server understands the options that the unit gives it.
set -euo pipefail
server=$1
packaging=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../packaging/systemd" && pwd)
if ! command -v systemd-analyze >/dev/null; then
    echo "no systemd-analyze (scripts/install-deps --tests installs systemd)"
    exit 1
fi
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

# The program is somewhere else here, and the network's target belongs to the system.
sed -e "s|/usr/bin/kv-server|$server|" -e '/network-online/d' \
    "$packaging/kv-server@.service" >"$directory/kv-server@.service"
complaints=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no \
    "$directory/kv-server@1.service" 2>&1 || echo "verify: exit status $?")
if [[ -n $complaints ]]; then
    echo "systemd-analyze verify: $complaints"
    exit 1
fi

# 0 is nothing exposed, 10 everything; a unit that says nothing has 9.6.
if ! report=$(systemd-analyze security --offline=yes --threshold=15 \
    "$directory/kv-server@1.service" 2>&1); then
    echo "$report" | tail -n 5
    exit 1
fi

# The variables as systemd puts them in: $NAME word by word.
set -a
# shellcheck source=/dev/null
source <(sed -e '/^#/d' -e '/^$/d' -e 's/=\(.*\)/="\1"/' "$packaging/kv-server.env")
set +a
# What it cannot do is found a node where no directory can be; what it does not understand, it says.
# shellcheck disable=SC2086,SC2153
said=$("$server" --id 1 --data /dev/null/data --listen "$LISTEN" --peer "$PEER" $FOUNDING \
    $OPTIONS 2>&1 || true)
if [[ $said != *"cannot start: "*"/dev/null/data"* ]]; then
    echo "kv-server does not understand what the unit says: $said"
    exit 1
fi
