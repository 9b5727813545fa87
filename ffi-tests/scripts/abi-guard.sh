#!/bin/sh
# abi-guard.sh HEADER DIRECTORY: abi.sh refuses what it should, on changed copies of the header.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/include"
changed=$work/include/vsched.h
try() { # WHAT CHECK WRITE SED-SCRIPT
    sed -E "$4" "$header" >"$changed"
    if cmp -s "$header" "$changed"; then echo "$1: nothing to change" >&2; exit 1; fi
    for mode in check write; do
        cp "$directory/vsched.abi" "$work/list"
        got=0
        sh "$directory/abi.sh" $mode "$changed" "$work/list" >/dev/null 2>&1 || got=1
        wanted=$2
        [ $mode = check ] || wanted=$3
        [ $got = "$wanted" ] || { echo "$1: $mode answers $got, not $wanted" >&2; exit 1; }
    done
}
header=$1
directory=$2
try "a constant changes" 1 1 's/^(#define VSCHED_STALE) 3/\1 5/'
try "a constant goes" 1 1 '/^#define VSCHED_FULL/d'
try "a parameter changes" 1 1 '/vsched_director_tick/,/;/s/uint64_t/uint32_t/'
try "a field changes" 1 1 's/uint16_t tunnel_port;/uint32_t tunnel_port;/'
try "a field moves" 1 1 's/^    uint32_t tunnel_checksum;/    uint32_t first;\n&/'
try "a fixed struct grows" 1 1 's/^} vsched_lease;/    uint64_t more;\n&/'
try "a struct that may grow shrinks" 1 1 '/^    uint32_t affinity_expiration;/d'
try "a struct grows at its end" 1 0 's/^} vsched_settings;/    uint64_t more;\n&/'
try "a constant comes" 1 0 's/^#define VSCHED_STALE 3/&\n#define VSCHED_LATER 77/'
try "a function comes" 1 0 's/^void vsched_worker_free.*/&\nvoid vsched_worker_rest(struct vsched_worker *worker);/'
try "a function goes" 1 1 '/^void vsched_worker_free/d'
try "a function goes with a new number" 1 0 's/^(#define VSCHED_ABI_VERSION) 1/\1 2/; /^void vsched_worker_free/d'
# Names of parameters are not the ABI.
sed 's/struct vsched_worker \*worker/struct vsched_worker *hand/' "$header" >"$changed"
sh "$directory/abi.sh" check "$changed"
