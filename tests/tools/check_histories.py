#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_histories.py REPORT TRUTH: do the histories in a report agree with what
tests/targets/histories.c says, function by function, and with the counters?"""
import json
import sys

WHAT = ("begun", "ended", "temporary", "elsewhere")


def main():
    process = json.load(open(sys.argv[1]))["processes"][0]
    truth = {}
    for line in open(sys.argv[2]):
        words = line.split()
        if words and words[0] == "history":
            truth[words[1]] = tuple(int(w) for w in words[2:])
    if not truth or not all(t[0] for t in truth.values()):
        sys.exit("the victim says nothing")
    found = {name: (0, 0, 0, 0) for name in truth}
    bad = []
    for site in process["sites"]:
        lifetimes = site["lifetimes"]
        if lifetimes is None:
            bad.append("a site of %d blocks without histories" %
                       site["alloc_blocks"])
            continue
        if lifetimes["begun"] != site["alloc_blocks"]:
            bad.append("begun %d, allocated %d" %
                       (lifetimes["begun"], site["alloc_blocks"]))
        if lifetimes["ended"] != site["free_blocks"]:
            bad.append("ended %d, freed %d" %
                       (lifetimes["ended"], site["free_blocks"]))
        for what in ("histogram", ):
            if sum(c["blocks"] for c in lifetimes[what]) != lifetimes["ended"]:
                bad.append("the %s lacks some" % what)
        if len(site["freed_by"]) < 8 and \
                sum(f["blocks"] for f in site["freed_by"]) != lifetimes["ended"]:
            bad.append("blocks that nobody freed")
        for frame in site["frames"]:
            if frame["function"] in found:
                found[frame["function"]] = tuple(
                    a + lifetimes[w]
                    for a, w in zip(found[frame["function"]], WHAT))
                break
    for name, counts in sorted(truth.items()):
        print("%s: %s" % (name, counts))
        if found[name] != counts:
            bad.append("%s: %s of %s are %s" % (name, WHAT, name, found[name]))
    if not process["histories"]["lossless"]:
        bad.append("not lossless: %s" % process["histories"])
    for text in bad[:20]:
        print(text, file=sys.stderr)
    sys.exit(bool(bad))


main()
