"""Instruction counts, compared with those of ffi-tests/instructions.txt.

A count that is WORSE than there fails. The counts are exact for one compiler only, and the file says
which: under another one each difference is shown, and only what no compiler explains (ELSEWHERE)
fails, such as a scan where there was none.
"""

import os
import subprocess

FILE = os.path.join(os.path.dirname(__file__), "instructions.txt")
WORSE = 2.0
ELSEWHERE = 25.0
HEAD = """\
# Instructions of a call, loop included, as callgrind counts them: `make cost` compares, `make
# baseline` writes. Sorted; one case a line.
"""


def compilers():
    cc = os.environ.get("CC", "cc")
    version = lambda *command: subprocess.check_output(command, text=True).splitlines()[0]
    return f"# {version('rustc', '--version')}, {version(cc, '--version')}\n"


def write(counts):
    with open(FILE, "w", encoding="utf-8") as file:
        file.write(HEAD + compilers())
        file.writelines(f"{case:34}{count:10.1f}\n" for case, count in sorted(counts.items()))


def read():
    with open(FILE, encoding="utf-8") as file:
        lines = file.readlines()
    comments = [line for line in lines if line.startswith("#")]
    cases = [line.rsplit(None, 1) for line in lines if not line.startswith("#")]
    return comments[-1], {case.strip(): float(count) for case, count in cases}


def compare(counts):
    """Prints what differs; false if something is worse than it may be."""
    compiler, known = read()
    here = compilers()
    limit = WORSE
    if here != compiler:
        limit = ELSEWHERE
        print(f"ANOTHER COMPILER than the baseline's: up to {limit:.0f} % more is let pass\n"
              f"  baseline: {compiler[2:]}  here:     {here[2:]}", end="")
    worse, better, shown = 0, 0, []
    for case in sorted(known.keys() | counts.keys()):
        before, now = known.get(case), counts.get(case)
        if before is None or now is None:
            worse += 1
            shown.append((case, before, now, "new" if before is None else "gone"))
            continue
        percent = 100 * (now - before) / before
        worse += percent > limit
        better += percent < -WORSE
        if abs(percent) > WORSE:
            shown.append((case, before, now, f"{percent:+.1f} %{' WORSE' if percent > limit else ''}"))
    if shown:
        print(f"\n{'instructions':34}{'baseline':>10}{'now':>10}")
    for case, before, now, note in shown:
        figures = "".join(f"{'-' if count is None else f'{count:.1f}':>10}" for count in (before, now))
        print(f"{case:34}{figures}  {note}")
    if better and not worse:
        print(f"{better} cases are better than the baseline: `make baseline` keeps it so")
    if worse:
        print(f"{worse} of {len(counts)} cases differ for the worse (more than {limit:.0f} %), or are "
              "new or gone. If that is meant: make baseline, and say why in the commit")
    elif not shown:
        print(f"{len(counts)} cases within {WORSE:.0f} % of the baseline")
    return not worse
