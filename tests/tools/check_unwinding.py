#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the check build found: check_unwinding.py FILE [NAME]

FILE is what $SEEP_CHECK_FILE was. Prints each sum and, with NAME, a row for the
table in doc/architecture.md instead. Status 1: a stack was wrong, or none was
compared; the first differences are in FILE.txt.
"""
import struct
import sys

# As enum seep_oracle_sum in preload/oracle.h has them.
SUMS = ("stacks", "frames", "stepped", "wrong", "fresh", "fallback", "off",
        "room", "no_cfi", "guessed", "shorter", "stale", "full", "early",
        "own")
BAD = ("wrong", "fresh", "shorter")
ROW = (("stacks",), ("frames",), BAD, ("fallback", "off"), ("no_cfi",),
       ("guessed",))


def read_sums(path):
    with open(path, "rb") as f:
        words = f.read()
    return dict(zip(SUMS, struct.unpack("=%dQ" % len(SUMS), words)))


def main(path, name=None):
    sums = read_sums(path)
    if name:
        print("| %s | %s |" % (name, " | ".join(
            format(sum(sums[s] for s in column), ",") for column in ROW)))
    else:
        for s in SUMS:
            print("%-9s %d" % (s, sums[s]))
    return 1 if not sums["stacks"] or any(sums[s] for s in BAD) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
