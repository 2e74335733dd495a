#!/usr/bin/env python3
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""top_terminal.py KV    Runs `kv top` in a terminal, and without one, before a server that lies.

The terminal must be as it was before, however it ends, and nothing that a server says may reach it
as anything but printable text.
"""
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

PATIENCE_S = 30
ACCOUNT = (
    "# Server\r\nredis_version:7.0.0\r\n# Stats\r\ntotal_commands_processed:{commands}\r\n"
    "node:7\r\nrole:leader\r\nterm:3\r\ncommit:90\r\napplied:90\r\n"
    "persisted_bytes:48234496\r\nsnapshot_bytes:268913664\r\nstorage:full\x1b[31m\x9b\r\nconnected_clients:2\r\n"
    "peer_8:connected=0,incoming=0,since_ms=1,queued_bytes=0,reason=\x1b]0;mine\x07 gone\r\n")


def serve(listener):
    """Answers whatever is asked with an account that has what moves a terminal in it."""
    commands = 0
    while True:
        client, _ = listener.accept()
        while client.recv(4096):
            commands += 1000
            account = ACCOUNT.format(commands=commands).encode("latin-1")
            client.sendall(b"$%d\r\n%s\r\n" % (len(account), account))


class Terminal:
    """A program in a terminal of so many columns, and all that it has written."""

    def __init__(self, command, columns):
        self.master, self.slave = pty.openpty()
        self.resize(columns)
        self.before = termios.tcgetattr(self.slave)
        # Its own session, so that the terminal is its controlling one and tells of new sizes.
        self.process = subprocess.Popen(
            command, stdin=self.slave, stdout=self.slave, stderr=self.slave,
            start_new_session=True, env={**os.environ, "TERM": "xterm"},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.text = b""

    def resize(self, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read_until(self, holds):
        end = time.monotonic() + PATIENCE_S
        while not holds(self.text):
            if time.monotonic() > end:
                sys.exit(f"nothing came of it: {self.text!r}")
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 65536)

    def frames(self):
        """What each drawing has put on the screen, line by line."""
        return [[re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", line) for line in re.split(rb"[\r\n]+", frame)]
                for frame in self.text.split(b"\x1b[H")[1:]]

    def ended(self, what):
        status = self.process.wait(PATIENCE_S)
        self.read_until(lambda text: text.endswith(b"\x1b[?25h\x1b[?1049l"))
        expect(status == 0, f"{what}: exit status {status}")
        expect(termios.tcgetattr(self.slave) == self.before, f"{what}: the terminal is not as before")
        os.close(self.master)
        os.close(self.slave)


def expect(holds, complaint):
    if not holds:
        sys.exit(complaint)


def check_screen(command):
    terminal = Terminal(command, 120)
    terminal.read_until(lambda text: text.count(b"\x1b[J") >= 3)
    screen = b"\n".join(terminal.frames()[1])
    for wanted in (b"1 of 2 servers answer, node 7 leads in term 3", b"NODE", b"46.0 MiB",
                   b"256 MiB", b"full?[31m?", b"unreachable: Connection refused",
                   b"node 7 is not connected to node 8: ?]0;mine? gone"):
        expect(wanted in screen, f"the screen lacks {wanted!r}: {screen!r}")
    known = re.sub(rb"\x1b\[(\?1049h|\?25l|[HJK]|[0-9;]*m)", b"", terminal.text)
    expect(re.fullmatch(rb"[ -~\r\n]*", known), f"the server speaks to the terminal: {known!r}")

    seen = len(terminal.frames())
    terminal.resize(30)
    terminal.read_until(lambda _: len(terminal.frames()) > seen + 1)
    widest = max(len(line) for line in terminal.frames()[seen + 1])
    expect(widest <= 30, f"{widest} columns in a terminal of 30")
    os.write(terminal.master, b"xq")
    terminal.ended("q")


def check_signal(command):
    for number in (signal.SIGINT, signal.SIGTERM):
        terminal = Terminal(command, 80)
        terminal.read_until(lambda text: b"\x1b[J" in text)
        if number == signal.SIGINT:
            os.write(terminal.master, b"\x03")  # as a keyboard sends it
        else:
            terminal.process.send_signal(number)
        terminal.ended(number.name)


def check_pipe(command):
    for extra in ([], ["--once"]):
        process = subprocess.Popen(command + extra, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE)
        text = b""
        while text.count(b"NODE") < (1 if extra else 2):
            text += os.read(process.stdout.fileno(), 65536)
        if not extra:
            process.send_signal(signal.SIGTERM)
        text += process.stdout.read()
        expect(process.wait(PATIENCE_S) == 0, f"{extra}: exit status {process.returncode}")
        expect(re.fullmatch(rb"[ -~\n]*", text), f"a file gets what is for terminals: {text!r}")
        if extra:
            expect(text.count(b"NODE") == 1, f"not one table: {text!r}")


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    nobody = socket.socket()
    nobody.bind(("127.0.0.1", 0))  # does not listen
    servers = f"127.0.0.1:{listener.getsockname()[1]},127.0.0.1:{nobody.getsockname()[1]}"
    command = [sys.argv[1], "--cluster", servers, "top", "--interval", "0.1"]
    check_screen(command)
    check_signal(command)
    check_pipe(command)


if __name__ == "__main__":
    main()
