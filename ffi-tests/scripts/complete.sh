#!/bin/sh
# complete.sh HEADER INTERFACE.SH A-PROGRAM DIRECTORY: every function of the header is called by a test
# program besides `null`, which gives NULL to all, `panic` and `hostile`; and these know them all.
# `service_ids` knows every function that takes a service's id.
set -eu
LC_ALL=C
export LC_ALL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sh "$2" "$1" "$work"
nm -D --defined-only "$work/libvsched.so" | sed -n 's/.* T \(vsched_.*\)/\1/p' | sort >"$work/all"
[ "$(wc -l <"$work/all")" -ge 59 ]
called() { nm -u "$@" | sed -n 's/^ *U \(vsched_[a-z_0-9]*\).*/\1/p' | sort -u; }
cd "$4"
set --
for program in *; do
    [ -x "$program" ] && [ -f "$program" ] || continue
    case $program in null | panic | hostile | san-* | *.*) ;; *) set -- "$@" "$program" ;; esac
done
status=0
missing() {
    if [ -s "$work/missing" ]; then
        echo "$1:" >&2
        cat "$work/missing" >&2
        status=1
    fi
}
called "$@" >"$work/called"
comm -23 "$work/all" "$work/called" >"$work/missing"
missing "called by no test program"
called panic >"$work/called"
comm -23 "$work/all" "$work/called" >"$work/missing"
missing "unknown to panic.c"
# Functions without a pointer have nothing to be NULL.
called hostile >"$work/called"
comm -23 "$work/all" "$work/called" >"$work/missing"
missing "unknown to ffi-tests/hostile"
grep '[(,] *\(struct \)\{0,1\}vsched_service_id[,)]' "$work/vsched.c" |
    sed 's/^[^(]*[ *]\(vsched_[a-z_0-9]*\) (.*/\1/' | sort >"$work/by_id"
[ "$(wc -l <"$work/by_id")" -ge 5 ] || { echo "functions by service id: $(cat "$work/by_id")" >&2; exit 1; }
called service_ids >"$work/called"
comm -23 "$work/by_id" "$work/called" >"$work/missing"
missing "unknown to service_ids.c"
called null >"$work/called"
comm -23 "$work/all" "$work/called" | grep -v '^vsched_\(status_text\|refusal_text\|abi_version\|version\|scheduler_name\|scheduler_summary\)$' >"$work/missing" || true
missing "unknown to null.c"
exit $status
