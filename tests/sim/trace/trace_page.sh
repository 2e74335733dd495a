#!/usr/bin/env bash
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# trace_page.sh <chromium> <trace_page>    Opens pages that <trace_page> writes: each must draw
#                                          itself, without an error, and know all its records.
set -euo pipefail
browser=$1
writer=$2
if [[ ! -x $browser ]]; then
    echo "no browser: $browser (scripts/install-deps --tests installs Chromium)"
    exit 1
fi
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

# open_page <name> <records> [<option of the writer>...]
open_page() {
    local name=$1 records=$2
    shift 2
    "$writer" "$@" >"$directory/$name.html"
    # A profile of its own, and no word to anybody outside.
    "$browser" --headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage \
        --no-first-run --disable-background-networking --disable-component-update \
        --disable-sync --user-data-dir="$directory/$name.profile" --window-size=1600,1000 \
        --enable-logging=stderr --v=0 --dump-dom "file://$directory/$name.html" \
        >"$directory/$name.dom" 2>"$directory/$name.log"
    if grep CONSOLE "$directory/$name.log"; then
        echo "$name: the page wrote to the console"
        exit 1
    fi
    local wanted
    for wanted in 'data-trace="ready"' "data-records=\"$records\""; do
        if ! grep -q "<html[^>]*$wanted" "$directory/$name.dom"; then
            echo "$name: no $wanted in: $(grep -m 1 '<html' "$directory/$name.dom")"
            exit 1
        fi
    done
}

open_page run 4448
open_page single 3 --single
open_page empty 0 --empty
grep -q 'violated: State machine safety' "$directory/run.dom"
grep -q 'no violation' "$directory/empty.dom"
