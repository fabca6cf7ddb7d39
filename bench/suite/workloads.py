# SPDX-License-Identifier: MIT
"""What is run, in groups; `bench/run --list` prints it.

A loop is a C program of ours that reports nanoseconds per operation by its own
clock, so that the beginning and the end of a run do not enter. A program is a
real one, timed as a whole, as its user sees it.
"""
import os
import shutil
import subprocess

from . import inputs
from . import redis

TARGETS = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "targets")


class Place:
    """Where things are: the build, and the inputs (made on first use)."""

    def __init__(self, build):
        self.build = build
        self.shim = os.path.join(build, ".libs", "libseep.so")
        self._inputs = os.path.join(build, "bench", "inputs")

    def target(self, name):
        return os.path.join(self.build, "bench", "targets", name)

    def input(self, name):
        return inputs.make(name, self._inputs)


class Workload:
    """One thing that is run under each of `tools`."""

    tools = ("untraced", "seep", "heaptrack", "valgrind")
    environment = {}
    pattern = None      # of a loop of which a slow tool does a share
    rounds = 1          # runs in a round, of tools that are not slow
    measures = ()       # values that a run must give
    warms_up = False    # a run before the first: files get into memory

    def __init__(self, name, group, title):
        self.name = name
        self.group = group
        self.title = title
        self.series = name      # those of one series alternate, too

    def labels(self):
        """What --only can call it."""
        return {self.name, self.group}

    def shown(self, _scale):
        """What it is called in tables."""
        return self.title

    def missing(self):
        """Why it cannot be run here, or None."""
        return None

    def command(self, place, scale):
        """The argument list; inputs that are not there yet are made."""
        raise NotImplementedError

    def during(self, _folder):
        """What to do while it runs: see process.run()."""
        return None

    def result(self, run):
        """What must be the same, traced or not."""
        return run.output


MEASURES = {
    "churn": ("wall_ns", "cpu_ns", "threads", "operations"),
    "retain": ("wall_ns", "cpu_ns", "rss_bytes", "operations"),
    "threads": ("rss_bytes", "operations"),
}


class Loop(Workload):
    """A program of bench/targets: TARGET BEFORE OPERATIONS AFTER.

    With a pattern, a slow tool does its share of the operations only: figures
    are per operation.
    """

    def __init__(self, name, group, title, target, before, operations,
                 after=(), pattern=None):
        super().__init__(name, group, title)
        self.target = target
        self.before = before
        self.operations = operations
        self.after = after
        self.pattern = pattern
        self.measures = MEASURES[target]

    def labels(self):
        return super().labels() | ({"churn"} if self.pattern else set())

    def _count(self, scale):
        return max(1, int(self.operations * scale))

    def shown(self, scale):
        return self.title.format(f"{self._count(scale):,}")

    def command(self, place, scale):
        return [place.target(self.target), *map(str, self.before),
                str(self._count(scale)), *map(str, self.after)]


class Map(Loop):
    """Reads the live map that blocks which were retained leave."""

    tools = ("untraced",)

    def __init__(self, name, title, blocks, smallest, largest):
        super().__init__(name, "memory", title, "retain", (), blocks,
                         (smallest, largest))
        self.measures = ("map_bytes", "live_blocks")

    def command(self, place, scale):
        return [os.path.join(place.build, "bench", "map_bytes"), place.shim,
                *super().command(place, scale)]


class Program(Workload):
    """A real program; it does the same at any scale."""

    rounds = 2          # traced and untraced are close together
    warms_up = True
    tools = ("untraced", "seep", "seep --sample 512K", "heaptrack",
             "valgrind", "stacks compared")

    def __init__(self, name, arguments, environment=None):
        super().__init__(name, "real", name)
        self.arguments = arguments
        self.environment = environment or {}

    def missing(self):
        return None if self.program() else f"no {self.name} here"

    def program(self):
        """Its whole path: heaptrack does not look for it; or None."""
        return shutil.which(self.name)

    def command(self, place, _scale):
        return [self.program(),
                *(arg(place) if callable(arg) else arg
                  for arg in self.arguments)]


class Python(Program):
    """The system's: what is first in PATH may be a script that finds one."""

    def program(self):
        return shutil.which("/usr/bin/python3") or super().program()


