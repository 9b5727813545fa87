"""Instructions of the hot path, counted by callgrind.

The programs (benches/calls, ffi-tests/calls.c) tell callgrind where a case begins and ends, so all
cases of one are counted in one run, loop included. The counts do not depend on the machine, nor on
the seeds of hash tables: no hash decides how often something is looked at.
"""

import glob
import os
import re
import subprocess
import tempfile


def count(program, *arguments):
    """{case: instructions a call} of `program --count`."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no"]
        command += [f"--callgrind-out-file={folder}/out", program, "--count", *arguments]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\n{run.stdout}{run.stderr}")
        counts = {}
        for path in glob.glob(os.path.join(folder, "out.*")):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            name = re.search(r"^desc: Trigger: Client Request: (.*) / (\d+)$", text, re.MULTILINE)
            total = re.search(r"^summary: (\d+)$", text, re.MULTILINE)
            counts[name[1]] = int(total[1]) / int(name[2])
    return counts
