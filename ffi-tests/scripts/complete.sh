#!/bin/sh
# complete.sh HEADER ABI.AWK A-PROGRAM DIRECTORY: every function of the header is called by a test
# program besides `null`, which gives NULL to all, and `panic`; and `null` and `panic` know them all.
set -eu
LC_ALL=C
export LC_ALL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk -v want=list -f "$2" "$1" | sed -n 's/^function [^(]*[ *]\(vsched_[a-z_0-9]*\)(.*/\1/p' | sort >"$work/all"
[ "$(wc -l <"$work/all")" -ge 59 ]
called() { nm -u "$@" | sed -n 's/^ *U \(vsched_[a-z_0-9]*\).*/\1/p' | sort -u; }
cd "$4"
set --
for program in *; do
    [ -x "$program" ] && [ -f "$program" ] || continue
    case $program in null | panic | san-* | *.*) ;; *) set -- "$@" "$program" ;; esac
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
called null >"$work/called"
comm -23 "$work/all" "$work/called" | grep -v '^vsched_\(status_text\|abi_version\|version\|scheduler_name\|scheduler_summary\)$' >"$work/missing" || true
missing "unknown to null.c"
exit $status
