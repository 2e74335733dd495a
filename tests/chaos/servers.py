# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""kv-server processes on hosts of their own, their directories, and what they say of themselves."""

import os
import shutil
import signal
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

CLIENT_PORT, PEER_PORT = 6379, 7001
ELECTION_TIMEOUT_MS = 500  # what kv-server has by default
# tests/chaos/control.hpp: struct Control.
CONTROL = struct.Struct("=qiiiii4x")
CONTROLS = ("clock_offset_s", "sync_ms", "sync_hangs", "sync_error", "write_error", "full")


def ask(address, *words, timeout=0.5):
    """What a server answers; None: nothing in time, or an error."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    try:
        with socket.create_connection((address, CLIENT_PORT), timeout) as connection:
            connection.sendall(request.encode())
            reply = connection.makefile("rb")
            head = reply.readline().decode()
            if head[:1] == "$":
                return reply.read(int(head[1:])).decode()
            return head[1:].strip() if head[:1] in "+:" else None
    except (OSError, ValueError):
        return None


class Server:
    """One node, at work or not."""

    def __init__(self, node, host, directory):
        self.node, self.host, self.directory = node, host, directory
        self.data = os.path.join(directory, f"data-{node}")
        self.log = os.path.join(directory, f"node-{node}.log")
        self.control = os.path.join(directory, f"control-{node}")
        self.process = None
        self.may_end = False
        self.controls = dict.fromkeys(CONTROLS, 0)
        self.set()

    def set(self, **controls):
        """What is wrong with its disk and its clock, from now on."""
        self.controls.update(controls)
        mode = "r+b" if os.path.exists(self.control) else "wb"
        with open(self.control, mode) as file:
            file.write(CONTROL.pack(*(self.controls[name] for name in CONTROLS)))

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, what):
        if self.runs():
            self.process.send_signal(what)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


class Servers:
    """A context: what was started in it is killed at its end."""

    def __init__(self, network, programs, directory, nodes, options):
        """options: of each server, besides those that say who it is and where."""
        self.network, self.programs, self.directory = network, programs, directory
        self.options = options
        self.by_node = {node: Server(node, node, directory) for node in range(1, nodes + 1)}
        self.gone = []  # those that were members
        self._asking = ThreadPoolExecutor(len(network.hosts))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in list(self.by_node.values()) + self.gone:
            server.kill()
        self._asking.shutdown(wait=False, cancel_futures=True)

    def peer(self, server):
        return f"{self.network.address(server.host)}:{PEER_PORT}"

    def client_addresses(self):
        """Of all hosts, also those that no server is on now."""
        return [f"{self.network.address(host)}:{CLIENT_PORT}" for host in self.network.hosts
                if host != 0]

    def start(self, server, *how):
        address = self.network.address(server.host)
        command = [os.path.join(self.programs, "kv-server"), "--id", str(server.node), "--listen",
                   f"{address}:{CLIENT_PORT}", "--data", server.data, *self.options(server), *how]
        shim = os.path.join(self.programs, "libdisk_and_clock.so")
        # A sanitizer wants to be loaded before the shim, or to be told not to.
        checks = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"),
                                        "verify_asan_link_order=0")))
        with open(server.log, "ab") as log:
            server.process = self.network.start(
                server.host, command, {"LD_PRELOAD": shim, "RSM_CHAOS_CONTROL": server.control,
                                       "ASAN_OPTIONS": checks},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        server.may_end = False

    def found(self):
        founders = ",".join(f"{node}={self.peer(server)}"
                            for node, server in self.by_node.items())
        for server in self.by_node.values():
            self.start(server, "--cluster", founders)

    def reopen(self, server):
        self.start(server, "--peer", self.peer(server))

    def join(self, server, asked):
        self.start(server, "--peer", self.peer(server), "--join",
                   f"{self.network.address(asked.host)}:{CLIENT_PORT}")

    def wipe(self, server):
        server.kill()
        shutil.rmtree(server.data, ignore_errors=True)

    def add(self, node):
        """On a host where no server is; None where there is none."""
        taken = {server.host for server in self.by_node.values()}
        free = [host for host in self.network.hosts if host != 0 and host not in taken]
        if not free:
            return None
        self.by_node[node] = Server(node, free[0], self.directory)
        return self.by_node[node]

    def remove(self, server):
        server.kill()
        self.gone.append(self.by_node.pop(server.node))
        shutil.rmtree(server.data, ignore_errors=True)

    def ended_by_themselves(self):
        return [server for server in self.by_node.values()
                if server.process is not None and server.process.poll() is not None
                and not server.may_end]

    # ---- what they say ----

    def ask_all(self, *words):
        """By node; of those that run."""
        asked = {node: self._asking.submit(ask, self.network.address(server.host), *words)
                 for node, server in self.by_node.items() if server.runs()}
        return {node: reply.result() for node, reply in asked.items()}

    def accounts(self):
        """By node: {name: value}; of those that answer."""
        return {node: dict(line.partition(":")[::2] for line in reply.split("\r\n") if line)
                for node, reply in self.ask_all("RAFT.STATUS").items() if reply is not None}

    def operator(self, *words):
        """A call of kv, which the caller waits for."""
        command = [os.path.join(self.programs, "kv"), "--cluster",
                   ",".join(self.client_addresses()), "--timeout", "20", *words]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)


def leader_of(accounts):
    """The node that leads in the latest term; None: nobody."""
    leaders = [(int(account["term"]), node) for node, account in accounts.items()
               if account.get("role") == "leader"]
    return max(leaders)[1] if leaders else None


def is_well(accounts, node):
    """Whether it is a voter that has what is committed, by the leader's account and its own."""
    leader = leader_of(accounts)
    if leader is None or node not in accounts:
        return False
    told, own = accounts[leader], accounts[node]
    return (f"member_{node}" in told and "standing=voter" in told[f"member_{node}"]
            and "standing=voter" in own.get(f"member_{node}", "")
            and own.get("lost_up_to", "0") == "0" and own.get("disk_stalled", "0") == "0"
            and own.get("term") == told.get("term")
            and int(own.get("applied", 0)) + 200 >= int(told.get("commit", 0)))
