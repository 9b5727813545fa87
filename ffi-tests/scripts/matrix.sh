#!/bin/sh
# matrix.sh ROOT LIB: every program compiles as C99, C11 and C++17 with gcc and clang, without a
# warning; one of them runs in each, linked with the shared and with the static library.
set -eu
root=$1
lib=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict="-Wall -Wextra -Wpedantic -Werror -I$root/include"
native="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc"
one() { # COMPILER LANGUAGE STANDARD
    at=$work/$1-$3
    mkdir "$at"
    # Checks of standards, not of optimisers: -O0.
    for source in "$root"/ffi-tests/programs/*.c; do
        "$1" -x "$2" -std="$3" $strict -O0 -c "$source" -o "$at/$(basename "$source" .c).o" || exit 1
    done
    "$1" "$at/leases.o" -L"$lib" -lvsched -Wl,-rpath,"$lib" -o "$at/shared"
    "$1" "$at/leases.o" "$lib/libvsched.a" $native -o "$at/static"
    "$at/shared"
    "$at/static"
    nm "$at/static" | grep -q ' T vsched_worker_open$'
}
(one gcc c c99 && one gcc c c11 && one g++ c++ c++17) &
first=$!
(one clang c c99 && one clang c c11 && one clang++ c++ c++17) &
second=$!
status=0
wait $first || status=1
wait $second || status=1
exit $status
