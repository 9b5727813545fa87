#!/usr/bin/env python3
"""hot_path.py finds what there is to find, in the functions of hot_path_sample.rs."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# Entries, and what they reach: what is printed, or None where everything is harmless.
CASES = [
    ("vsched_harmless", None),
    ("vsched_harmless pick::one:1 pick::two:1 pick::three:1", None),
    ("pick::table", None),
    ("pick::*", None),
    ("vsched_allocates", "REACHED allocator: "),
    ("vsched_locks", "REACHED lock: "),
    ("vsched_panics", "REACHED panic: "),
    ("vsched_reads_the_clock", "REACHED "),
    ("vsched_system_call", "REACHED system call: syscall"),
    ("vsched_allocates_by_jump_table", "REACHED allocator: "),
    ("vsched_allocates_by_function_table", "REACHED allocator: "),
    ("vsched_allocates_by_a_copied_pointer", "REACHED allocator: "),
    ("vsched_calls_a_changed_copy", "REACHED call through a pointer: "),
    ("vsched_calls_a_pointer", "REACHED call through a pointer: "),
    ("vsched_harmless vsched_allocates", "REACHED allocator: "),
    ("vsched_harmless pick::two:2", "stands for 2 functions or more, and 1 are reached"),
    ("vsched_unknown", "0 functions are called vsched_unknown"),
    ("unknown::*", "0 functions are called unknown::*"),
]


def main():
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "libvsched_sample.so")
        subprocess.run(["rustc", "--edition=2024", "--crate-type=cdylib", "--crate-name=vsched_sample",
                        "-Copt-level=3", "-Cdebuginfo=1", "-o", library,
                        os.path.join(HERE, "hot_path_sample.rs")], check=True)
        wrong = 0
        for words, wanted in CASES:
            run = subprocess.run([sys.executable, "-B", os.path.join(HERE, "hot_path.py"), library,
                                  *words.split()], capture_output=True, text=True, check=False)
            printed = run.stdout + run.stderr
            found = run.returncode == 0 if wanted is None else run.returncode != 0 and wanted in printed
            if not found:
                wrong += 1
                print(f"{words}: {wanted or 'nothing'} was expected, not\n{printed}")
    if wrong:
        sys.exit(f"hot_path.py is wrong in {wrong} of {len(CASES)} cases")
    print(f"hot_path.py: {len(CASES)} cases as expected")


main()
