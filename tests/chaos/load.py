# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""The clients' program, what it says, and the judgement of its histories."""

import os
import queue
import subprocess
import threading

from network import CLIENTS


class Load:
    """A context: clients at work. Times are of the monotonic clock, in nanoseconds."""

    def __init__(self, network, servers, programs, directory, seed, clients, pace_ms, window_s):
        self._network, self._programs, self._directory = network, programs, directory
        self._command = [
            os.path.join(programs, "test_programs"), "chaos_clients", "--servers",
            ",".join(servers.client_addresses()), "--directory", directory, "--seed", str(seed),
            "--clients", str(clients), "--pace", str(pace_ms), "--window", str(window_s)]
        self._lines = queue.Queue()
        self._windows = queue.Queue()
        self.silences = []  # without an acknowledged put: (begin, end), of 50 ms and more
        self.slow = []  # operations of half a second and more: (begin, end)
        self.acknowledged = 0  # puts
        self.done = None  # operations, puts, puts in doubt
        self.problems = []
        self.checked = 0  # windows that are linearizable

    def __enter__(self):
        self._process = self._network.start(
            CLIENTS, self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        self._judge = threading.Thread(target=self._judge_windows, daemon=True)
        self._judge.start()
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._windows.put(None)

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def take(self):
        """What has been said since the last time."""
        while not self._lines.empty():
            line = self._lines.get()
            if line is None:
                if self.done is None:
                    self.problems.append("the clients have ended")
                return
            kind, _, rest = line.rstrip("\n").partition(" ")
            if kind == "silence":
                self.silences.append(tuple(map(int, rest.split())))
            elif kind == "slow":
                self.slow.append(tuple(map(int, rest.split())))
            elif kind == "acknowledged":
                self.acknowledged = int(rest.split()[1])
            elif kind == "window":
                self._windows.put(rest.split(" ", 1)[1])
            elif kind == "problem":
                self.problems.append(rest)
            elif kind == "done":
                self.done = tuple(map(int, rest.split()))

    def end(self):
        """Asks them to end; `done` is set when all is read back."""
        self._process.stdin.close()

    def finish_judging(self):
        self._windows.put(None)
        self._judge.join()

    def _judge_windows(self):
        """One history at a time; one that is linearizable is forgotten, another one is kept."""
        checker = ["nice", "-n", "10", os.path.join(self._programs, "check-history")]
        while (path := self._windows.get()) is not None:
            verdict = subprocess.run(checker + [path], capture_output=True, text=True)
            if verdict.returncode == 0:
                self.checked += 1
                os.remove(path)
            else:
                self.problems.append(f"{path}: {verdict.stdout}{verdict.stderr}".strip())
