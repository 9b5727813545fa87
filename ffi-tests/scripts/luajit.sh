#!/bin/sh
# luajit.sh ROOT LIB: with_luajit.lua, if LuaJIT is there.
set -eu
if command -v luajit >/dev/null; then
    exec luajit "$(dirname "$0")/with_luajit.lua" "$1" "$2"
fi
echo "SKIPPED: luajit is not installed (make deps)"
exit 77
