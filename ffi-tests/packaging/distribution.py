"""A copy of the crate as a distribution builds it: vendored, offline, for cargos as old as Debian
12's cargo-c carries. Tests, benches, examples, their dependencies and the other packages of the
workspace are left out; so are dependencies for other systems, whose manifests old cargos cannot
read.
"""

import json
import os
import re
import shutil
import subprocess

FEATURES = "capi,schema"


def make_copy(root, target):
    """Writes the copy to the folder `target`; answers how many dependencies it needs."""
    os.makedirs(target)
    for name in ["src", "include", "packaging", "docs"]:
        shutil.copytree(os.path.join(root, name), os.path.join(target, name))
    shutil.copy(os.path.join(root, "README.md"), target)
    with open(os.path.join(root, "Cargo.toml"), encoding="utf-8") as file:
        manifest = file.read()
    write(os.path.join(target, "Cargo.toml"), without_tests(manifest))

    packages = needed(root)
    names = {package["name"] for package in packages}
    checksums = locked(root)
    for package in packages:
        source = os.path.dirname(package["manifest_path"])
        place = os.path.join(target, "vendor", os.path.basename(source))
        shutil.copytree(source, place)
        with open(os.path.join(source, "Cargo.toml"), encoding="utf-8") as file:
            write(os.path.join(place, "Cargo.toml"), without_others(file.read(), names))
        checksum = checksums[(package["name"], package["version"])]
        write(os.path.join(place, ".cargo-checksum.json"),
              json.dumps({"files": {}, "package": checksum}))
    write(os.path.join(target, ".cargo", "config.toml"),
          '[source.crates-io]\nreplace-with = "vendor"\n[source.vendor]\ndirectory = "vendor"\n'
          '[net]\noffline = true\n')
    return len(packages)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def tables(manifest):
    """The tables of a TOML text: header line (None before the first) and all lines."""
    header, lines = None, []
    for line in manifest.splitlines(keepends=True):
        if line.startswith("["):
            yield header, "".join(lines)
            header, lines = line.strip(), []
        lines.append(line)
    yield header, "".join(lines)


def without_tests(manifest):
    out = ""
    for header, text in tables(manifest):
        if header and re.match(r"\[\[(example|test|bench)\]\]|\[dev-dependencies", header):
            continue
        if header == "[workspace]":
            text = re.sub(r"^members = .*\n", "", text, flags=re.MULTILINE)
        # Debian 12's cargo knows neither edition 2024 nor its resolver; the sources compile as 2021.
        text = re.sub(r'^edition = "2024"$', 'edition = "2021"', text, flags=re.MULTILINE)
        text = re.sub(r'^resolver = "3"$', 'resolver = "2"', text, flags=re.MULTILINE)
        out += text
    return out


def without_others(manifest, names):
    """A dependency's manifest without tests and without what other systems need."""
    out = ""
    for header, text in tables(manifest):
        header = header or ""
        if re.match(r"\[\[(example|test|bench|bin)\]\]", header):
            continue
        if header.startswith("[target."):
            name = re.search(r'[.]dependencies\."?([\w-]+)"?(\.[\w-]+)?\]$', header)
            if name and name[1] not in names and "optional = true" not in text:
                continue
        out += text
    return out


def needed(root):
    """The packages that this machine's build may use with any feature: cargo wants the optional ones too. None that
    only features of the workspace's other packages add."""
    host = re.search(r"host: (.*)", subprocess.check_output(["rustc", "-vV"], text=True))[1]
    tree = subprocess.check_output(
        ["cargo", "tree", "--locked", "--package", "vsched", "--edges", "normal,build", "--target", host,
         "--all-features", "--prefix", "none", "--format", "{p}"], cwd=root, text=True)
    wanted = set(re.findall(r"^(\S+) v(\S+)", tree, re.MULTILINE))
    metadata = json.loads(subprocess.check_output(
        ["cargo", "metadata", "--format-version=1", "--locked", "--all-features"], cwd=root, text=True))
    return [package for package in metadata["packages"]
            if (package["name"], package["version"]) in wanted and package["source"]]


def locked(root):
    with open(os.path.join(root, "Cargo.lock"), encoding="utf-8") as file:
        found = re.findall(r'name = "(.*)"\nversion = "(.*)"\nsource = .*\nchecksum = "(.*)"',
                           file.read())
    return {(name, version): checksum for name, version, checksum in found}
