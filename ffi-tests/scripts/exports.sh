#!/bin/sh
# exports.sh HEADER INTERFACE.SH LIBRARY: the library exports the functions of the header and nothing
# else; it needs libc and libgcc_s only, and imports nothing that would change the process.
set -eu
LC_ALL=C
export LC_ALL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sh "$2" "$1" "$work"
nm -D --defined-only "$work/libvsched.so" | sed -n 's/.* T \(vsched_.*\)/\1/p' | sort >"$work/header"
nm -D --defined-only "$3" | awk '{ print $3 }' | sort >"$work/library"
diff "$work/header" "$work/library" >&2
soname=$(readelf -d "$3" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
wanted=$(readelf -d "$work/libvsched.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[ "$soname" = "$wanted" ] || { echo "soname $soname" >&2; exit 1; }
if readelf -d "$3" | grep -E 'NEEDED' | grep -vE 'libc\.so|libgcc_s\.so|ld-linux'; then exit 1; fi
if readelf -d "$3" | grep -E 'RPATH|RUNPATH'; then exit 1; fi
# What would start threads or processes, install handlers, register exits or change settings.
# std itself imports pthread_key_create and __cxa_thread_atexit_impl (destructors of thread-locals:
# program `quiet` sees that none is registered) and write, open64, getcwd (text of a panic).
nm -D --undefined-only "$3" | awk '{ sub(/@.*/, "", $2); print $2 }' >"$work/imports"
if grep -xE 'pthread_create|clone|fork|vfork|execv.*|posix_spawn.*|system|signal|sigaction|sigaltstack|sigprocmask|pthread_sigmask|pthread_atfork|atexit|on_exit|__cxa_atexit|__cxa_at_quick_exit|exit|_exit|setenv|putenv|unsetenv|setlocale|chdir|umask|setrlimit|prctl|printf|puts|fwrite|fopen|socket' "$work/imports" >&2; then
    echo "imported" >&2
    exit 1
fi
grep -qx malloc "$work/imports"
