#!/bin/sh
# interface.sh HEADER FOLDER: in the folder a library of empty functions, libvsched.so, with the
# interface that gcc reads in the header, for tools that read object code; and its source, vsched.c.
# Each constant becomes a function, whose parameter's type has that value.
set -eu
LC_ALL=C
export LC_ALL
header=$(realpath "$1")
cd "$2"
{
    echo "#include \"$header\""
    gcc -dM -E -x c "$header" | sort | sed -n '/__attribute__/d
        s/^#define \(VSCHED_[A-Z_0-9]*\) \(.*[^ ].*\)$/enum is_\1 { value_of_\1 = \2 };\
        void constant_\1(enum is_\1 value) { (void)value; }/p'
    gcc -aux-info prototypes -fsyntax-only -x c "$header"
    # Definitions of what the header itself declares, not of what it includes.
    sed -n '/vsched_/s/^\/\* [^ ]*\/vsched\.h:[0-9]*:NC \*\/ extern \(.*\);$/\1 { __builtin_trap(); }/p' prototypes
} >vsched.c
soname=$(sed -n 's/.*value_of_VSCHED_ABI_VERSION = \(.*\) };/libvsched.so.\1/p' vsched.c)
# Parameters without names: C23.
gcc -std=gnu2x -g -fdebug-prefix-map="$PWD=." -shared -fPIC -Wl,-soname,"$soname" vsched.c -o libvsched.so
