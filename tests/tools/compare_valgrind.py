#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""compare_valgrind.py [-v] [--env NAME=VALUE] [--stdin FILE] -- PROG ARG...

Runs PROG under valgrind and under `seep run` and compares what is alive at the
end: total blocks and bytes, then site by site, so that each difference can be
explained. Ends with 0 when the totals are equal, 1 when they differ.

Programs copy their environment (a shell every variable), so both runs get the
same variables, with values of the same length: what the one tool adds is given
to the other as an empty shell of it, LD_PRELOAD is filled up with a library
that is loaded anyway.

From the environment: SEEP, SEEP_SHIM, VALGRIND.
"""
import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

WRAPPERS = {"malloc", "calloc", "realloc", "free", "memalign", "posix_memalign",
            "aligned_alloc", "reallocarray", "valloc", "pvalloc"}


def valgrind_sites(path):
    """{stack: [blocks, bytes]}, innermost first, and the totals."""
    sites = collections.defaultdict(lambda: [0, 0])
    for error in ElementTree.parse(path).getroot().findall("error"):
        kind = error.findtext("kind") or ""
        if not kind.startswith("Leak_"):
            continue
        what = error.find("xwhat")
        size = int(what.findtext("leakedbytes"))
        # Of a lost block it counts what hangs on it, listed again by itself.
        direct = re.search(r"\(([\d,]+) direct", what.findtext("text"))
        if direct:
            size = int(direct.group(1).replace(",", ""))
        blocks = int(what.findtext("leakedblocks"))
        stack = []
        for frame in error.find("stack").findall("frame"):
            name = frame.findtext("fn") or "?"
            module = os.path.basename(frame.findtext("obj") or "?")
            if module.startswith("vgpreload"):
                continue
            stack.append(name if name != "?" else module)
        key = tuple(stack)
        sites[key][0] += blocks
        sites[key][1] += size
    return sites


def seep_sites(report, pid):
    sites = collections.defaultdict(lambda: [0, 0])
    totals = None
    processes = report["processes"]
    if pid is None:
        processes = processes[:1]
    for process in processes:
        totals = process["totals"]
        for site in process["sites"]:
            if site["class"] == "inherited" or not site["live_blocks"]:
                continue
            stack = []
            for frame in site["frames"]:
                name = frame.get("function")
                module = os.path.basename(frame.get("module") or "?")
                if module.startswith("libseep"):
                    continue
                if not stack and name in WRAPPERS:
                    continue
                stack.append(name or module)
            sites[tuple(stack)][0] += site["live_blocks"]
            sites[tuple(stack)][1] += site["live_bytes"]
    return sites, totals


def by_head(sites, depth):
    heads = collections.defaultdict(lambda: [0, 0])
    for stack, (blocks, size) in sites.items():
        key = tuple(re.sub(r"@.*|\(.*", "", f) for f in stack[:depth])
        heads[key][0] += blocks
        heads[key][1] += size
    return heads


def environment_under(prefix, env):
    out = subprocess.run(prefix + ["/usr/bin/env", "-0"], env=env, check=True,
                         stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL).stdout
    return dict(item.split("=", 1)
                for item in out.decode().split("\0") if "=" in item)


def filler(length):
    """A path of so many characters to a library that is loaded anyway."""
    head, tail = "/lib/x86_64-linux-gnu/", "libc.so.6"
    rest = length - len(head) - len(tail)
    return head + "/" * (rest % 2) + "./" * (rest // 2) + tail


def equalize(tools, envs):
    """Make both programs see variables of the same names and lengths."""
    seen = {t: environment_under(tools[t], envs[t]) for t in tools}
    a, b = tools
    for mine, other in ((a, b), (b, a)):
        for name, value in seen[mine].items():
            if name not in seen[other]:
                envs[other][name] = "x" * len(value)
    length = {t: len(seen[t].get("LD_PRELOAD", "")) for t in tools}
    most = max(length.values()) + 60
    for tool in tools:
        envs[tool]["LD_PRELOAD"] = filler(most - length[tool])
    seen = {t: environment_under(tools[t], envs[t]) for t in tools}
    shape = [{k: len(v) for k, v in seen[t].items() if k != "_"}
             for t in tools]
    if shape[0] != shape[1]:
        print(f"warning: environments differ: {shape}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--keep", help="folder to leave everything in")
    parser.add_argument("--depth", type=int, default=4,
                        help="frames that tell sites apart in the output")
    parser.add_argument("--soname", help="allocator, as in libjemalloc*")
    parser.add_argument("--stdin", default="/dev/null")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    seep = os.environ.get("SEEP", "seep")
    valgrind = os.environ.get("VALGRIND", "valgrind")
    work = args.keep or tempfile.mkdtemp(prefix="seep-valgrind.")
    os.makedirs(work, exist_ok=True)

    env = {"PATH": "/usr/bin:/bin", "HOME": work, "PWD": os.getcwd(),
           "OLDPWD": work, "LANG": "C.UTF-8",
           "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "PERL_HASH_SEED": "0"}
    env.update(item.split("=", 1) for item in args.env)
    xml = os.path.join(work, "valgrind.xml")
    flags = ["--leak-check=full", "--show-leak-kinds=all",
             "--run-libc-freeres=no", "--run-cxx-freeres=no",
             "--num-callers=40", "--xml=yes", f"--xml-file={xml}",
             "--errors-for-leak-kinds=none"]
    if args.soname:
        flags.append(f"--soname-synonyms=somalloc={args.soname}")
    program = shutil.which(args.command[0], path=env["PATH"])
    command = [program or args.command[0]] + args.command[1:]
    runs = {}
    rec = os.path.join(work, "rec")
    tools = {"valgrind": [valgrind] + flags,
             "seep": [seep, "run", "-q", "-o", rec, "--"]}
    envs = {tool: dict(env) for tool in tools}
    for tool in tools:
        # The tools' own settings; the same text in both environments.
        for name in ("SEEP_SHIM", "XDG_RUNTIME_DIR"):
            if name in os.environ:
                envs[tool][name] = os.environ[name]
    equalize(tools, envs)
    for tool, prefix in tools.items():
        if os.path.exists(rec):
            os.unlink(rec)
        with open(args.stdin, "rb") as stdin, \
                open(os.path.join(work, tool + ".out"), "wb") as out, \
                open(os.path.join(work, tool + ".err"), "wb") as err:
            runs[tool] = subprocess.run(prefix + command, env=envs[tool],
                                        stdin=stdin, stdout=out, stderr=err,
                                        check=False).returncode
    report = json.loads(subprocess.run(
        [seep, "report", rec, "--format", "json"],
        check=True, stdout=subprocess.PIPE).stdout)
    theirs = valgrind_sites(xml)
    ours, totals = seep_sites(report, None)

    def total(sites):
        return (sum(b for b, _ in sites.values()),
                sum(s for _, s in sites.values()))

    their_total, our_total = total(theirs), total(ours)
    difference = tuple(a - b for a, b in zip(our_total, their_total))
    print(f"status   valgrind {runs['valgrind']}, seep {runs['seep']}")
    print(f"valgrind {their_total[0]} blocks {their_total[1]} bytes")
    print(f"seep     {our_total[0]} blocks {our_total[1]} bytes "
          f"(totals {totals['live_blocks']} {totals['live_bytes']})")
    print(f"seep has {difference[0]:+d} blocks {difference[1]:+d} bytes")
    for process in report["processes"][:1]:
        drops = {k: v for k, v in process["drops"].items() if v}
        if drops:
            print(f"drops    {drops}")
    if difference != (0, 0) or args.verbose:
        a, b = by_head(theirs, args.depth), by_head(ours, args.depth)
        for key in sorted(set(a) | set(b),
                          key=lambda k: -abs(a[k][1] - b[k][1])):
            if a[key] != b[key]:
                print(f"  {b[key][0] - a[key][0]:+d} blocks "
                      f"{b[key][1] - a[key][1]:+d} bytes: {' < '.join(key)}")
    if not args.keep:
        shutil.rmtree(work)
    return 0 if difference == (0, 0) else 1


if __name__ == "__main__":
    sys.exit(main())
