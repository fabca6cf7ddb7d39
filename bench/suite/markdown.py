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

    def __init__(self, figures, workloads, tools, options):
        self.figures = figures
        self.workloads = workloads
        self.tools = {tool.name: tool for tool in tools}
        self.options = options

    def text(self):
        sections = [self._programs(), self._loops(), self._threads(),
                    self._memory(), self._goals(), self._remarks()]
        return "\n\n".join([self._head(), *filter(None, sections)]) + "\n"

    # ---- cells: a figure, or why there is none --------------------------

    def _show(self, workload, tool, value, digits, sign=False):
        cell = self.figures.cell(workload, tool)
        if tool not in self.tools or not cell or cell.skipped:
            return "-"
        if cell.failure:
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
            tool.version() for tool in self.tools.values()
            if not tool.missing() and tool.version())
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
        programs = self._group("real", "start")
        if not programs:
            return ""
        head = ["program", "untraced", "seep", "CPU", "--sample", "CPU",
                "heaptrack", "CPU", "valgrind", "output"]
        rows = []
        for w in programs:
            digits = 2 if w.group == "real" else 3
            row = [self._title(w),
                   self._median(w.name, "untraced", f.wall_s, digits) + " s"]
            show = self._ratio
            if w.group == "start":
                # Of next to nothing, a quotient says nothing.
                def show(name, tool, metric):
                    text = self._added(name, tool, metric, 3)
                    return text if text[-1].isalpha() or text == "-" \
                        else text + " s"
            for tool, metrics in (
                    ("seep", (f.wall_s, f.cpu_s)),
                    (goals.SAMPLING, (f.wall_s, f.cpu_s)),
                    ("heaptrack", (f.wall_s, f.cpu_s)),
                    ("valgrind", (f.wall_s,))):
                row += [show(w.name, tool, metric) for metric in metrics]
            rows.append(row + [self._output(w)])
        return ("Real programs: time over that of the untraced program, wall "
                "and (CPU) total of\nall processes, the tool's helpers "
                "included, from start to end of the command.\n\n"
                + table(head, rows) +
                "\n\n`true` ends at once: what a run costs whatever the "
                "program does, in seconds added.\nredis is timed from the "
                "first to the last request of redis-benchmark.")

    def _output(self, workload):
        """same, when it was under every tool."""
        found = []
        for name in self.tools:
            cell = self.figures.cell(workload.name, name)
            if cell and (cell.failure or cell.differs) and not cell.skipped:
                found.append(name)
        if found:
            return "see below"
        plain = self.figures.cell(workload.name)
        return "-" if not plain or plain.skipped else "same"

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
        found = []
        skipped = {}
        for w in self.workloads:
            for name in self.tools:
                cell = self.figures.cell(w.name, name)
                if not cell:
                    continue
                if cell.skipped:
                    skipped.setdefault((name, cell.skipped), []).append(w.name)
                elif cell.failure or cell.differs or cell.remarks:
                    found.append(f"- {w.name}, {name}: {cell.state()}")
        for (name, why), of in skipped.items():
            what = "all" if len(of) == sum(
                name in w.tools for w in self.workloads) else ", ".join(of)
            found.append(f"- {name} skipped ({what}): {why}")
        return "Remarks:\n\n" + "\n".join(found) if found else ""
