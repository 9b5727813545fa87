#!/bin/sh
# documents.sh ROOT LIB: the C of the documents compiles as it stands and runs: the first ```c block
# of README.md, and every one of docs/embedding.md that has a main.
set -eu
root=$1
lib=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Blocks of a document, as files PREFIX1.c, PREFIX2.c, …
blocks() {
    awk -v prefix="$2" '/^```c$/ { inside = 1; count++; file = prefix count ".c"; printf "" >file; next }
                        /^```/ { inside = 0; next }
                        inside { print >file }' "$1"
}
run() {
    echo "$1"
    ${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror -I"$root/include" "$1" -o "$work/program" \
        -L"$lib" -lvsched -Wl,-rpath,"$lib"
    (cd "$work" && ./program)
}
blocks "$root/README.md" "$work/readme"
if [ -f "$work/readme1.c" ]; then
    run "$work/readme1.c"
elif [ -f "$root/docs/embedding.md" ]; then
    echo "README.md has no C example" >&2
    exit 1
else
    echo "SKIPPED: README.md has no C example yet, nor is there docs/embedding.md"
fi
[ -f "$root/docs/embedding.md" ] || exit 0
blocks "$root/docs/embedding.md" "$work/embedding"
for block in "$work"/embedding*.c; do
    [ -f "$block" ] || continue
    if grep -q 'int main' "$block"; then run "$block"; fi
done
