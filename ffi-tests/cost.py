#!/usr/bin/env python3
"""What the hot path costs in Rust and through the C library, beside the baseline.

usage: cost.py RUST_PROGRAM C_PROGRAM [--write]

Instructions are counted by callgrind (see callgrind.py) and exact; nanoseconds are the median of
interleaved runs, for the eye only. A pick from C may cost MOST instructions more than from Rust; for
all cases see baseline.py. With --write they become the baseline.
"""

import os
import statistics
import subprocess
import sys

import baseline
import callgrind

SHOWN = [("rr", 16), ("wrr", 16), ("wlc", 16), ("mh", 16)]
MOST = 25
RUNS = 7


def nanos(programs, scheduler, servers):
    samples = [[] for _ in programs]
    for _ in range(RUNS):
        for program, found in zip(programs, samples):
            command = [program, scheduler, str(servers), "1000000"]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(float(run.stdout.split()[2]))
    return [statistics.median(found) for found in samples]


def picks(programs, rust, c):
    """Prints them; how many instructions more the C call costs at most."""
    print(f"a pick, load {os.getloadavg()[0]:.1f}")
    print(f"{'':10}{'instructions':>24}{'':12}{'ns':>12}")
    print(f"{'':10}{'Rust':>8}{'C':>8}{'C - Rust':>12}{'Rust':>12}{'C':>8}")
    worst = 0
    for scheduler, servers in SHOWN:
        name = f"{scheduler} n={servers}"
        counts = [rust["pick " + name], c["pick " + name]]
        times = nanos(programs, scheduler, servers)
        more = counts[1] - counts[0]
        worst = max(worst, more)
        print(f"{name:10}{counts[0]:>8.0f}{counts[1]:>8.0f}{more:>12.0f}{times[0]:>12.1f}{times[1]:>8.1f}")
    return worst


def main():
    programs = sys.argv[1:3]
    rust = callgrind.count(programs[0])
    # The Rust program knows the registry; the C program is told.
    schedulers = list(dict.fromkeys(case.split()[1] for case in rust if "," not in case))
    c = callgrind.count(programs[1], *schedulers)
    counts = {f"{case} Rust": count for case, count in rust.items()}
    counts |= {f"{case} C": count for case, count in c.items()}
    if "--write" in sys.argv:
        return baseline.write(counts)
    worst = picks(programs, rust, c)
    kept = baseline.compare(counts)
    if worst > MOST:
        sys.exit(f"the C call costs {worst:.0f} instructions more than the Rust call; limit {MOST}")
    if not kept:
        sys.exit("instructions have become more")


main()
