#!/bin/sh
# doxygen.sh INCLUDE: Doxygen reads the headers without a warning, and would warn of what is missing:
# every function says what each parameter is and what it returns, every other item has a comment.
set -eu
if ! command -v doxygen >/dev/null; then
    echo "SKIPPED: doxygen is not installed (make deps)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Doxygen parses parameters for HTML only (seen in 1.9.4): without that, it warns of all.
read_headers() { # FILES
    doxygen - >"$work/out" 2>&1 <<CONFIG
INPUT = $*
OUTPUT_DIRECTORY = $work
GENERATE_LATEX = NO
HAVE_DOT = NO
QUIET = YES
OPTIMIZE_OUTPUT_FOR_C = YES
JAVADOC_AUTOBRIEF = YES
WARN_NO_PARAMDOC = YES
WARN_AS_ERROR = FAIL_ON_WARNINGS
MACRO_EXPANSION = YES
EXPAND_ONLY_PREDEF = YES
PREDEFINED = VSCHED_MUST_USE=
CONFIG
}
read_headers "$1"/*.h || { cat "$work/out" >&2; exit 1; }

mkdir "$work/include"
planted=$work/include/vsched.h
include=$1
plant() { # WORDS SED-SCRIPT
    sed "$2" "$include/vsched.h" >"$planted"
    if cmp -s "$include/vsched.h" "$planted"; then echo "$1: nothing to change" >&2; exit 1; fi
    if read_headers "$planted"; then echo "$1: no warning" >&2; exit 1; fi
    grep -q "$1" "$work/out" || { cat "$work/out" >&2; exit 1; }
}
plant "parameters of member vsched_scheduler_name are not documented" '0,/@param index/{/@param index/d}'
plant "return type of member vsched_status_text is not documented" '0,/@return A static/{/@return A static/d}'
plant "argument 'other' of command @param is not found" 's/@param status /@param other /'
plant "VSCHED_OK (macro definition) .* is not documented" 's|^/\*\* Success. \*/$||'
plant "Member active (variable) .* is not documented" 's|/\*\* Active connections. \*/||'
