#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""wait_recording.py FILE [SECONDS]: wait until FILE exists and nobody holds it.

The collector of a bare preload is nobody's child; it holds its recording open
until that is finished.
"""
import os
import sys
import time


def is_held(path):
    path = os.path.realpath(path)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == path:
                    return True
        except OSError:
            continue
    return False


def main():
    path = sys.argv[1]
    limit = time.monotonic() + float(sys.argv[2] if len(sys.argv) > 2 else 15)
    while time.monotonic() < limit:
        if os.path.exists(path) and os.path.getsize(path) \
                and not is_held(path):
            return 0
        time.sleep(0.02)
    return 1


sys.exit(main())
