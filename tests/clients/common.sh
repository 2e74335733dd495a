#!/usr/bin/env bash
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# What the programs of Redis's own tools share; see scripts/clients.
set -euo pipefail

say() { echo "$*"; }
demand() {
    local what=$1
    shift
    "$@" || {
        echo "not so: $what" >&2
        exit 1
    }
}
is() { [[ $1 == "$2" ]] || { printf 'got: %s\nnot: %s\n' "$1" "$2" >&2; false; }; }
has() { [[ $1 == *"$2"* ]] || { printf 'got: %s\nwithout: %s\n' "$1" "$2" >&2; false; }; }

# at ADDRESS: sets `where`, the options by which the tools reach it.
at() {
    where=(-h "${1%:*}" -p "${1##*:}")
    if [[ -n $KV_PASSWORD ]]; then where+=(--user "$KV_USER" -a "$KV_PASSWORD"); fi
    if [[ -n $KV_CA ]]; then where+=(--tls --cacert "$KV_CA" --cert "$KV_CERT" --key "$KV_KEY"); fi
}
cli() { redis-cli "${where[@]}" "$@" 2>/dev/null; }
