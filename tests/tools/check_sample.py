#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_sample.py REPORT.json TRUTH: compare a sampled report with the truth.

TRUTH is as in check_truth.py. Of each line the blocks have one size, unless
--mixed is given: then only lines of which nothing is alive are judged. What must
hold of a sample, and how often it does not hold by chance:

- Blocks of the interval and above, and lines of which nothing is alive, are
  exact. Never fails by chance.
- What is alive is what was allocated less what was freed, so each free of a
  recorded block was seen once. Never fails by chance.
- Other lines are within 7 standard errors of the truth, computed from the truth
  and not from the sample. Only lines of which at least 300 recorded blocks are
  expected are judged: the number recorded is a sum of independent trials with
  that mean L, so by Chernoff's bound it is L + 7 sqrt(L) or more, or as many
  less, with a probability of at most 2 exp(-L h(7 / sqrt(L))) where
  h(u) = (1 + u) ln(1 + u) - u: 8e-10 at L = 300, and less above. A hundred
  lines fail by chance once in ten million runs.
- The standard error that the report gives is that of the truth within a
  quarter; for L of 300 that is again 7 standard errors of its square or more.
"""
import argparse
import json
import math
import sys

import check_truth

ERRORS = 7
FEW = 300


class Sample:
    def __init__(self, interval, blocks, size):
        chance = 1
        if size < interval:
            chance = -math.expm1(-max(size, 1) / interval)
        self.exact = chance == 1 or not blocks
        self.recorded = blocks * chance
        self.variance = blocks * (1 - chance) / chance


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("report")
    parser.add_argument("truth")
    parser.add_argument("--judged", type=int, default=0,
                        help="lines that must have been judged by chance")
    parser.add_argument("--mixed", action="store_true",
                        help="sizes of a line differ")
    parser.add_argument("--allow", action="append", default=[],
                        help="drop cause that may be above zero")
    args = parser.parse_args()
    report = json.load(open(args.report))
    bad = []
    judged = 0

    for process in report["processes"]:
        who = f"pid {process['pid']} {process.get('exe')}"
        totals = process["totals"]
        if not process["sample_bytes"]:
            bad.append(f"{who}: no sample")
        bad += [f"{who}: drop {cause} is {count}" for cause, count
                in process["drops"].items() if cause not in args.allow]
        # Both sides round weights, to 2^-16 and at the end.
        live = totals["alloc_blocks"] - totals["free_blocks"]
        if abs(live - totals["live_blocks"]) > 2 + 1e-4 * totals["live_blocks"]:
            bad.append(f"{who}: allocated {totals['alloc_blocks']} - freed "
                       f"{totals['free_blocks']} is {live}, "
                       f"alive {totals['live_blocks']}")

    for (kind, file, line, pid, exe), want in \
            check_truth.Truth(args.truth).items.items():
        if kind not in ("leak", "alloc") or not line:
            continue
        where = f"{kind} {file}:{line} pid={pid}"
        processes = [p for p in report["processes"]
                     if check_truth.matches(p, pid, exe)]
        if not processes:
            bad.append(f"{where}: no process exe={exe}")
            continue
        sites = [s for p in processes for s in p["sites"]
                 if s["class"] != "inherited"
                 and check_truth.place(s) == (file, line)]
        name = "alloc" if kind == "alloc" else "live"
        blocks, size = want[0], want[1] // want[0] if want[0] else 0
        got = [sum(s[f"{name}_{what}"] for s in sites)
               for what in ("blocks", "bytes")]
        errors = [math.sqrt(sum(s[f"{name}_{what}_stderr"] ** 2 for s in sites))
                  for what in ("blocks", "bytes")]
        sample = Sample(processes[0]["sample_bytes"], blocks, size)
        if sample.exact and (not blocks or not args.mixed):
            if got != want or errors != [0, 0]:
                bad.append(f"{where}: expected {want} without error, "
                           f"report has {got} +/- {errors}")
            continue
        if sample.recorded < FEW or args.mixed:
            continue
        judged += 1
        for value, error, truth, unit in zip(got, errors, want, (1, size)):
            sigma = math.sqrt(sample.variance) * unit
            if abs(value - truth) > ERRORS * sigma:
                bad.append(f"{where}: {value} is not {truth} +/- {sigma:.0f}")
            if not 0.75 * sigma - 1 <= error <= 1.25 * sigma + 1:
                bad.append(f"{where}: the standard error is {sigma:.0f}, "
                           f"the report says {error:.0f}")
    if judged < args.judged:
        bad.append(f"only {judged} lines have enough recorded blocks")
    for line in bad[:60]:
        print(line)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
