#!/usr/bin/env bash
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# redis-cli, alone and with -c; see scripts/clients.
where=()
# shellcheck disable=SC1091
. "${BASH_SOURCE[0]%/*}/common.sh"
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
at "$KV_LEADER"

for protocol in -2 -3; do
    key=$KV_NAME:$protocol:
    demand "SET says OK" is "$(cli "$protocol" SET "${key}a" 1)" OK
    demand "GET answers what was set" is "$(cli "$protocol" GET "${key}a")" 1
    demand "an absent key is nil" is "$(cli "$protocol" --no-raw GET "${key}none")" '(nil)'
    demand "a failed condition is nil" is "$(cli "$protocol" --no-raw SET "${key}a" 2 NX)" '(nil)'
    demand "an error is one" has "$(cli "$protocol" --no-raw INCR "$key" x)" '(error) ERR wrong number'
    demand "-e tells by its status" is "$(cli "$protocol" -e NONE >/dev/null || echo "$?")" 1
    say "values, errors: RESP${protocol:1}"
done
demand "HELLO 3 answers a map" has "$(cli -3 --no-raw HELLO)" '1# "server" => "kv"'
demand "--json reads RESP3" has "$(cli -3 --json HELLO)" '"proto":3'

# Two megabytes of any bytes, from a file to a file.
head -c 2000000 /dev/urandom >"$files/large"
demand "-x takes a large value" is "$(cli -x SET "$KV_NAME:large" <"$files/large")" OK
cli GET "$KV_NAME:large" | head -c 2000000 >"$files/answer"
demand "a large value comes back" cmp "$files/large" "$files/answer"

for i in {1..1000}; do printf 'SET %s:pipe:%s %s\r\n' "$KV_NAME" "$i" "$i"; done >"$files/pipe"
demand "--pipe" has "$(cli --pipe <"$files/pipe")" 'errors: 0, replies: 1000'
demand "all went through the pipe" is "$(cli GET "$KV_NAME:pipe:1000")" 1000
say "--pipe, -x"

answers=$(printf '%s\n' MULTI "SET $KV_NAME:a 1" "INCR $KV_NAME:a" EXEC | cli)
demand "a transaction" is "$answers" $'OK\nQUEUED\nQUEUED\nOK\n2'
say "transaction"

# A name and its answer are of one connection.
names=$(printf '%s\n' 'CLIENT SETNAME a-name' 'CLIENT GETNAME' 'CLIENT SETINFO LIB-NAME x' | cli)
demand "a connection has its name" is "$names" $'OK\na-name\nOK'
demand "--latency" has "$(cli --latency --raw -i 0.2)" ' '
# It goes on for ever, once a time.
stat=$( (timeout 5 redis-cli "${where[@]}" --stat -i 0.1 2>/dev/null || true) | head -n 2)
demand "--stat goes on" is "$(wc -l <<<"$stat")" 2
demand "--scan" has "$(cli --scan --pattern "$KV_NAME:pipe:1000")" "$KV_NAME:pipe:1000"
demand "--bigkeys" has "$(cli --bigkeys)" 'Biggest string found'
say "--scan, --bigkeys"
demand "--cluster check" has "$(cli --cluster check "$KV_LEADER")" 'All 16384 slots covered'
demand "--cluster call" has "$(cli --cluster call "$KV_LEADER" PING)" "$KV_FOLLOWER: PONG"
say "--latency, --stat, --cluster"

if [[ -n $KV_PASSWORD ]]; then
    demand "a wrong password" has "$(redis-cli "${where[@]}" -a wrong PING 2>&1)" WRONGPASS
fi
at "$KV_FOLLOWER"
demand "a follower says where to go" has "$(cli SET "$KV_NAME" x)" 'MOVED 0 '
demand "-c goes there" is "$(cli -c SET "$KV_NAME" x)" OK

# Writes until told to stop; then all that was acknowledged has to be there. Each time it asks the
# next node, which may be dead.
IFS=, read -ra nodes <<<"$KV_NODES"
written=0
until [[ -e $KV_STOP ]]; do
    deadline=$((SECONDS + 30))
    for ((i = written; ; ++i)); do
        at "${nodes[i % 3]}"
        if [[ $(timeout 5 redis-cli "${where[@]}" -c SET "$KV_NAME:follow:$written" "$written" \
            2>/dev/null) == OK ]]; then break; fi
        demand "a write is done within 30 s" test "$SECONDS" -lt "$deadline"
        sleep 0.02
    done
    written=$((written + 1))
    say "acknowledged $written"
done
# -c for the first question finds the leader, with which the session stays.
values=$(for ((i = 0; i < written; ++i)); do echo "GET $KV_NAME:follow:$i"; done | cli -c)
demand "all writes are there" is "$(grep -v '^->' <<<"$values")" "$(seq 0 $((written - 1)))"
say "done"
