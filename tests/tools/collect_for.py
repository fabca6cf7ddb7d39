#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""collect_for.py SEEP RECORDING PROG ARG...: run PROG beside a collector.

For a program under an emulator: the shim in it is not for this machine, so
that neither seep run nor a bare preload can start the collector. Makes the
socket, starts `seep collect` on it as the shim would, and becomes PROG with
SEEP_SOCKET set.
"""
import os
import resource
import secrets
import socket
import sys


def main():
    seep, recording, prog = sys.argv[1], sys.argv[2], sys.argv[3:]
    name = "seep-" + secrets.token_hex(8)
    address = f"{name}:{secrets.token_hex(16)}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind("\0" + name)
    listener.listen(64)
    os.environ["SEEP_SOCKET"] = address
    if os.fork() == 0:
        os.setsid()
        os.environ["SEEP_OUTPUT"] = os.path.abspath(recording)
        if listener.fileno() == 3:
            os.set_inheritable(3, True)
        else:
            os.dup2(listener.fileno(), 3)
        os.execv(seep, [seep, "collect", "--bare"])
    listener.close()
    # qemu-user keeps a note of each page of a mapping: a segment of a quarter
    # of this, and not of 32 GiB, saves it a second a process.
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, hard))
    os.execvp(prog[0], prog)


main()
