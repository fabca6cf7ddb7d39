# SPDX-License-Identifier: MIT
"""The report: tables in Markdown that are readable as plain text, too."""
import textwrap

from . import figures as f
from . import goals
from . import machine

COMPARED = ("seep", goals.SAMPLING, "heaptrack", "valgrind")


def table(head, rows):
    """The first column is text, the others figures or short words."""
    rows = [[str(x) for x in row] for row in rows]
    widths = [max(3, *(len(row[i]) for row in [head, *rows]))
              for i in range(len(head))]

    def line(row):
        cells = [cell.ljust(w) if i == 0 else cell.rjust(w)
                 for i, (cell, w) in enumerate(zip(row, widths))]
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "|".join(
        "-" * (w + 2) if i == 0 else "-" * (w + 1) + ":"
        for i, w in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def paragraph(*sentences):
    return textwrap.fill(" ".join(filter(None, sentences)), 80,
                         break_long_words=False, break_on_hyphens=False)


class Report:
    """Sections appear if anything of theirs was run."""

    def __init__(self, plan, workloads, options):
        self.figures = f.Figures(plan.cells)
        self.skipped = plan.skipped
        self.workloads = [w for w in workloads if w.name in plan.cells]
        self.tools = {tool.name: tool for tool in plan.tools}
        self.options = options

    def text(self):
        sections = [self._head(), self._programs(), self._start(),
                    self._loops(), self._threads(), self._map(),
                    self._memory(), self._goals(), self._remarks()]
        return "\n\n".join(filter(None, sections)) + "\n"

    # ---- cells: a figure, or why there is none --------------------------

    def _show(self, workload, tool, value, digits, sign=""):
        cell = self.figures.cell(workload.name, tool)
        if cell and cell.failure:
            return "failed"
        if value is None:
            return "-"
        return f"{value:{sign}.{digits}f}" + ("!" if cell.differs else "")

    def _ratio(self, workload, tool, metric):
        value = self.figures.ratio(workload.name, tool, metric)
        return self._show(workload, tool, value, 2)

    def _added(self, workload, tool, metric, digits=1):
        value = self.figures.added(workload.name, tool, metric)
        return self._show(workload, tool, value, digits, sign="+")

    def _median(self, workload, tool, metric, digits=1):
        value = self.figures.median(workload.name, tool, metric)
        return self._show(workload, tool, value, digits)

    def _title(self, workload):
        return workload.shown(self.options.scale)

    def _group(self, *groups):
        return [w for w in self.workloads if w.group in groups]

    # ---- sections -------------------------------------------------------

    def _head(self):
        o = self.options
        versions = [tool.version() for tool in self.tools.values()]
        commit = f", commit {o.revision}" if o.revision else ""
        commands = [f"`{tool.usage}`" for tool in self.tools.values()
                    if tool.usage]
        return "\n\n".join([
            paragraph(f"Measured with `make bench` on {o.date}{commit}: " +
                      ", ".join(filter(None, versions)) + "."),
            paragraph(f"Machine: {machine.describe()}.",
                      f"Other processes kept {o.others:.2f} CPUs busy "
                      "meanwhile" + (": too many to quote figures."
                                     if o.others > 0.1 else ".")),
            paragraph(f"Medians of {o.runs} runs, all in turn (programs "
                      f"untraced and under seep {2 * o.runs}, valgrind 1).",
                      f"Commands: {', '.join(commands)}.",
                      "\"!\" at a figure: the output was not as without the "
                      "tool.",
                      o.scale != 1 and f"Scaled by {o.scale:g}: too short "
                      "for figures to be quoted.")])

    def _programs(self):
        rows = []
        for w in self._group("real"):
            row = [w.title, self._median(w, "untraced", f.wall_s, 2) + " s"]
            for tool in COMPARED:
                row += [self._ratio(w, tool, f.wall_s),
                        self._ratio(w, tool, f.cpu_s)]
            rows.append(row + [self._output(w)])
        if not rows:
            return ""
        head = ["program", "untraced", "seep", "CPU", "--sample", "CPU",
                "heaptrack", "CPU", "valgrind", "CPU", "output"]
        return paragraph(
            "Real programs: the time they take over that which they take "
            "untraced, by the clock and (CPU) of all processes, the tool's "
            "helpers included, from start to end of the command. \"--sample\" "
            "is seep with --sample 512K. redis is timed by the clock from the "
            "first to the last request of redis-benchmark.",
        ) + "\n\n" + table(head, rows) + self._reports()

    def _output(self, workload):
        """The same under every tool?"""
        cells = [self.figures.cell(workload.name, tool)
                 for tool in self.tools if tool in workload.tools]
        bad = any(cell.failure or cell.differs for cell in cells)
        return "see below" if bad else "same"

    def _reports(self):
        """What is not in the figures, for -q leaves it out."""
        times = [run.values["report_s"] for w in self._group("real")
                 for run in self.figures.runs(w.name, "seep").values()
                 if "report_s" in run.values]
        return "" if not times else "\n\n" + paragraph(
            "Not in these figures: the report that seep run prints at the end "
            f"without -q, {min(times):.2f} to {max(times):.2f} s, and "
            "heaptrack's, which heaptrack_print makes afterwards.")

    def _start(self):
        """What a run costs, whatever the program does."""
        found = []
        for w in self._group("start"):
            for tool in self.tools:
                if tool != "untraced" and tool in w.tools:
                    wall, cpu = (self._added(w, tool, metric, 3)
                                 for metric in (f.wall_s, f.cpu_s))
                    found.append(f"{tool} {wall} s (CPU {cpu} s)")
        return found and paragraph(
            "A program that ends at once (`true`), time added:",
            ", ".join(found) + ".")

    def _loops(self):
        loops = self._group("depth", "live")
        if not loops:
            return ""
        head = ["malloc and free", "untraced", "seep", "CPU", "total CPU",
                "heaptrack", "CPU", "total CPU", "valgrind"]
        rows = []
        for w in loops:
            rows.append([
                self._title(w), self._median(w, "untraced", f.wall_ns),
                *(self._added(w, "seep", metric)
                  for metric in (f.wall_ns, f.cpu_ns, f.total_cpu_ns)),
                *(self._added(w, "heaptrack", metric, 0)
                  for metric in (f.wall_ns, f.cpu_ns, f.total_cpu_ns)),
                self._added(w, "valgrind", f.wall_ns, 0)])
        return paragraph(
            "Loops: nanoseconds per pair of malloc and free (per block, where "
            "all are kept), untraced, and what each tool adds: by the clock, "
            "CPU of the thread, and total CPU of all processes with their "
            "start and end.", self._lengths(loops),
            "*flat* allocates in a loop; *hop* comes from another stack each "
            "time, 2.4 frames of which have changed (bench/targets/churn.c).",
        ) + "\n\n" + table(head, rows)

    def _lengths(self, loops):
        """How long the runs were, so that one can judge what they tell."""
        found = []
        for tool in "untraced", "seep", "heaptrack":
            times = [self.figures.median(w.name, tool, f.wall_s)
                     for w in loops]
            times = [t for t in times if t is not None]
            if times:
                found.append(f"{min(times):.1f} to {max(times):.1f} s "
                             f"({tool})")
        return "A run takes " + ", ".join(found) + "."

    def _threads(self):
        loops = self._group("threads")
        if not loops:
            return ""
        shown = [tool for tool in ("untraced", "seep", "heaptrack")
                 if tool in self.tools]
        rows = []
        for w in loops:
            row = [f"{self._title(w)}, {w.threads} thread"
                   f"{'s' if w.threads > 1 else ''}"]
            for tool in shown:
                times = self.figures.speed_up(w.alone, w.name, tool)
                row += [self._median(w, tool, f.pairs_per_us, 2),
                        self._show(w, tool, times, 2)]
            rows.append(row)
        head = ["threads"]
        for tool in shown:
            head += [tool, "x"]
        return paragraph(
            "Threads: million pairs of malloc and free a second of all "
            "threads together, and how many times that of one thread.",
        ) + "\n\n" + table(head, rows)

    def _map(self):
        rows = [[self._title(w), self._median(w, "untraced", f.map_bytes)]
                for w in self._group("memory") if w.name.startswith("map-")]
        return rows and paragraph(
            "Live map: bytes of its directories and words, all pages that it "
            "has, over the number of living blocks; sizes of blocks are "
            "spread evenly over their logarithm, and mixed.",
        ) + "\n\n" + table(["requested size", "bytes per block"], rows)

    def _memory(self):
        rows = [[self._title(w), self._median(w, "untraced", f.rss, 0),
                 self._added(w, "seep", f.rss, 0),
                 self._added(w, "heaptrack", f.rss, 0)]
                for w in self.workloads
                if w.name in ("retain", "many-threads")]
        return rows and paragraph(
            "Memory of the program: resident bytes per block or thread "
            "untraced, and what each tool adds to the program, memory shared "
            "with its helpers included.",
        ) + "\n\n" + table(["program", "untraced", "seep", "heaptrack"], rows)

    def _goals(self):
        measured = goals.goals(self.figures)
        if not any(g.is_measured() for g in measured):
            return ""
        rows = [[g.title, g.limits(g.least), g.limits(g.aim), g.measured(),
                 g.verdict() if self.options.scale == 1 else "too short"]
                for g in measured]
        return paragraph(
            "Goals, and whether they are reached. Added is over untraced.",
        ) + "\n\n" + table(
            ["measure", "at least", "aim", "measured", "result"], rows)

    def _remarks(self):
        """Everything that did not go as it should; nothing is left out."""
        found = list(self.skipped)
        for w in self.workloads:
            for tool in self.tools:
                cell = self.figures.cell(w.name, tool)
                if cell and (cell.failure or cell.differs or cell.remarks):
                    found.append(f"{w.name}, {tool}: {cell.state()}")
        return "\n".join(["Remarks:\n", *("- " + x for x in found)]) \
            if found else ""
