# SPDX-License-Identifier: MIT
"""The report: tables in Markdown that are readable as plain text, too."""
from . import figures as f
from . import goals
from . import machine


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


class Report:
    """Sections appear if anything of theirs was run."""

    def __init__(self, plan, workloads, options):
        self.figures = f.Figures(plan.cells)
        self.skipped = plan.skipped
        self.workloads = [w for w in workloads if w.name in plan.cells]
        self.tools = {tool.name: tool for tool in plan.tools}
        self.options = options

    def text(self):
        sections = [self._programs(), self._loops(), self._threads(),
                    self._memory(), self._goals(), self._remarks()]
        return "\n\n".join([self._head(), *filter(None, sections)]) + "\n"

    # ---- cells: a figure, or why there is none --------------------------

    def _show(self, workload, tool, value, digits, sign=False):
        cell = self.figures.cell(workload, tool)
        if cell and cell.failure:
            return "failed"
        if value is None:
            return "-"
        text = f"{value:{'+' if sign else ''}.{digits}f}"
        return text + ("!" if cell.differs else "")

    def _ratio(self, workload, tool, metric):
        return self._show(workload, tool,
                          self.figures.ratio(workload, tool, metric), 2)

    def _added(self, workload, tool, metric, digits=1):
        return self._show(workload, tool,
                          self.figures.added(workload, tool, metric), digits,
                          sign=True)

    def _median(self, workload, tool, metric, digits=1):
        return self._show(workload, tool,
                          self.figures.median(workload, tool, metric), digits)

    def _title(self, workload):
        return workload.shown(self.options.scale)

    def _group(self, *groups):
        return [w for w in self.workloads if w.group in groups]

    # ---- sections -------------------------------------------------------

    def _head(self):
        o = self.options
        versions = ", ".join(
            filter(None, (tool.version() for tool in self.tools.values())))
        text = (f"Measured with `make bench` on {o.date}: seep {o.revision}"
                f"{' beside ' + versions if versions else ''}.\n"
                f"Machine: {machine.describe()}.\n"
                f"Medians of {o.runs} rounds (programs untraced and under "
                f"seep: {2 * o.runs}), all in turn; of valgrind\none run. "
                "\"!\": the program's output was not as without the tool.")
        text += (f"\nOther processes kept {o.others:.2f} CPUs busy meanwhile"
                 f"{': too many to quote figures' if o.others > .1 else ''}.")
        if o.scale != 1:
            text += (f"\nScaled by {o.scale:g}: too short for figures to "
                     "be quoted.")
        return text

    def _programs(self):
        rows = []
        for w in self._group("real"):
            row = [w.title,
                   self._median(w.name, "untraced", f.wall_s, 2) + " s"]
            for tool in "seep", goals.SAMPLING, "heaptrack", "valgrind":
                row += [self._ratio(w.name, tool, f.wall_s),
                        self._ratio(w.name, tool, f.cpu_s)]
            rows.append(row + [self._output(w)])
        if not rows:
            return self._start()
        head = ["program", "untraced", "seep", "CPU", "--sample", "CPU",
                "heaptrack", "CPU", "valgrind", "CPU", "output"]
        return ("Real programs: the time they take over that which they take "
                "untraced, by the clock\nand (CPU) of all processes, the "
                "tool's helpers included, from start to end of the\ncommand. "
                "--sample is seep run --sample 512K. redis is timed from the "
                "first to the\nlast request of redis-benchmark.\n\n"
                + table(head, rows) + "\n\n" + self._start()).rstrip()

    def _start(self):
        """What a run costs, whatever the program does."""
        found = []
        for w in self._group("start"):
            for tool in self.tools:
                if tool != "untraced" and tool in w.tools:
                    wall, cpu = (self._added(w.name, tool, metric, 3)
                                 for metric in (f.wall_s, f.cpu_s))
                    found.append(f"{tool} {wall} s (CPU {cpu} s)")
        return "" if not found else \
            "Of this, a program that ends at once (`true`) takes " + \
            ",\n".join(found) + "."

    def _output(self, workload):
        """The same under every tool?"""
        cells = [self.figures.cell(workload.name, tool)
                 for tool in self.tools if tool in workload.tools]
        bad = any(cell.failure or cell.differs for cell in cells)
        return "see below" if bad else "same"

    def _loops(self):
        loops = self._group("depth", "live")
        if not loops:
            return ""
        head = ["malloc and free", "untraced", "seep", "CPU", "total CPU",
                "heaptrack", "CPU", "total CPU", "valgrind"]
        rows = []
        for w in loops:
            rows.append([
                self._title(w), self._median(w.name, "untraced", f.wall_ns),
                *(self._added(w.name, "seep", m)
                  for m in (f.wall_ns, f.cpu_ns, f.total_cpu_ns)),
                *(self._added(w.name, "heaptrack", m, 0)
                  for m in (f.wall_ns, f.cpu_ns, f.total_cpu_ns)),
                self._added(w.name, "valgrind", f.wall_ns, 0)])
        return ("Loops: nanoseconds per pair of malloc and free (of a block, "
                "where all are kept),\nuntraced, and what each tool adds: by "
                "the clock, CPU of the thread, and total CPU of\nall "
                "processes with start and end. " + self._lengths(loops) +
                "\n\n" + table(head, rows) +
                "\n\n*flat* allocates in a loop; *hop* comes from another "
                "stack each time, 2.4 frames of\nwhich have changed "
                "(bench/targets/churn.c).")

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
                rate = self.figures.median(w.name, tool, f.pairs_per_us)
                up = self.figures.speed_up(w.alone, w.name, tool)
                text = self._show(w.name, tool, rate, 2)
                row += [text, self._show(w.name, tool, up, 2)]
            rows.append(row)
        head = ["threads"]
        for tool in shown:
            head += [tool, "x"]
        return ("Threads: million pairs of malloc and free a second of all "
                "threads together, and how\nmany times that of one thread.\n\n"
                + table(head, rows))

    def _memory(self):
        maps = [w for w in self._group("memory") if w.name.startswith("map-")]
        text = []
        if maps:
            text.append(
                "Live map: bytes per living block, all pages of directory "
                "and words that the live map\nhas over the number of blocks; "
                "sizes spread evenly over their logarithm.\n\n" +
                table(["requested size", "bytes per block"],
                      [[self._title(w), self._median(w.name, "untraced",
                                              f.map_bytes)] for w in maps]))
        rows = []
        for name in "retain", "threads":
            found = [w for w in self.workloads if w.name == name]
            if found:
                rows.append([
                    self._title(found[0]),
                    self._median(name, "untraced", f.rss, 0),
                    self._added(name, "seep", f.rss, 0),
                    self._added(name, "heaptrack", f.rss, 0)])
        if rows:
            text.append(
                "Memory of the program: resident bytes per block or thread "
                "untraced, and what each tool\nadds, its shared memory "
                "included.\n\n" +
                table(["program", "untraced", "seep", "heaptrack"], rows))
        return "\n\n".join(text)

    def _goals(self):
        rows = [[g.title, g.limits(g.least), g.limits(g.aim), g.measured(),
                 g.verdict() if self.options.scale == 1 else "too short"]
                for g in goals.goals(self.figures)]
        if all(row[3] == "not measured" for row in rows):
            return ""
        return ("Goals, and whether they are reached; \"added\" is over "
                "untraced.\n\n" +
                table(["measure", "at least", "aim", "measured", "result"],
                      rows))

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
