# SPDX-License-Identifier: MIT
"""Runs workloads under tools in turn, and keeps what each run gave."""
import os
import shutil

from . import process


class Cell:
    """The runs of one workload under one tool."""

    def __init__(self):
        self.runs = {}          # by round
        self.failure = None     # why there are no more
        self.skipped = None     # why there were none
        self.differs = False    # the program's output is not as untraced
        self.remarks = []       # of the tool, on what was lost

    def state(self):
        return self.failure or self.skipped or ", ".join(
            ["differs" if self.differs else "same", *self.remarks])


class Schedule:
    """Runs everything; `cells[workload.name][tool.name]` is the outcome.

    A round runs untraced and then each tool, beginning with the next one in
    each round, so that none always comes after the same other. A tool that
    fails on a workload is not run on it again.
    """

    def __init__(self, place, tools, options, say):
        self.place = place
        self.tools = tools
        self.options = options
        self.say = say
        self.cells = {}

    def run(self, workloads):
        series = {}
        for workload in workloads:
            series.setdefault(workload.series, []).append(workload)
        for members in series.values():
            self._run_series(members)

    def _run_series(self, workloads):
        todo = []
        for workload in workloads:
            why = workload.missing()
            cells = self.cells[workload.name] = {}
            for tool in self.tools:
                if tool.name not in workload.tools:
                    continue
                cells[tool.name] = cell = Cell()
                cell.skipped = why or tool.missing()
                if cell.skipped:
                    self.say(f"{workload.name}, {tool.name}: skipped, "
                             f"{cell.skipped}")
                else:
                    todo.append((workload, tool, cell))
        rounds = workloads[0].rounds
        for number in range(self.options.runs * rounds):
            turn = number % len(todo) if todo else 0
            for workload, tool, cell in todo[turn:] + todo[:turn]:
                due = not (tool.slow and number % rounds or
                           tool.once and number)
                if due and not cell.failure:
                    self._run_one(workload, tool, cell, number)
        for workload in workloads:
            self._compare(workload)

    def _run_one(self, workload, tool, cell, number):
        folder = os.path.join(self.options.work, "run")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder, 0o700)
        scale = self.options.scale * tool.share(workload)
        try:
            run = process.run(
                tool.prefix(folder) +
                workload.command(self.place, scale), folder,
                {**workload.environment, **tool.environment(folder)},
                self.options.timeout, workload.during(folder))
        except (OSError, RuntimeError) as e:
            cell.failure = f"failed: {e}"
            run = None
        else:
            if run.status is None:
                cell.failure = f"failed: over {self.options.timeout:g} s"
            elif run.status:
                cell.failure = f"failed: status {run.status}"
            elif not set(workload.measures) <= set(run.values):
                cell.failure = "failed: no figures"
        if cell.failure:
            self.say(f"{workload.name}, {tool.name}: {cell.failure}")
            self._quote_stderr(folder)
            return
        cell.runs[number] = run
        if len(cell.runs) == 1:
            cell.remarks = tool.remarks(folder, run)
        self.say(f"{workload.name}, {tool.name}, round {number + 1}: "
                 f"{run.wall:.2f} s, CPU {run.cpu:.2f} s")

    def _quote_stderr(self, folder):
        try:
            with open(os.path.join(folder, "stderr"), encoding="utf-8",
                      errors="replace") as f:
                for line in f.read().splitlines()[-3:]:
                    self.say("  " + line)
        except OSError:
            pass

    def _compare(self, workload):
        """Each tool's result with that of the untraced program."""
        cells = self.cells[workload.name]
        plain = cells.get("untraced")
        if not plain or not plain.runs:
            return
        first = next(iter(plain.runs.values()))
        expected = workload.result(first)
        for tool in self.tools:
            cell = cells.get(tool.name, Cell())
            for run in cell.runs.values():
                got = workload.result(run)
                # What prints among the program's lines must leave them whole.
                same = got == expected or tool.own_output and expected in got
                # Of another share of the operations the sums are others.
                if not same and run.values.get("operations") == \
                        first.values.get("operations"):
                    cell.differs = True
            if cell.differs:
                self.say(f"{workload.name}, {tool.name}: the output differs")
