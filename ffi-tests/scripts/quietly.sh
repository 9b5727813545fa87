#!/bin/sh
# quietly.sh PROGRAM LIBRARY: between the markers of `quiet` the library asks the system for memory
# and randomness only, and on the hot path for nothing; loading and leaving it does nothing either.
set -eu
LC_ALL=C
export LC_ALL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strace -f -o "$work/trace" "$1" >"$work/out" 2>"$work/err"
strace -f -o "$work/baseline" "$1" nothing
[ ! -s "$work/out" ] && [ ! -s "$work/err" ] || { echo "printed something" >&2; exit 1; }
calls() { sed -E 's/^[0-9]+ +//' | sed -n -E 's/^([a-z_0-9]+)\(.*/\1/p'; }
between() { sed -n "/getpriority(.*900$1)/,/getpriority(.*900$2)/p" "$work/trace" | calls | grep -v getpriority || true; }
[ "$(grep -c 'getpriority(.*900[1-4])' "$work/trace")" = 4 ]

between 1 2 >"$work/control"
between 3 4 >>"$work/control"
# It would be seen: hash keys are drawn when the first config is made.
grep -q getrandom "$work/control"
if grep -vxE 'brk|mmap|munmap|mremap|madvise|getrandom' "$work/control" >&2; then
    echo "called on the control plane" >&2
    exit 1
fi
between 2 3 >"$work/hot"
if [ -s "$work/hot" ]; then
    cat "$work/hot" >&2
    echo "called on the hot path" >&2
    exit 1
fi
# Before the first and behind the last marker: as a program that calls nothing.
sed -n '/getpriority(.*9001)/,/getpriority(.*9004)/!p' "$work/trace" | calls >"$work/outside"
calls <"$work/baseline" >"$work/nothing"
diff "$work/nothing" "$work/outside" >&2
# And that one, with the library loaded, starts and installs nothing.
if grep -E 'clone|fork|vfork|rt_sigaction|sigaltstack|rt_sigprocmask|socket|write' "$work/nothing" >&2; then
    exit 1
fi
