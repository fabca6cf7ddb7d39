# SPDX-License-Identifier: MIT
"""Names the machine and the software of a measurement."""
import os
import platform
import subprocess
import time


def _cpu():
    names = ("model name", "Hardware", "CPU part")
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            lines = dict(line.split(":", 1) for line in f if ":" in line)
    except OSError:
        lines = {}
    found = {key.strip(): value.strip() for key, value in lines.items()}
    name = next((found[n] for n in names if n in found), platform.machine())
    if "hypervisor" in found.get("flags", "").split():
        name += " (virtual)"
    return name


def _memory_gib():
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return round(pages / 2 ** 30)


def _system():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, AttributeError):  # no such file; Python before 3.10
        return platform.system()


def describe():
    count = len(os.sched_getaffinity(0))
    return (f"{_cpu()}, {count} CPU{'s' if count > 1 else ''}, "
            f"{_memory_gib()} GiB; {_system()}, Linux {platform.release()}, "
            f"{' '.join(platform.libc_ver())}")


def revision(source):
    """The commit of the source tree, if it is one that git knows."""
    try:
        done = subprocess.run(
            ["git", "-C", source, "describe", "--always", "--dirty"],
            capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if not done.returncode else ""


class Quiet:
    """Tells, at the end, how much else the machine had to do meanwhile."""

    def __init__(self):
        self._began = time.monotonic()
        self._busy = self._busy_s()
        self._own = self._own_s()

    @staticmethod
    def _busy_s():
        """CPU seconds of everything, also what a hypervisor took away."""
        with open("/proc/stat", encoding="ascii") as f:
            user, nice, system, _idle, _wait, irq, softirq, steal = map(
                int, f.readline().split()[1:9])
        return (user + nice + system + irq + softirq + steal) / \
            os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _own_s():
        return sum(os.times()[:4])

    def others(self):
        """CPUs that others kept busy, on average."""
        busy = self._busy_s() - self._busy - (self._own_s() - self._own)
        return max(0.0, busy / (time.monotonic() - self._began))
