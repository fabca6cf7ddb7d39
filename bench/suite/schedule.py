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
        self.differs = False    # the program's output is not as untraced
        self.remarks = []       # of the tool, on what was lost

    def state(self):
        return self.failure or ", ".join(
            ["differs" if self.differs else "same", *self.remarks])


class Schedule:
    """Runs everything; `cells[workload.name][tool.name]` is the outcome.

    A round runs untraced and then each tool, beginning with the next one in
    each round, so that none always comes after the same other. A tool that
    fails on a workload is not run on it again.
    """

    def __init__(self, place, tools, options, say):
        self.place = place
        self.options = options
        self.say = say
        self.cells = {}
        self.skipped = []       # "what: why"
        self.tools = [tool for tool in tools if not self._skips(tool)]

    def run(self, workloads):
        series = {}
        for workload in workloads:
            if not self._skips(workload):
                series.setdefault(workload.series, []).append(workload)
        for members in series.values():
            self._run_series(members)

    def _skips(self, thing):
        """A tool or workload that is not to be had here."""
        why = thing.missing()
        if why:
            self.skipped.append(f"{thing.name} skipped: {why}")
            self.say(self.skipped[-1])
        return bool(why)

    def _run_series(self, workloads):
        todo = []
        for workload in workloads:
            cells = self.cells[workload.name] = {}
            for tool in self.tools:
                if tool.name in workload.tools:
                    cells[tool.name] = cell = Cell()
                    todo.append((workload, tool, cell))
            if workload.warms_up:
                self._run_one(workload, self.tools[0], Cell(), -1)
        rounds = workloads[0].rounds
        for number in range(self.options.runs * rounds):
            turn = number % len(todo)
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
        except (OSError, RuntimeError, ValueError) as e:
            cell.failure = f"failed: {e}"
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
            cell.remarks = tool.look(folder, run)
        what = f"round {number + 1}" if number >= 0 else "to warm up"
        self.say(f"{workload.name}, {tool.name}, {what}: "
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
        plain = cells["untraced"].runs
        if not plain:
            return
        first = next(iter(plain.values()))
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
