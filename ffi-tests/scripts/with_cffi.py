#!/usr/bin/env python3
"""with_cffi.py ROOT LIB: Python's cffi parses include/vsched-ffi.h as it stands and uses the library.

A C compiler then compares every declaration with that of vsched.h.
"""

import os
import re
import subprocess
import sys
import tempfile

import cffi

ROOT, LIB = sys.argv[1:]
RULES = b"-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 1\n"
KEY = b"tcp 192.0.2.1:80"


def header(name):
    with open(os.path.join(ROOT, "include", name), encoding="utf-8") as file:
        return file.read()


def ok(lib, status):
    assert status == lib.VSCHED_OK, status


def use(ffi, lib):
    """From rules to picks and connections, and back to nothing."""
    assert lib.vsched_abi_version() == lib.VSCHED_ABI_VERSION
    assert lib.VSCHED_DELETE_NONE == 2**32 - 1
    config_out = ffi.new("vsched_config **")
    ok(lib, lib.vsched_config_new(config_out))
    config = config_out[0]
    assert lib.vsched_config_read_rules(config, b"-Z", 2) == lib.VSCHED_E_PARSE
    ok(lib, lib.vsched_config_read_rules(config, RULES, len(RULES)))

    # struct_size: a struct that says its size is read, one that does not is refused.
    address = ffi.new("char []", b"10.0.0.2:8080")
    server = ffi.new("vsched_server *", {
        "weight": 1, "address": {"data": address, "length": len(address) - 1},
        "forwarding": lib.VSCHED_MASQ})
    add = lib.vsched_config_add_server
    assert add(config, KEY, len(KEY), server) == lib.VSCHED_E_STRUCT_SIZE
    server.struct_size = ffi.sizeof("vsched_server")
    ok(lib, add(config, KEY, len(KEY), server))
    assert add(config, KEY, len(KEY), server) == lib.VSCHED_E_REFUSED

    director_out = ffi.new("vsched_director **")
    ok(lib, lib.vsched_director_new(config, director_out))
    director = director_out[0]
    worker_out = ffi.new("vsched_worker **")
    ok(lib, lib.vsched_worker_new(director, worker_out))
    worker = worker_out[0]

    service = ffi.new("vsched_service_id *")
    ok(lib, lib.vsched_director_service(director, KEY, len(KEY), service))
    flow = ffi.new("vsched_flow *")
    pick = ffi.new("vsched_pick *")
    picked = set()
    for _ in range(4):
        ok(lib, lib.vsched_worker_pick_server(worker, service[0], flow, pick))
        text = ffi.new("char [64]")
        ok(lib, lib.vsched_pick_text(pick, text, 64, ffi.NULL))
        picked.add(ffi.string(text))
    assert picked == {b"10.0.0.1:8080", b"10.0.0.2:8080"}, picked

    lease = ffi.new("vsched_lease *")
    counts = ffi.new("vsched_counts *")
    ok(lib, lib.vsched_worker_connect(worker, service[0], flow, ffi.NULL, 0, pick, lease))
    ok(lib, lib.vsched_director_counts(director, pick.server, counts))
    assert (counts.active, counts.inactive) == (1, 0)
    ok(lib, lib.vsched_worker_update(worker, lease, lib.VSCHED_INACTIVE))
    ok(lib, lib.vsched_director_counts(director, pick.server, counts))
    assert (counts.active, counts.inactive) == (0, 1)

    states = ffi.new("vsched_server_state [2]")
    count = ffi.new("size_t *")
    ok(lib, lib.vsched_director_servers(director, service[0], states,
                                        ffi.sizeof("vsched_server_state"), 2, count))
    names = [ffi.string(state.address_text) for state in states]
    assert names == [b"10.0.0.2:8080", b"10.0.0.1:8080"], names

    ok(lib, lib.vsched_worker_close(worker, lease))
    assert lib.vsched_worker_close(worker, lease) == lib.VSCHED_STALE
    lib.vsched_worker_free(worker)
    lib.vsched_director_free(director)
    lib.vsched_config_free(config)


def check(ffi, lib):
    """Every constant, struct and function against vsched.h."""
    lines = ["#include <vsched.h>", "#define IS(value) typedef char checked[(value) ? 1 : -1]"]
    kinds = {name: ffi.typeof(name) for name in ffi.list_types()[0] if name.startswith("vsched_")}
    structs = {name: kind for name, kind in kinds.items() if kind.kind == "struct" and kind.fields}
    for name, kind in structs.items():
        lines.append(f"IS(sizeof({name}) == {ffi.sizeof(name)});")
        for field, place in kind.fields:
            lines.append(f"IS(offsetof({name}, {field}) == {place.offset});")
            lines.append(f"IS(sizeof((({name} *)0)->{field}) == {ffi.sizeof(place.type)});")
    names = dir(lib)
    functions = [name for name in names if name.startswith("vsched_")]
    constants = [name for name in names if name.startswith("VSCHED_")]
    for name in constants:
        lines.append(f"IS({name} == {getattr(lib, name)});")
    # cffi's types know no const: the text, once more after the same from vsched.h.
    lines += re.findall(r"^[a-z][^;{]*?\bvsched_\w+\([^;]*;", header("vsched-ffi.h"), re.MULTILINE)

    # Nothing is left out.
    manual = header("vsched.h")
    for pattern, found in [(r"^#define (VSCHED_\w+) (?:\d+|UINT32_MAX)$", constants),
                           (r"^typedef struct (vsched_\w+) {$", structs),
                           (r"^[a-z].*?\b(vsched_\w+)\(", functions)]:
        declared = re.findall(pattern, manual, re.MULTILINE)
        assert declared and sorted(declared) == sorted(found), set(declared) ^ set(found)

    compile_c(lines)
    wrong = "IS(VSCHED_OK == 1);"
    try:
        compile_c(lines + [wrong], stderr=subprocess.DEVNULL)
    except subprocess.CalledProcessError:
        return
    raise AssertionError(f"the compiler takes {wrong}")


def compile_c(lines, **more):
    with tempfile.TemporaryDirectory() as place:
        source = os.path.join(place, "check.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-Werror",
                        "-I", os.path.join(ROOT, "include"),
                        "-fsyntax-only", source], check=True, **more)


def main():
    ffi = cffi.FFI()
    ffi.cdef(header("vsched-ffi.h"))
    lib = ffi.dlopen(os.path.join(LIB, "libvsched.so"))
    use(ffi, lib)
    check(ffi, lib)


main()
