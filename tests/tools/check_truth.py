#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_truth.py REPORT.json TRUTH: compare a report with what victims stated.

TRUTH has lines written by tests/targets/truth.h:

  expect leak BLOCKS BYTES FILE:LINE [pid=N] [exe=NAME]   alive, by line
  expect alloc BLOCKS BYTES FILE:LINE ...                 ever allocated, by line
  expect total BLOCKS BYTES FILE ...                      alive, whole file
  expect range LO HI LO_BYTES HI_BYTES FILE[:LINE] ...    alive, within bounds
  expect inherited BLOCKS BYTES FILE:LINE ...             class inherited

A block belongs to a line of a file when its innermost frame that is neither
the shim nor an allocator lies there. Lines of the same key add up, and so do
all images (processes of the report) that they name.
"""
import argparse
import json
import os
import re
import sys

ALLOCATORS = ("libseep", "libjemalloc", "libtcmalloc", "libmimalloc")
FAMILY = {
    "malloc", "calloc", "realloc", "reallocarray", "memalign", "valloc",
    "pvalloc", "aligned_alloc", "posix_memalign", "mallocx", "rallocx",
    "strdup", "strndup", "wcsdup",
}


def is_wrapper(frame):
    module = os.path.basename(frame.get("module") or "")
    # The C library's debug info has names like __GI___strdup.
    function = re.sub("^(__GI_)?(__libc_|__)?", "", frame.get("function") or "")
    return (module.startswith(ALLOCATORS) or function in FAMILY
            or function.startswith("operator new"))


def place(site):
    """(file, line) of the first frame that asked for the block."""
    for frame in site["frames"]:
        if is_wrapper(frame):
            continue
        return os.path.basename(frame.get("file") or ""), frame.get("line")
    return "", None


class Truth:
    def __init__(self, path):
        self.items = {}
        for number, line in enumerate(open(path), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] != "expect":
                sys.exit(f"{path}:{number}: not understood: {line!r}")
            kind = words[1]
            values = 4 if kind == "range" else 2
            numbers = [int(w) for w in words[2:2 + values]]
            where = words[2 + values]
            options = dict(w.split("=", 1) for w in words[3 + values:])
            file, _, at = where.partition(":")
            key = (kind, file, int(at) if at else None,
                   options.get("pid"), options.get("exe"))
            old = self.items.get(key, [0] * values)
            self.items[key] = [a + b for a, b in zip(old, numbers)]


def matches(process, pid, exe):
    if pid is not None and process["pid"] != int(pid):
        return False
    name = os.path.basename(process.get("exe") or "")
    name = name.removesuffix(" (deleted)")
    return exe is None or name == exe


def describe(site):
    return " < ".join(
        f"{f.get('function') or '?'}"
        f"({os.path.basename(f.get('file') or f.get('module') or '?')}"
        f":{f.get('line')})" for f in site["frames"][:6])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("report")
    parser.add_argument("truth")
    parser.add_argument("--allow", action="append", default=[],
                        help="drop cause that may be above zero")
    parser.add_argument("--want-drop", action="append", default=[],
                        help="drop cause that must be above zero")
    parser.add_argument("--in-flight", type=int, default=0,
                        help="operations that may be unknown in the totals")
    parser.add_argument("--no-totals", action="store_true")
    args = parser.parse_args()
    report = json.load(open(args.report))
    bad = []

    if report["schema"] != "seep-report/1":
        bad.append(f"schema is {report['schema']}")
    if not report["processes"]:
        bad.append("no process in the report")

    wanted = {name: 0 for name in args.want_drop}
    for process in report["processes"]:
        who = f"pid {process['pid']} {process.get('exe')}"
        for cause, count in process["drops"].items():
            if cause in wanted:
                wanted[cause] += count
            elif count and cause not in args.allow:
                bad.append(f"{who}: drop {cause} is {count}")
        own = [s for s in process["sites"] if s["class"] != "inherited"]
        totals = process["totals"]
        for site in own:
            # Deeper in, it may have been interrupted, or be fork's wrapper.
            inner = site["frames"][0]["module"] if site["frames"] else None
            if os.path.basename(inner or "").startswith("libseep"):
                bad.append(f"{who}: a block of the shim: {describe(site)}")
        if args.no_totals:
            continue
        for field in ("live_blocks", "live_bytes"):
            total = sum(s[field] for s in own)
            if total != totals[field]:
                bad.append(f"{who}: {field} of the sites add up to {total}, "
                           f"the total says {totals[field]}")
        live = totals["alloc_blocks"] - totals["free_blocks"]
        if abs(live - totals["live_blocks"]) > args.in_flight:
            bad.append(f"{who}: allocated {totals['alloc_blocks']} - freed "
                       f"{totals['free_blocks']} is {live}, "
                       f"alive {totals['live_blocks']}")
    bad += [f"drop {name} should be above zero"
            for name, count in wanted.items() if not count]

    truth = Truth(args.truth)
    if not truth.items:
        bad.append("the victim stated nothing")
    for (kind, file, line, pid, exe), want in truth.items.items():
        where = f"{file}:{line}" if line else file
        processes = [p for p in report["processes"] if matches(p, pid, exe)]
        if not processes:
            bad.append(f"{kind} {where}: no process pid={pid} exe={exe}")
            continue
        sites = [s for p in processes for s in p["sites"]
                 if (s["class"] == "inherited") == (kind == "inherited")]
        hits = [s for s in sites
                if place(s)[0] == file and line in (None, place(s)[1])]
        fields = (("alloc_blocks", "alloc_bytes") if kind == "alloc"
                  else ("live_blocks", "live_bytes"))
        blocks, size = (sum(s[f] for s in hits) for f in fields)
        if kind == "range":
            good = (want[0] <= blocks <= want[1]
                    and want[2] <= size <= want[3])
        else:
            good = [blocks, size] == want
        if not good:
            bad.append(f"{kind} {where} pid={pid}: expected {want}, "
                       f"report has {blocks} {size}")
            if kind == "total":
                known = {k[2] for k in truth.items if k[0] == "leak"}
                bad += [f"  not stated: {s['live_blocks']} {describe(s)}"
                        for s in hits if s["live_blocks"]
                        and place(s)[1] not in known][:10]
    for line in bad[:60]:
        print(line)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
