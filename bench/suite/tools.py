# SPDX-License-Identifier: MIT
"""The tools that are compared: how each is put in front of a command."""
import json
import os
import shutil
import subprocess
import sys
import time


class Tool:
    """A tool; `prefix` of its command line, {out} being a folder per run."""

    name = ""
    labels = ()         # what --tools calls it
    usage = ""          # how it is shown
    slow = False        # runs less often where seep runs more often
    shares = {}         # of a loop's operations, by its pattern
    once = False        # runs in the first round only
    own_output = False  # prints among the program's output

    def prefix(self, out):
        raise NotImplementedError

    def share(self, workload):
        return self.shares.get(workload.pattern, 1)

    def environment(self, _out):
        return {}

    def missing(self):
        """Why it cannot be used, or None."""
        return None

    def version(self):
        return ""

    def look(self, _out, _run):
        """Remarks on the first run: what the tool itself says was lost."""
        return []


def _first_line(*command):
    try:
        text = subprocess.run(command, capture_output=True, text=True,
                              check=False, timeout=20).stdout
    except OSError:
        return ""
    return text.strip().splitlines()[0] if text.strip() else ""


class Untraced(Tool):
    name = "untraced"
    labels = ("untraced",)

    def prefix(self, out):
        return []


class Seep(Tool):
    name = "seep"
    labels = ("seep",)
    usage = "seep run -q -o FILE"
    options = []
    exact = True

    def __init__(self, build):
        self.program = os.path.join(build, "seep")
        self.shim = os.path.join(build, ".libs", "libseep.so")

    def prefix(self, out):
        return [self.program, "run", "-q", *self.options, "-o",
                os.path.join(out, "recording.seep"), "--"]

    def version(self):
        return _first_line(self.program, "--version")

    def environment(self, out):
        # What it keeps of running programs goes where it is swept up.
        return {"SEEP_SHIM": self.shim, "XDG_RUNTIME_DIR": out}

    def look(self, out, run):
        """What is missing in a recording may have made it cheap."""
        recording = os.path.join(out, "recording.seep")
        began = time.monotonic()
        subprocess.run([self.program, "report", recording],
                       capture_output=True, check=False)
        run.values["report_s"] = time.monotonic() - began
        report = subprocess.run(
            [self.program, "report", "--format", "json", recording],
            capture_output=True, text=True, check=False)
        if report.returncode:
            return ["not measured"]
        drops, blocks = {}, 0
        for process in json.loads(report.stdout)["processes"]:
            blocks += process["totals"]["alloc_blocks"]
            for cause, n in process["drops"].items():
                drops[cause] = drops.get(cause, 0) + n
        said = [f"{n} {cause}" for cause, n in sorted(drops.items())]
        if self.exact and blocks < run.values.get("operations", 0):
            said.append(f"only {blocks} allocations recorded")
        return said


class _OtherSeep(Seep):
    """The same program once more: its version is said, and nothing new."""

    usage = ""

    def version(self):
        return ""


class SeepSampling(_OtherSeep):
    name = "seep --sample 512K"
    labels = ("seep", "sample")
    options = ["--sample", "512K"]
    exact = False

    def missing(self):
        usage = subprocess.run([self.program, "run", "-h"],
                               capture_output=True, text=True, check=False)
        return None if "--sample" in usage.stdout else "no such option yet"


class SeepChecked(_OtherSeep):
    """The check build: it compares each stack with libunwind's. Not timed."""

    name = "stacks compared"
    labels = ("check",)
    slow = True
    once = True

    def __init__(self, build, source):
        super().__init__(build)
        self.shim = os.path.join(build, "preload", "check", ".libs",
                                 "libseep.so")
        self.reader = os.path.join(source, "tests", "tools",
                                   "check_unwinding.py")

    def environment(self, out):
        return {**super().environment(out),
                "SEEP_CHECK_FILE": os.path.join(out, "sums")}

    def missing(self):
        return None if os.path.exists(self.shim) else "no check build"

    def look(self, out, run):
        sums = subprocess.run(
            [sys.executable, "-B", self.reader, os.path.join(out, "sums")],
            capture_output=True, text=True, check=False).stdout
        for line in sums.splitlines():
            what, n = line.split()
            run.values[what] = float(n)
        return super().look(out, run)


class Heaptrack(Tool):
    name = "heaptrack"
    labels = ("heaptrack",)
    usage = "heaptrack -o FILE"
    slow = True
    shares = {"flat": 0.05, "rotate": 0.05, "hop": 0.1, "rotate1": 0.1}
    own_output = True

    def prefix(self, out):
        return ["heaptrack", "-o", os.path.join(out, "heaptrack")]

    def missing(self):
        return None if shutil.which("heaptrack") else "not installed"

    def version(self):
        return _first_line("heaptrack", "--version")


class Valgrind(Tool):
    name = "valgrind"
    labels = ("valgrind",)
    usage = "valgrind --tool=memcheck --leak-check=full"
    slow = True
    shares = {"flat": 0.01, "rotate": 0.01, "hop": 0.02, "rotate1": 0.02}
    once = True

    def prefix(self, out):
        return ["valgrind", "--tool=memcheck", "--leak-check=full",
                "--log-file=" + os.path.join(out, "valgrind.%p")]

    def missing(self):
        return None if shutil.which("valgrind") else "not installed"

    def version(self):
        return _first_line("valgrind", "--version")


def all_tools(build, source):
    """In the order in which a round runs them."""
    return [Untraced(), Seep(build), SeepSampling(build), Heaptrack(),
            Valgrind(), SeepChecked(build, source)]
