#!/usr/bin/env python3
"""Writes what fuzzing begins with into fuzz/corpus: what real kernels and ipvsadm were recorded with."""

import hashlib
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent
# ipvsadm's options in a rules text, and what the config calls them.
SERVICE = {"-t": "tcp", "-u": "udp", "--sctp-service": "sctp", "-f": "fwmark"}


def lines(path, word):
    """The records that have this word."""
    found = [json.loads(line) for line in (ROOT / path).read_text().splitlines()]
    return [line for line in found if word in line]


def rules():
    for case in lines("tests/data/ipvsadm/commands.jsonl", "rules"):
        yield "\n".join(case.get("commands", [])).encode()
        yield case["rules"].encode()
    # What ipvsadm does not know, each option by itself.
    options = (ROOT / "src/config/rules/options.rs").read_text()
    values = {"vsched-ejection": "failures=3,outliers=median,least-servers=3,max-share=9",
              "vsched-slow-start": "duration=9,aggression=150,least=5", "vsched-ties": "rotate",
              "vsched-spill-over": "140"}
    for name, value in re.findall(r'"(vsched-[a-z-]+)",\s*Value::(\w+)', options):
        word = f"--{name} {values.get(name, 1)}" if value == "Yes" else f"--{name}"
        yield word.encode()
        yield f"-A -f 7 -s {'wlc' if name in values else 'mh'} {word}".encode()
        yield f"-A -f 7\n-a -f 7 -r 10.0.0.1 {word}".encode()
    yield b"--set 900 120 300\n--start-daemon master --mcast-interface eth0 --syncid 1"


def config():
    """Of each rules text, its services and servers; the words are what JSON's grammar lacks."""
    for case in lines("tests/data/ipvsadm/commands.jsonl", "rules"):
        services = []
        for line in case["rules"].splitlines():
            word = line.split()
            if word[0] == "-A" and "-6" not in word:
                named = dict(zip(word, word[1:]))
                services.append({"key": f"{SERVICE[word[1]]} {word[2]}",
                                 "scheduler": named.get("-s", "wlc"), "servers": []})
            elif word[0] == "-a" and services and "-6" not in word:
                named = dict(zip(word, word[1:]))
                services[-1]["servers"].append(
                    {"address": named["-r"], "weight": int(named.get("-w", 1))})
        yield json.dumps({"services": services}).encode()
    yield json.dumps({"services": [{
        "key": "fwmark 7", "ties": "rotate", "spill_over": 140, "panic_threshold": 50,
        "ejection": {"failures": 3, "outliers": {"method": "median", "factor": 2000}},
        "slow_start": {"duration": 9, "aggression": 150, "least": 5},
        "servers": [{"address": "10.0.0.1:80", "priority": 1}]}]}).encode()


def wire():
    for case in lines("tests/data/netlink/messages.jsonl", "messages"):
        for message in case["messages"]:
            yield bytes.fromhex(re.sub(r"^\w+ ", "", message))


def abi():
    """Calls that lay each recorded rules text before the library and use what comes of it."""
    source = (ROOT / "ffi-tests/hostile/hostile.h").read_text()
    table = re.search(r"calls\[\]\)\(void\) = \{(.*?)\};", source, re.DOTALL)[1]
    calls = re.findall(r"\w+", table)

    def call(name, *arguments):
        return bytes([calls.index(name), *arguments])

    raw = 208
    use = b"".join(call(name, *[0] * count) for name, count in [
        ("director_new_with_limits", 7), ("worker_new", 3), ("director_services", 5),
        ("worker_service_for", 5), ("worker_connect", 9), ("worker_pick_server_excluding", 7),
        ("worker_update", 4), ("director_servers", 6), ("worker_close", 3)])
    texts = sorted(set(rules()) | set(config()))
    for at, text in enumerate(texts):
        # Memories of addresses take milliseconds under a sanitizer: of their texts, a few.
        if at % 16 and (b"-p" in text or b"lblc" in text):
            continue
        text = text[:300]
        length = bytes([255 * (len(text) >> 8), len(text) & 255])
        read = "config_read_json" if text.startswith(b"{") else "config_read_rules"
        # An honest host; the text in full, into the first config.
        head = b"\x01" + call(read, raw, *length) + text + b"\0"
        yield head + use
        yield b"\x01" + call("director_replay", raw, *length) + text + b"\0" * 2 + use


for target in (rules, config, wire, abi):
    folder = ROOT / "fuzz/corpus" / target.__name__
    folder.mkdir(parents=True, exist_ok=True)
    seeds = {hashlib.sha1(seed).hexdigest(): seed for seed in target()}
    for name, seed in seeds.items():
        (folder / name).write_bytes(seed)
    print(f"{target.__name__}: {len(seeds)} seeds")
