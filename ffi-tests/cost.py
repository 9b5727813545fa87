#!/usr/bin/env python3
"""What a pick costs through the C library, beside the same pick called from Rust.

usage: cost.py RUST_PROGRAM C_PROGRAM

Instructions are counted by callgrind: two runs that differ in the number of picks only, so the
figure is exact, loop included. The C call may cost MOST instructions more. Nanoseconds are the
median of interleaved runs, for the eye only.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile

CASES = [("rr", 16), ("wrr", 16), ("wlc", 16), ("mh", 16)]
MOST = 25
RUNS = 7


def instructions(program, scheduler, servers):
    def total(picks):
        with tempfile.TemporaryDirectory() as folder:
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
            command += [program, scheduler, str(servers), str(picks)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(re.search(r"Collected : (\d+)", run.stderr).group(1))

    return (total(3000) - total(1000)) / 2000


def nanos(programs, scheduler, servers):
    samples = [[] for _ in programs]
    for _ in range(RUNS):
        for program, found in zip(programs, samples):
            command = [program, scheduler, str(servers), "1000000"]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(float(run.stdout.split()[2]))
    return [statistics.median(found) for found in samples]


def main():
    rust, c = sys.argv[1:]
    print(f"a pick, load {os.getloadavg()[0]:.1f}")
    print(f"{'':10}{'instructions':>24}{'':12}{'ns':>12}")
    print(f"{'':10}{'Rust':>8}{'C':>8}{'C - Rust':>12}{'Rust':>12}{'C':>8}")
    worst = 0
    for scheduler, servers in CASES:
        counts = [instructions(program, scheduler, servers) for program in (rust, c)]
        times = nanos((rust, c), scheduler, servers)
        more = counts[1] - counts[0]
        worst = max(worst, more)
        name = f"{scheduler} n={servers}"
        print(f"{name:10}{counts[0]:>8.0f}{counts[1]:>8.0f}{more:>12.0f}{times[0]:>12.1f}{times[1]:>8.1f}")
    if worst > MOST:
        sys.exit(f"the C call costs {worst:.0f} instructions more than the Rust call; limit {MOST}")


main()
