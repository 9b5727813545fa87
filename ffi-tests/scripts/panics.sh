#!/bin/sh
# panics.sh PROGRAM HEADER INTERFACE.SH: every function but the seven that guard nothing panics and goes on; what
# is lost by a panic is its payload of 16 bytes, nothing else.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sh "$3" "$2" "$work"
wanted=$(($(nm -D --defined-only "$work/libvsched.so" | grep -c ' T vsched_') - 7))
valgrind --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=none --log-file="$work/valgrind" \
    "$1" >"$work/out" 2>"$work/err" || { cat "$work/err" "$work/valgrind" >&2; exit 1; }
[ "$(cat "$work/out")" = "functions $wanted" ] || {
    echo "$(cat "$work/out"), but the header has $wanted" >&2
    exit 1
}
# One panic more than functions: the program forces vsched_config_clear twice.
panics=$((wanted + 1))
# Numbers above 999 have commas.
sed -i "s/\([0-9]\),\([0-9]\)/\1\2/g" "$work/valgrind"
[ "$(grep -c 'forced by a test' "$work/err")" = $panics ] || { cat "$work/err" >&2; exit 1; }
grep -q "definitely lost: $((panics * 16)) bytes in $panics blocks" "$work/valgrind" &&
    grep -q 'indirectly lost: 0 bytes' "$work/valgrind" &&
    grep -q 'possibly lost: 0 bytes' "$work/valgrind" || { cat "$work/valgrind" >&2; exit 1; }
