#!/usr/bin/env bash
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# redis-benchmark: what kv-server has of its tests; see scripts/clients.
where=()
# shellcheck disable=SC1091
. "${BASH_SOURCE[0]%/*}/common.sh"
at "$KV_LEADER"

# bench NAME... -- OPTION...: the tests have these names in the table.
bench() {
    local names=()
    while [[ $1 != -- ]]; do
        names+=("$1")
        shift
    done
    shift
    local table
    # It warns where there is no CONFIG GET to read.
    table=$(timeout 60 redis-benchmark "${where[@]}" --csv -n 500 -c 20 "$@" 2>&1)
    for name in "${names[@]}"; do demand "$* measures $name" has "$table" "\"$name\","; done
    demand "$* warns of nothing" is "$(grep -i 'warn\|error' <<<"$table" || true)" ''
    say "redis-benchmark $*"
}
bench PING_INLINE PING_MBULK SET GET INCR "MSET (10 keys)" -- -t ping,set,get,incr,mset
bench SET GET -- -t set,get -3
bench SET GET -- -t set,get -P 16 -r 1000 --threads 2
bench "SET key:__rand_int__ value" -- -r 100 SET key:__rand_int__ value
say "done"
