# SPDX-License-Identifier: MIT
"""What seep is to reach, and whether it did."""
import statistics

from . import figures as f

REAL = ("sqlite3", "python3", "perl", "git", "cc1plus", "jq", "xmllint",
        "redis")
SAMPLING = "seep --sample 512K"
COMPARED = "stacks compared"
KIB = 1024


class Goal:
    """A measure: what is wanted at least, what is aimed at, what it is.

    `values` are several figures of the same measure (flat and hop), each with
    its own limits; `low` says that less is better. With something `missing`
    there is no verdict.
    """

    def __init__(self, title, values, least, aim, low=True, digits=2,
                 unit="", note="", missing=""):
        self.title = title
        self.values = values
        self.least = least
        self.aim = aim
        self.low = low
        self.digits = digits
        self.unit = unit
        self.note = note + missing
        self.partial = bool(missing)

    def is_measured(self):
        return any(v is not None for v in self.values)

    def measured(self):
        if not self.is_measured():
            return "not measured"
        return " / ".join("-" if v is None else self._text(v)
                          for v in self.values) + self.note

    def limits(self, which):
        return " / ".join(f"{v:g}{self.unit}" for v in which)

    def _text(self, value):
        if value == float("inf"):
            return "no cost"
        return f"{value:.{self.digits}f}{self.unit}"

    def _reaches(self, limits):
        # As it is printed: what looks equal to its limit is.
        shown = [round(v, self.digits) for v in self.values]
        return all(v <= limit if self.low else v >= limit
                   for v, limit in zip(shown, limits))

    def verdict(self):
        if self.partial or any(v is None for v in self.values):
            return "-"
        if self._reaches(self.aim):
            return "aim met"
        return "met" if self._reaches(self.least) else "missed"


def _worst(figures, tool, metric):
    """The largest quotient of the programs, and whose it is."""
    found = [(figures.ratio(name, tool, metric), name) for name in REAL]
    found = [pair for pair in found if pair[0] is not None]
    return max(found) if found else (None, "")


def _missing(figures, tool):
    """How many programs there are figures of, if not of all."""
    n = sum(bool(figures.runs(name, tool)) for name in REAL)
    return "" if n in (0, len(REAL)) else f"; {n} of {len(REAL)} programs"


def _compared(figures):
    """Stacks of the check build, those unlike libunwind's, and fallbacks."""
    runs = [run.values for name in REAL
            for run in figures.runs(name, COMPARED).values()]
    stacks = sum(v["stacks"] for v in runs)
    wrong = sum(v["wrong"] + v["fresh"] + v["shorter"] for v in runs)
    return stacks, wrong if runs else None, sum(v["fallback"] for v in runs)


def _untraced_speed_up(figures):
    """What the machine itself can do."""
    found = [figures.speed_up(f"t1-{p}", f"t2-{p}", "untraced")
             for p in ("flat", "hop")]
    if None in found:
        return ""
    return " (untraced {:.2f} / {:.2f})".format(*found)


def goals(figures):
    """All of them, in the order of the table."""
    wall, wall_of = _worst(figures, "seep", f.wall_s)
    cpu, cpu_of = _worst(figures, "seep", f.cpu_s)
    sample, sample_of = _worst(figures, SAMPLING, f.wall_s)
    sample_cpu, sample_cpu_of = _worst(figures, SAMPLING, f.cpu_s)
    less = [x for x in (figures.times_less(name, "seep", "heaptrack", f.wall_s)
                        for name in REAL) if x is not None]

    def added(workload):
        return figures.added(workload, "seep", f.cpu_ns)

    def named(*pairs):
        names = " / ".join(name for _, name in pairs if name)
        return f" ({names})" if names else ""

    def by_the_clock(*workloads):
        found = [figures.added(w, "seep", f.wall_ns) for w in workloads]
        if None in found:
            return ""
        return f" (wall {' / '.join(f'{v:.1f}' for v in found)})"

    threads = figures.added("many-threads", "seep", f.rss)
    stacks, wrong, fallbacks = _compared(figures)
    return [
        Goal("added CPU ns per malloc/free pair, depth 20: flat / hop",
             [added("d20-flat"), added("d20-hop")], (20, 60), (12, 40),
             digits=1, note=by_the_clock("d20-flat", "d20-hop")),
        Goal("the same, depth 50 hop", [added("d50-hop")], (80,), (55,),
             digits=1, note=by_the_clock("d50-hop")),
        Goal("2 threads against 1, pairs per second: flat / hop",
             [figures.speed_up(f"t1-{p}", f"t2-{p}", "seep")
              for p in ("flat", "hop")], (1.8, 1.8), (1.95, 1.95), low=False,
             unit=" x", note=_untraced_speed_up(figures)),
        Goal("heaptrack's added wall time / seep's, depth 20 hop",
             [figures.times_less("d20-hop", "seep", "heaptrack", f.wall_ns)],
             (10,), (20,), low=False, digits=1, unit=" x"),
        Goal("heaptrack's added total CPU / seep's, depth 20 hop",
             [figures.times_less("d20-hop", "seep", "heaptrack",
                                 f.total_cpu_ns)],
             (15,), (25,), low=False, digits=1, unit=" x"),
        Goal("programs, over untraced, the worst: wall / total CPU",
             [wall, cpu], (1.4, 1.4), (1.15, 1.15),
             note=named((wall, wall_of), (cpu, cpu_of)),
             missing=_missing(figures, "seep")),
        Goal("heaptrack's added wall / seep's, programs: least / median",
             [min(less), statistics.median(less)] if less else [None, None],
             (2.5, 4), (5, 10), low=False, digits=1, unit=" x",
             missing=_missing(figures, "heaptrack")),
        Goal("live-map bytes per block: 24-100 / 24-1000 B / 1-64 KiB",
             [figures.median(name, "untraced", f.map_bytes)
              for name in ("map-100", "map-1000", "map-64k")],
             (28, 28, 32), (12, 12, 24), digits=0),
        Goal("added memory of the program per thread, 1000 threads",
             [None if threads is None else threads / KIB], (64,), (16,),
             digits=1, unit=" KiB"),
        Goal("sampling at 512 KiB, programs, the worst: wall / total CPU",
             [sample, sample_cpu], (1.03, 1.03), (1.01, 1.01),
             note=named((sample, sample_of), (sample_cpu, sample_cpu_of)),
             missing=_missing(figures, SAMPLING)),
        Goal("unwinder mismatches / fallbacks in a million stacks",
             [wrong, fallbacks * 1e6 / stacks if stacks else None],
             (0, 1), (0, 0),
             note=f" ({stacks / 1e6:.1f} M stacks)" if stacks else "",
             missing=_missing(figures, COMPARED)),
    ]