class Compiler(Program):
    """The C++ compiler proper, without driver and assembler."""

    def program(self):
        if not shutil.which("g++"):
            return None
        found = subprocess.run(["g++", "-print-prog-name=cc1plus"], text=True,
                               capture_output=True, check=False).stdout
        return shutil.which(found.strip())


class Redis(Program):
    """A server, timed from the first to the last request."""

    measures = ("load_s", "load_status", "list_items")

    def missing(self):
        return redis.missing()

    def command(self, _place, _scale):
        return [shutil.which(redis.SERVER[0]), *redis.SERVER[1:]]

    def during(self, folder):
        return lambda server: redis.load(server, folder)

    def result(self, run):
        return f"{run.values['load_status']} {run.values['list_items']}"


def _file(name):
    return lambda place: place.input(name)


JQ = """
[.[] | {g: .grp, t: (.tags | join("-")), n: (.user | ascii_upcase)}]
| group_by(.g) | map({g: .[0].g, n: length, s: (map(.t | length) | add)})
| length
"""


def _churn(name, group, title, pattern, depth, threads, pairs, live=()):
    return Loop(name, group, title, "churn", (pattern, depth, threads), pairs,
                live, pattern)


def _depths():
    for depth in 5, 20, 50:
        for pattern, pairs in ("flat", 50e6), ("hop", 20e6):
            yield _churn(f"d{depth}-{pattern}", "depth",
                         f"depth {depth}, {pattern}", pattern, depth, 1, pairs)


def _threads():
    for pattern, pairs in ("flat", 50e6), ("hop", 20e6):
        for threads in 1, 2, 4:
            loop = _churn(f"t{threads}-{pattern}", "threads",
                          f"depth 20, {pattern}", pattern, 20, threads,
                          pairs / max(2, threads))
            loop.series = f"threads-{pattern}"
            loop.threads = threads
            loop.alone = f"t1-{pattern}"
            yield loop


def _live():
    yield _churn("replace", "live", "200,000 live blocks, hop", "hop", 20, 1,
                 10e6, (200000,))
    yield _churn("rotate", "live", "4096 stacks, 64 pairs each", "rotate",
                 20, 1, 40e6)
    yield _churn("rotate1", "live", "4096 stacks, each time another",
                 "rotate1", 20, 1, 2e6)
    yield Loop("retain", "live", "{} blocks kept", "retain", (), 5e6,
               (48, 80))


def _memory():
    yield Map("map-24", "24 bytes", 1e6, 24, 24)
    yield Map("map-64", "48 to 80 bytes", 1e6, 48, 80)
    yield Map("map-100", "24 to 100 bytes", 1e6, 24, 100)
    yield Map("map-1000", "24 to 1000 bytes", 1e6, 24, 1000)
    yield Map("map-4k", "4 KiB", 1e5, 4096, 4096)
    yield Map("map-64k", "1 KiB to 64 KiB", 1e5, 1024, 65536)
    threads = Loop("many-threads", "memory", "{} threads, 16 blocks each",
                   "threads", (), 1000, (16,))
    threads.tools = ("untraced", "seep", "heaptrack")
    yield threads


def _real():
    yield Program("sqlite3", (":memory:",
                              lambda p: f".read '{p.input('mix.sql')}'"))
    yield Python("python3", (os.path.join(TARGETS, "mix.py"),),
                 {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"})
    yield Program("perl", (os.path.join(TARGETS, "mix.pl"),),
                  {"PERL_HASH_SEED": "0"})
    yield Program("git", ("--no-pager", "-C", _file("mix.git"), "log",
                          "--stat", "-M"))
    yield Compiler("cc1plus", ("-fpreprocessed", "-O2", "-quiet", "-std=c++17",
                               "-o", "-", _file("mix.ii")))
    yield Program("jq", (JQ, _file("mix.json")))
    yield Program("xmllint", ("--xpath", "count(//rec[@user and pos/@x=5])",
                              _file("mix.xml")))
    yield Redis("redis", ())


def all_workloads():
    start = Program("true", ())
    start.group = "start"
    start.tools = start.tools[:-1]
    return [*_real(), start, *_depths(), *_threads(), *_live(), *_memory()]
