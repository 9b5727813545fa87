#!/usr/bin/env python3
"""Installs the C library in a temporary folder as users do; builds and runs programs against it.

`make test-packaging` runs this after `make lib`. The commands are those of docs/linking.md, word
for word, each run once for `make install` and once for cargo-c.
"""

import filecmp
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
import distribution  # noqa: E402

SYSTEM_LIBRARIES = re.compile(r"libc\.so\.6|libgcc_s\.so\.1|libm\.so\.6|ld-linux[\w-]*\.so\.\d")
# What docs/linking.md says; malloc's own rounding varies with the rest of the heap.
BYTES_KEPT_BY_A_LOAD = 180
BLOCKS_BY_WAY = ["shared", "cmake", "static", "wholly-static", "plugin", "symbols"]
BLOCKS = ["make", "package", "cargo-c", "cmake-lists", "licences", "cross"] + BLOCKS_BY_WAY


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


def expect_equal(found, wanted, what):
    expect(found == wanted, f"{what}:\n  found  {found}\n  wanted {wanted}")


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def run(command, cwd, **env):
    """Runs a command or a script of the docs; answers what it printed."""
    # Nothing of the caller's make, cargo or search paths.
    foreign = re.compile(r"MAKE|CARGO(?!_HOME)|PKG_CONFIG|CMAKE|LD_|.*FLAGS$"
                         r"|(PREFIX|DESTDIR|LIBDIR|INCLUDEDIR|DATADIR)$")
    clean = {key: value for key, value in os.environ.items() if not foreign.match(key)}
    clean.setdefault("RUSTUP_HOME", os.path.expanduser("~/.rustup"))
    args = ["sh", "-euc", command] if isinstance(command, str) else command
    done = subprocess.run(args, cwd=cwd, env=clean | env, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    expect(done.returncode == 0,
           f"{command}\nanswered {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def section(title):
    print(f"packaging: {title}", flush=True)


# What is written once.

def crate_version():
    return re.search(r'^version = "(.*)"', read(ROOT, "Cargo.toml"), re.MULTILINE)[1]


def abi():
    text = read(ROOT, "src", "ffi", "version.rs")
    return re.search(r"VSCHED_ABI_VERSION: u32 = (\d+);", text)[1]


def file_version():
    """ABI number and the crate's first two numbers."""
    return ".".join([abi()] + crate_version().split(".")[:2])


def documented():
    """The code blocks of docs/linking.md that are marked to be run."""
    text = read(ROOT, "docs", "linking.md")
    blocks = dict(re.findall(r"<!-- run: ([\w-]+) -->\n```(?:sh|cmake)\n(.*?)```", text, re.DOTALL))
    expect_equal(sorted(blocks), sorted(BLOCKS), "the blocks of docs/linking.md")
    unmarked = len(re.findall(r"^```\w+$", text, re.MULTILINE)) - len(blocks)
    expect_equal(unmarked, 1, "blocks of docs/linking.md that are not run (the list of files)")
    return blocks


def test_versions():
    section("versions and system libraries are the sources'")
    header = read(ROOT, "include", "vsched.h")
    expect(f"#define VSCHED_ABI_VERSION {abi()}\n" in header, "the header's ABI is version.rs's")
    table = read(ROOT, "Cargo.toml").split("[package.metadata.capi.library]")[1].split("\n[")[0]
    expect_equal(re.search(r'^version = "(.*)"', table, re.MULTILINE)[1], file_version(),
                 "version in [package.metadata.capi.library] of Cargo.toml")


def test_list_of_licenses(blocks):
    section("the list of the dependencies' licenses (`make deny` checks them)")
    lines = run(blocks["licences"], ROOT).splitlines()
    expect(len(lines) > 10, f"few dependencies: {lines}")


def native_static_libs(place):
    """What rustc says of any static library, asked apart from the Makefile."""
    source = os.path.join(place, "empty.rs")
    with open(source, "w", encoding="utf-8"):
        pass
    found = os.path.join(place, "found")
    run(["rustc", "--crate-type=staticlib", f"--print=native-static-libs={found}", "-o",
         os.path.join(place, "empty.a"), source], place)
    return read(found).split()


# An installed tree.

def listing(tree):
    found = {}
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            link = os.readlink(path) if os.path.islink(path) else None
            found[os.path.relpath(path, tree)] = link
    return found


def wanted_files(lib="lib", prefix=""):
    full = f"libvsched.so.{file_version()}"
    headers = [name for name in ["vsched.h", "vsched.hpp", "vsched-ffi.h"]
               if os.path.exists(os.path.join(ROOT, "include", name))]
    cmake = [f"share/cmake/vsched/{name}"
             for name in ["vsched-config.cmake", "vsched-config-version.cmake",
                          "vsched-place.cmake"]]
    files = dict.fromkeys([f"include/{name}" for name in headers] + cmake
                          + [f"{lib}/{full}", f"{lib}/libvsched.a", f"{lib}/pkgconfig/vsched.pc"])
    files |= {f"{lib}/libvsched.so": full, f"{lib}/libvsched.so.{abi()}": full}
    return {prefix + name: link for name, link in files.items()}


def pc_fields(path):
    fields = re.findall(r"^([\w.]+): *(.*)$", read(path), re.MULTILINE)
    return {key: value.split() for key, value in fields}


def check_tree(tree, native):
    """What is in a tree installed with PREFIX=tree."""
    expect_equal(listing(tree), wanted_files(), "installed files")
    for name in ["vsched.h", "vsched.hpp", "vsched-ffi.h"]:
        if os.path.exists(os.path.join(ROOT, "include", name)):
            expect(filecmp.cmp(os.path.join(ROOT, "include", name),
                               os.path.join(tree, "include", name), shallow=False), name)
    fields = pc_fields(os.path.join(tree, "lib/pkgconfig/vsched.pc"))
    expect_equal(fields["Version"], [crate_version()], "version in vsched.pc")
    expect_equal(fields["Libs"], ["-L${libdir}", "-lvsched"], "Libs in vsched.pc")
    expect_equal(fields["Cflags"], ["-I${includedir}"], "Cflags in vsched.pc")
    expect_equal(fields["Libs.private"], native, "Libs.private in vsched.pc, rustc's libraries")
    expect(f"`{' '.join(native)}`" in read(ROOT, "docs", "linking.md"),
           f"docs/linking.md does not name {native}")


def exported(path, cwd):
    printed = run(["nm", "-D", "--defined-only", path], cwd)
    return [line.split()[-1] for line in printed.splitlines()]


def check_object(path, cwd, soname=None):
    """A shared object or program as distributions want it; answers the libraries it needs."""
    dynamic = run(["readelf", "-dW", path], cwd)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    expect("RPATH" not in dynamic and "RUNPATH" not in dynamic, f"{path} has a search path")
    expect("TEXTREL" not in dynamic, f"{path} has text relocations")
    expect_equal(re.findall(r"\(SONAME\).*\[(.*)\]", dynamic), [soname] if soname else [], "soname")
    stack = re.search(r"GNU_STACK.*", run(["readelf", "-lW", path], cwd))
    expect(stack and " RW " in stack[0], f"{path}: the stack is {stack and stack[0]}")
    return needed


def check_library(path, cwd):
    needed = check_object(path, cwd, soname=f"libvsched.so.{abi()}")
    foreign = [name for name in needed if not SYSTEM_LIBRARIES.fullmatch(name)]
    expect_equal(foreign, [], "NEEDED beyond the system's")
    names = exported(path, cwd)
    declared = set(re.findall(r"\b(vsched_\w+)\(", read(ROOT, "include", "vsched.h")))
    expect_equal([name for name in names if not name.startswith("vsched_")], [], "foreign symbols")
    expect_equal(sorted(declared - set(names)), [], "declared but not exported")


# Programs, built as the docs say.

def sources(place):
    os.makedirs(place)
    for name in ["app.c", "plugin.c", "use.h", "mixed.c", "reload.c"]:
        shutil.copy(os.path.join(HERE, name), place)
    return place


def check_shared(blocks, home, work):
    printed = run(blocks["shared"], work, HOME=home)
    expect_equal(printed, crate_version() + "\n", "what the shared program prints")
    needed = check_object("app", work)
    expect(f"libvsched.so.{abi()}" in needed, f"the program needs {needed}")
    run('cc -shared -fPIC -o dynamic.so plugin.c $(pkg-config --cflags --libs vsched)', work,
        PKG_CONFIG_PATH=os.path.join(home, "vsched/lib/pkgconfig"))


def check_static(blocks, home, work):
    for block in ["static", "wholly-static"]:
        printed = run(blocks[block], work, HOME=home)
        expect_equal(printed, crate_version() + "\n", f"what the {block} program prints")
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run(["readelf", "-dW", "app"], work))
        foreign = [name for name in needed if not SYSTEM_LIBRARIES.fullmatch(name)]
        expect_equal(foreign, [], f"libraries that the {block} program needs")
        expect_equal(not needed, block == "wholly-static", f"{needed}: {block}")
        if block == "static":
            run(["strip", "-o", "app.stripped", "app"], work)


def check_plugin(blocks, home, work):
    printed = run(blocks["plugin"], work, HOME=home)
    expect_equal([line.split()[-1] for line in printed.splitlines()],
                 ["plugin_use", "plugin_version"], "what the plugin exports")
    check_object("plugin.so", work)
    # The same without --exclude-libs shows that the test would see two copies mix.
    naive = blocks["plugin"].replace("-Wl,--exclude-libs,ALL", "").replace("plugin.so", "naive.so")
    run(naive, work, HOME=home)
    for name in ["plugin", "naive"]:
        shutil.copy(os.path.join(work, f"{name}.so"), os.path.join(work, f"{name}2.so"))
    run(["cc", "-o", "mixed", "mixed.c"], work)
    for name, wanted in [("plugin", ["own", "own"]), ("naive", ["own", "other"])]:
        paths = [os.path.join(work, f"{name}{n}.so") for n in ["", "2"]]
        expect_equal(run(["./mixed", *paths], work).split(), wanted, f"whose copy two {name}.so call")


def check_reload(home, work):
    run(["cc", "-o", "reload", "reload.c"], work)
    rounds = 400
    for plugin, mapped in [("dynamic.so", "libvsched.so"), ("plugin.so", "plugin.so")]:
        printed = run(["./reload", os.path.join(work, plugin), mapped, str(rounds)], work,
                      LD_LIBRARY_PATH=os.path.join(home, "vsched/lib"))
        half_maps, half, end_maps, end = map(int, printed.split())
        expect_equal((half_maps, end_maps), (0, 0), f"mappings of {mapped} after dlclose")
        kept = (end - half) / (rounds // 2)
        expect(BYTES_KEPT_BY_A_LOAD - 50 <= kept <= BYTES_KEPT_BY_A_LOAD + 50,
               f"{plugin}: {kept} bytes stay for each load; docs/linking.md says otherwise")
    expect(f"About {BYTES_KEPT_BY_A_LOAD} bytes of heap" in read(ROOT, "docs", "linking.md"),
           "docs/linking.md on dlclose")


def cmake_lists(block):
    static = block.replace("vsched::vsched", "vsched::static").replace("(app ", "({} ")
    return f"""cmake_minimum_required(VERSION 3.13)
project(app C)
set(CMAKE_C_STANDARD 99)
add_executable(app app.c)
{block}
add_executable(app-static app.c)
{static.replace("{}", "app-static")}
add_library(plugin MODULE plugin.c)
{static.replace("{}", "plugin")}
"""


def check_cmake(blocks, prefix, work, script):
    folder = os.path.join(work, "cmake")
    shutil.rmtree(folder, ignore_errors=True)
    sources(folder)
    with open(os.path.join(folder, "CMakeLists.txt"), "w", encoding="utf-8") as file:
        file.write(cmake_lists(blocks["cmake-lists"]))
    run(script, folder, HOME=os.path.dirname(prefix))
    for program in ["app", "app-static"]:
        expect_equal(run([f"build/{program}"], folder), crate_version() + "\n", f"CMake's {program}")
    needed = check_object("build/app-static", folder)
    expect(not any("vsched" in name for name in needed), f"app-static needs {needed}")
    expect_equal(sorted(exported("build/libplugin.so", folder)), ["plugin_use", "plugin_version"],
                 "what a plugin of vsched::static exports")


def check_cmake_versions(prefix, work):
    """find_package meets and refuses what pkg-config would."""
    place = os.path.join(work, "versions")
    os.makedirs(place)
    parts = crate_version().split(".")
    newer = f"{parts[0]}.{int(parts[1]) + 1}"
    for wanted, met in [("", True), (crate_version(), True), (f"{crate_version()} EXACT", True),
                        (newer, False), ("0.0 EXACT", False), (f"0.0...<{crate_version()}", False),
                        (f"0.0...{crate_version()}", True)]:
        with open(os.path.join(place, "CMakeLists.txt"), "w", encoding="utf-8") as file:
            file.write(f"""cmake_minimum_required(VERSION 3.19)
project(versions NONE)
find_package(vsched {wanted} QUIET)
if(NOT vsched_FOUND STREQUAL "{int(met)}")
  message(FATAL_ERROR "vsched {wanted}: found '${{vsched_FOUND}}'")
endif()
""")
        shutil.rmtree(os.path.join(place, "build"), ignore_errors=True)
        run(["cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}"], place)


def check_moved(blocks, home, work):
    """The tree elsewhere: CMake finds it, pkg-config when told."""
    moved = os.path.join(os.path.dirname(home), "moved", "here")
    os.makedirs(os.path.dirname(moved))
    os.rename(os.path.join(home, "vsched"), moved)
    flags = run(["pkg-config", f"--define-variable=prefix={moved}", "--cflags", "--libs", "vsched"],
                work, PKG_CONFIG_PATH=os.path.join(moved, "lib/pkgconfig"))
    expect_equal(flags.split(), [f"-I{moved}/include", f"-L{moved}/lib", "-lvsched"], "moved flags")
    check_cmake(blocks, moved, work, blocks["cmake"].replace('"$HOME/vsched"', '"$HOME/here"'))
    os.rename(moved, os.path.join(home, "vsched"))
    os.rmdir(os.path.dirname(moved))


def expect_size(what, *path):
    """The size that docs/linking.md gives, about."""
    found = os.path.getsize(os.path.join(*path)) / 1000
    print(f"  {what.split(chr(10))[0]}: {found:.0f} KB, stripped")
    if platform.machine() != "x86_64":
        return
    said = re.search(re.escape(what) + r" about (\d+) KB", read(ROOT, "docs", "linking.md"))
    expect(said, f"docs/linking.md gives no size: {what}")
    expect(0.75 <= found / int(said[1]) <= 1.25,
           f"docs/linking.md: {what} about {said[1]} KB, but it is {found:.0f} KB")


def check_way(blocks, home, native):
    tree, work = os.path.join(home, "vsched"), sources(os.path.join(home, "work"))
    check_tree(tree, native)
    check_library(os.path.join(tree, "lib/libvsched.so"), work)
    run(blocks["symbols"], work, HOME=home)
    check_shared(blocks, home, work)
    check_static(blocks, home, work)
    check_plugin(blocks, home, work)
    check_reload(home, work)
    check_cmake(blocks, tree, work, blocks["cmake"])
    check_cmake_versions(tree, work)
    run(["strip", "--strip-unneeded", "-o", "stripped.so",
         os.path.join(tree, "lib/libvsched.so")], work)
    return work


# The ways.

def test_make(blocks, temporary, native):
    section("make install")
    home = os.path.join(temporary, "make")
    os.makedirs(home)
    run(blocks["make"].replace("make lib\n", ""), ROOT, HOME=home)
    work = check_way(blocks, home, native)
    expect_size("the shared library has", work, "stripped.so")
    expect_size("a program that\nlinks it statically as above has", work, "app.stripped")
    check_moved(blocks, home, work)
    run("make uninstall PREFIX=\"$HOME/vsched\"", ROOT, HOME=home)
    expect_equal(listing(os.path.join(home, "vsched")), {}, "what uninstall leaves")


def test_destdir(blocks, temporary):
    section("make install-strip with DESTDIR, as packages are made")
    home = os.path.join(temporary, "destdir")
    package, work = os.path.join(home, "package"), sources(os.path.join(home, "work"))
    run(blocks["package"], ROOT, HOME=home)
    lib = "lib/x86_64-linux-gnu"
    expect_equal(listing(package), wanted_files(lib, "usr/"), "files of a package")
    for name in [f"{lib}/pkgconfig/vsched.pc", "share/cmake/vsched/vsched-place.cmake"]:
        expect(home not in read(package, "usr", name), f"{name} names DESTDIR")
    check_library(os.path.join(package, f"usr/{lib}/libvsched.so"), work)
    sections = run(["readelf", "-SW", os.path.join(package, f"usr/{lib}/libvsched.so")], work)
    expect(".debug_" not in sections, "debug information in a stripped library")
    expect_size("libvsched.a", package, "usr", lib, "libvsched.a")
    # As a sysroot: the prefix is plain, so that pkg-config puts the sysroot before it once.
    sysroot = {"PKG_CONFIG_LIBDIR": os.path.join(package, f"usr/{lib}/pkgconfig"),
               "PKG_CONFIG_SYSROOT_DIR": package}
    flags = run(["pkg-config", "--cflags", "--libs", "vsched"], work,
                PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1", PKG_CONFIG_ALLOW_SYSTEM_LIBS="1", **sysroot)
    expect_equal(flags.split(),
                 [f"-I{package}/usr/include", f"-L{package}/usr/{lib}", "-lvsched"],
                 "flags in a sysroot")
    check_cmake(blocks, os.path.join(package, "usr"), work,
                blocks["cmake"].replace('"$HOME/vsched"', '"$HOME/usr"'))
    run(blocks["package"].replace("install-strip", "uninstall"), ROOT, HOME=home)
    expect_equal(listing(package), {}, "what uninstall leaves of a package")


def test_odd_places(blocks, temporary):
    section("make install with a LIBDIR and INCLUDEDIR of its own, from the environment")
    home = os.path.join(temporary, "odd")
    tree, work = os.path.join(home, "vsched"), sources(os.path.join(home, "work"))
    run(["make", "install"], ROOT, PREFIX=tree, LIBDIR=f"{tree}/deep/libs",
        INCLUDEDIR=f"{home}/headers")
    flags = run(["pkg-config", "--cflags", "--libs", "vsched"], work,
                PKG_CONFIG_PATH=os.path.join(tree, "deep/libs/pkgconfig"))
    expect_equal(flags.split(), [f"-I{home}/headers", f"-L{tree}/deep/libs", "-lvsched"],
                 "flags for odd places")
    check_cmake(blocks, tree, work, blocks["cmake"])


def test_cargo_c(blocks, temporary, native):
    tool = shutil.which("cargo-capi")
    if not tool:
        section("cargo-c: SKIPPED, SKIPPED, SKIPPED: no cargo-capi here (make deps installs it)")
        return
    home, copy = os.path.join(temporary, "cargo-c"), os.path.join(temporary, "copy")
    os.makedirs(home)
    section("cargo-c, offline, from vendored sources: "
            + run([tool, "--version"], home).strip())
    distribution.make_copy(ROOT, copy)
    # A cargo home of its own: no registry, no index, no configuration but the copy's.
    run(blocks["cargo-c"], copy, HOME=home, CARGO_HOME=os.path.join(home, ".cargo"))
    check_way(blocks, home, native)


def test_cross(blocks, temporary):
    section("cross compilation, to this machine's own triple")
    triple = re.search(r"host: (.*)", run(["rustc", "-vV"], ROOT))[1]
    script = blocks["cross"].replace("aarch64-unknown-linux-gnu", triple)
    script = script.replace("AARCH64_UNKNOWN_LINUX_GNU", triple.upper().replace("-", "_"))
    run(script.replace("aarch64-linux-gnu-gcc", "cc"), ROOT, HOME=temporary, CARGO_NET_OFFLINE="true")
    work = os.path.join(temporary, "aarch64")
    expect_equal(listing(work), wanted_files(prefix="usr/"), "files of a cross build")
    check_library(os.path.join(work, "usr/lib/libvsched.so"), work)
    expect(os.path.exists(os.path.join(ROOT, "target/capi", triple, "lib/libvsched.a")), triple)


def main():
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="vsched-packaging-") as temporary:
            # pkg-config answers real paths.
            temporary = os.path.realpath(temporary)
            blocks = documented()
            test_versions()
            test_list_of_licenses(blocks)
            native = native_static_libs(temporary)
            test_make(blocks, temporary, native)
            test_destdir(blocks, temporary)
            test_odd_places(blocks, temporary)
            test_cross(blocks, temporary)
            test_cargo_c(blocks, temporary, native)
    except Failed as failure:
        print(f"packaging: FAILED: {failure}", file=sys.stderr)
        return 1
    print(f"packaging: all holds ({time.monotonic() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
