# SPDX-License-Identifier: MIT
"""The load on a redis server that a tool runs: redis-benchmark's, to its end.

The server listens on a socket in the folder of the run, on no port. Requests
come 64 at a time, so that it is the server that is waited for, not its client.
"""
import os
import shutil
import socket
import subprocess
import time

SOCKET = "redis.sock"
REQUESTS = 300000
TESTS = "set,lpush,hset"
SERVER = ["redis-server", "--port", "0", "--unixsocket", SOCKET,
          "--save", "", "--appendonly", "no", "--daemonize", "no"]
LOAD = ["redis-benchmark", "-s", SOCKET, "-q", "-t", TESTS,
        "-n", str(REQUESTS), "-r", "100000", "-d", "100", "-c", "20",
        "-P", "64"]


def missing():
    for program in "redis-server", "redis-benchmark":
        if not shutil.which(program):
            return f"no {program} here"
    return None


def _ask(path, request):
    """One command, its reply."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(request + b"\r\n")
        return s.recv(4096)


def _wait_until_ready(server, path):
    while True:
        try:
            if _ask(path, b"PING").startswith(b"+PONG"):
                return
        except OSError:
            pass
        if server.poll() is not None:
            raise RuntimeError(f"redis-server ended: {server.returncode}")
        time.sleep(0.01)


def load(server, folder):
    """While SERVER runs in FOLDER: what the load took, and what it left."""
    path = os.path.join(folder, SOCKET)
    _wait_until_ready(server, path)
    began = time.monotonic()
    client = subprocess.Popen(LOAD, cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(client.pid, 0)
    client.returncode = status
    took = time.monotonic() - began
    values = {"load_s": took, "load_status": status,
              "own_cpu": usage.ru_utime + usage.ru_stime,
              "list_items": float(_ask(path, b"LLEN mylist")[1:])}
    try:
        _ask(path, b"SHUTDOWN NOSAVE")
    except OSError:
        pass
    return values
