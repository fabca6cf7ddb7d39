# SPDX-License-Identifier: MIT
"""Figures out of runs: medians, and what a tool adds to the untraced run.

A difference or a quotient is taken within a round, where both runs are
neighbours, and the median is that of the rounds.
"""
import statistics


def wall_s(run):
    """Seconds of a program as its user sees them; of a server, its load."""
    return run.values.get("load_s", run.wall)


def cpu_s(run):
    return run.cpu


def wall_ns(run):
    return run.values["wall_ns"]


def cpu_ns(run):
    return run.values["cpu_ns"]


def total_cpu_ns(run):
    """CPU of the whole run, helpers included, per operation."""
    return run.cpu * 1e9 / run.values["operations"]


def rss(run):
    """Resident bytes of the program per operation: block, or thread."""
    return run.values["rss_bytes"] / run.values["operations"]


def pairs_per_us(run):
    """Of all threads together: millions a second."""
    return run.values["threads"] * 1000 / run.values["wall_ns"]


def map_bytes(run):
    return run.values["map_bytes"] / run.values["live_blocks"]


class Figures:
    """Answers None for whatever was not measured."""

    def __init__(self, cells):
        self._cells = cells

    def cell(self, workload, tool="untraced"):
        return self._cells.get(workload, {}).get(tool)

    def runs(self, workload, tool="untraced"):
        """By round; empty if it failed at any time."""
        cell = self.cell(workload, tool)
        return cell.runs if cell and not cell.failure else {}

    def median(self, workload, tool, metric):
        values = [metric(run) for run in self.runs(workload, tool).values()]
        return statistics.median(values) if values else None

    def _pairs(self, one, other, metric):
        """Of the rounds that have both: (workload, tool) each."""
        first, second = self.runs(*one), self.runs(*other)
        return [(metric(first[n]), metric(second[n]))
                for n in first if n in second]

    def added(self, workload, tool, metric):
        pairs = self._pairs((workload, tool), (workload, "untraced"), metric)
        return statistics.median(a - b for a, b in pairs) if pairs else None

    def ratio(self, workload, tool, metric):
        pairs = self._pairs((workload, tool), (workload, "untraced"), metric)
        return statistics.median(a / b for a, b in pairs) if pairs else None

    def speed_up(self, alone, many, tool):
        """How many times as many operations a second."""
        pairs = self._pairs((many, tool), (alone, tool), pairs_per_us)
        return statistics.median(a / b for a, b in pairs) if pairs else None

    def times_less(self, workload, tool, than, metric):
        """What `than` adds over what `tool` adds. Infinite: the latter adds
        nothing that could be measured."""
        ours = self.added(workload, tool, metric)
        theirs = self.added(workload, than, metric)
        if ours is None or theirs is None:
            return None
        return theirs / ours if ours > 0 else float("inf")
