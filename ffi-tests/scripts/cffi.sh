#!/bin/sh
# cffi.sh ROOT LIB: with_cffi.py, if a Python with cffi is there.
set -eu
# Debian's package belongs to Debian's Python, which need not be the first.
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import cffi' 2>/dev/null; then
        exec "$python" -B "$(dirname "$0")/with_cffi.py" "$1" "$2"
    fi
done
echo "SKIPPED: python3-cffi is not installed (make deps)"
exit 77
