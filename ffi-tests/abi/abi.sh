#!/bin/sh
# abi.sh check|write HEADER: the ABI of the header against the committed list beside this script.
#
# What exists may not change or vanish while VSCHED_ABI_VERSION is the same; structs that say their
# size may grow. `check` fails on additions, too, until `write` has recorded them.
set -eu
LC_ALL=C
export LC_ALL
here=$(dirname "$0")
what=$1
header=$2
list=${3:-$here/vsched.abi}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

awk -v want=program -f "$here/abi.awk" "$header" >"$work/sizes.c"
${CC:-cc} -I"$(dirname "$header")" "$work/sizes.c" -o "$work/sizes"
{
    echo "# The ABI of include/vsched.h on 64-bit machines; \`make abi\` writes this."
    awk -v want=list -f "$here/abi.awk" "$header"
    "$work/sizes"
} >"$work/now"

[ -f "$list" ] || { [ "$what" = write ] && : >"$list"; }
number() { sed -n 's/^constant VSCHED_ABI_VERSION //p' "$1"; }
sort "$list" >"$work/was.sorted"
sort "$work/now" >"$work/now.sorted"
comm -23 "$work/was.sorted" "$work/now.sorted" >"$work/gone"
comm -13 "$work/was.sorted" "$work/now.sorted" >"$work/new"

# A larger size of a struct that may grow is no change.
awk 'new { if ($1 == "struct" && $NF == "grows") { size[$2] = $4; align[$2] = $6 } next }
     $1 == "struct" && $NF == "grows" && ($2 in size) && size[$2] > $4 && align[$2] == $6 { next }
     { print }' new=1 "$work/new" new=0 "$work/gone" >"$work/broken"

if [ -s "$work/broken" ] && [ "$(number "$list")" = "$(number "$work/now")" ]; then
    echo "changed or gone, with the same VSCHED_ABI_VERSION:" >&2
    cat "$work/broken" >&2
    exit 1
fi
case $what in
write) cp "$work/now" "$list" ;;
check)
    if ! cmp -s "$list" "$work/now"; then
        echo "not recorded yet (make abi):" >&2
        diff "$list" "$work/now" >&2 || true
        exit 1
    fi
    ;;
esac
