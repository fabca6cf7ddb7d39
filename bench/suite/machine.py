# SPDX-License-Identifier: MIT
"""Names the machine and the software of a measurement."""
import os
import platform
import subprocess


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
    except OSError:
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


def load():
    return os.getloadavg()[0]
