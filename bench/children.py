# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Processes that end with the one that started them, whatever ends it."""

import ctypes
import os
import signal
import socket
import subprocess
import sys

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Children:
    """A context: what was started in it is killed at its end."""

    def __init__(self):
        self._running = []
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def start(self, command, log):
        with open(log, "ab") as output:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                     stderr=output, preexec_fn=_die_with_parent)
        self._running.append(child)
        return child

    def end(self):
        for child in self._running:
            child.kill()
        for child in self._running:
            child.wait()
        self._running.clear()

    def pids(self):
        return [child.pid for child in self._running]

    def alive(self):
        return all(child.poll() is None for child in self._running)


def run(command, timeout):
    """What the command prints; it is killed when the time is up."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, preexec_fn=_die_with_parent)
    if done.returncode != 0:
        raise RuntimeError(f"{os.path.basename(command[0])} failed: {done.stderr.strip()}")
    return done.stdout


def free_ports(count):
    """Ports of the loopback device that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def cpu_seconds(pids):
    """CPU time that the processes have used so far."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
