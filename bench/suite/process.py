# SPDX-License-Identifier: MIT
"""One run of a command: wall time, CPU of every process it left, its output.

Whoever uses this process to run commands must have no other children: it
becomes the reaper of all orphans below it (PR_SET_CHILD_SUBREAPER), so that a
helper that leaves the command's process group and session is still waited for,
and its CPU counted.
"""
import ctypes
import os
import re
import resource
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36
MEASUREMENT = re.compile(r"^@([a-z_]+) ([0-9]+(?:\.[0-9]+)?)\n", re.M)


class Timeout(Exception):
    """A command, or what it left, ran for too long."""


def become_reaper():
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("prctl(PR_SET_CHILD_SUBREAPER) failed")
    signal.signal(signal.SIGALRM, _on_alarm)


def _on_alarm(_number, _frame):
    raise Timeout


def _descendants():
    """Pids of all processes below this one."""
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="latin-1") as f:
                stat = f.read()
        except OSError:
            continue
        parent = int(stat[stat.rindex(")") + 2:].split()[1])
        children.setdefault(parent, []).append(int(name))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _reap(flags=0):
    """Waits for children until there are none; False: some are alive."""
    while True:
        try:
            if os.waitpid(-1, flags)[0] == 0:
                return False
        except ChildProcessError:
            return True


def end_all():
    """Ends and reaps every process below this one, however it got there."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    while not _reap(os.WNOHANG):
        for pid in _descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


def children_cpu():
    """User and system seconds of all children that were reaped."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _plain_environment():
    """No tracer of the caller's, no servers, no language, no settings."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("SEEP_", "LD_", "MALLOC_", "LC_", "GIT_"))
            and name not in ("DEBUGINFOD_URLS", "GLIBC_TUNABLES", "LANG")}
    return {**kept, "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull}


class Run:
    """What one run gave."""

    def __init__(self):
        self.wall = None        # seconds until the command itself ended
        self.cpu = None         # seconds of all its processes
        self.status = None      # as a shell would say; None: timed out
        self.output = ""        # its standard output, measurements aside
        self.values = {}        # its measurements: lines "@name value"


def _measurements(text):
    """Splits the lines "@name value" from the rest."""
    found = MEASUREMENT.findall(text)
    return {name: float(value) for name, value in found}, \
        MEASUREMENT.sub("", text)


def run(command, folder, environment=None, timeout=300, during=None):
    """Runs COMMAND in FOLDER, which gets its output in "stdout" and "stderr".

    DURING is called with the process while it runs; it may add to what the run
    measured by returning values, and takes off what the CPU of its own
    children was by the value "own_cpu".
    """
    result = Run()
    before = children_cpu()
    stdout = os.path.join(folder, "stdout")
    with open(stdout, "wb") as out, \
            open(os.path.join(folder, "stderr"), "wb") as err:
        signal.setitimer(signal.ITIMER_REAL, timeout)
        try:
            began = time.monotonic()
            process = subprocess.Popen(
                command, cwd=folder,
                env={**_plain_environment(), **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            during_values = during(process) if during else {}
            status = process.wait()
            result.wall = time.monotonic() - began
            _reap()
            signal.setitimer(signal.ITIMER_REAL, 0)
            result.status = status if status >= 0 else 128 - status
        except Timeout:
            during_values = {}
        finally:
            end_all()
    result.cpu = children_cpu() - before - during_values.pop("own_cpu", 0)
    with open(stdout, encoding="utf-8", errors="surrogateescape") as f:
        result.values, result.output = _measurements(f.read())
    result.values.update(during_values)
    return result

