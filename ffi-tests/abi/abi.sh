#!/bin/sh
# abi.sh check|write HEADER [BASELINE]: the ABI of the header against the committed one, by libabigail.
#
# What exists may not change or vanish while VSCHED_ABI_VERSION is the same; growing.abignore says
# what may grow. `check` fails on additions, too, until `write` has recorded them.
set -eu
here=$(dirname "$0")
what=$1
header=$2
baseline=${3:-$here/vsched.abi}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$here/interface.sh" "$header" "$work"
abidw --no-corpus-path --no-comp-dir-path --no-elf-needed --no-show-locs --no-parameter-names \
    --type-id-style hash --out-file "$work/now" "$work/libvsched.so"
soname() { sed -n "s/.* soname='\([^']*\)'.*/\1/p" "$1"; }

if [ -f "$baseline" ] && [ "$(soname "$baseline")" = "$(soname "$work/now")" ]; then
    if ! abidiff --no-added-syms --suppressions "$here/growing.abignore" "$baseline" "$work/now"; then
        echo "changed or gone, with the same VSCHED_ABI_VERSION" >&2
        exit 1
    fi
elif [ "$what" = check ]; then
    echo "another VSCHED_ABI_VERSION than the recorded one: make abi" >&2
    exit 1
fi
case $what in
write) cp "$work/now" "$baseline" ;;
check)
    if ! abidiff --harmless "$baseline" "$work/now"; then
        echo "added, but not recorded yet: make abi" >&2
        exit 1
    fi
    ;;
esac
