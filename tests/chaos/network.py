# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Hosts that are network namespaces, joined by a bridge in one more, and what is wrong between them.

What is dropped is dropped where it arrives: a host that drops what it sends itself knows of it."""

import ctypes
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass

CLIENTS = 0  # the host of the clients; servers are on hosts from 1 on
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Trouble:
    """On the way from one host to another."""

    cut: bool = False
    loss: float = 0.0  # of 1
    delay_ms: int = 0


def enter(namespace):
    with open(f"/run/netns/{namespace}", "rb") as place:
        if _libc.setns(place.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {namespace}")


def _run(*words, text=None):
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")


def remove_left_over():
    """Namespaces of runs that were killed."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    for name, pid in re.findall(r"^(rsm-(\d+)-\w+)", listed, re.MULTILINE):
        if not os.path.exists(f"/proc/{pid}"):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


class Network:
    """A context. This process is in the bridge's namespace, whose address no trouble affects."""

    HUB_ADDRESS = "10.97.0.254"

    def __init__(self, hosts):
        """hosts: how many servers' hosts there are."""
        self.hosts = range(hosts + 1)
        self._prefix = f"rsm-{os.getpid()}-"
        self._troubles = {}  # by cause: {(from, to): Trouble}
        self._delays = {}  # by host: the process, and the milliseconds
        self._rules = {}  # by host, as they are now

    def address(self, host):
        return f"10.97.0.{100 + host}"

    def __enter__(self):
        remove_left_over()
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process, _ in self._delays.values():
            process.kill()
        for name in [self._name(host) for host in self.hosts] + [self._prefix + "hub"]:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def _name(self, host):
        return f"{self._prefix}{host}"

    def _build(self):
        hub = self._prefix + "hub"
        _run("ip", "netns", "add", hub)
        _run("ip", "-n", hub, "link", "add", "hub", "type", "bridge")
        _run("ip", "-n", hub, "address", "add", self.HUB_ADDRESS + "/24", "dev", "hub")
        _run("ip", "-n", hub, "link", "set", "hub", "up")
        _run("ip", "-n", hub, "link", "set", "lo", "up")
        for host in self.hosts:
            name = self._name(host)
            _run("ip", "netns", "add", name)
            _run("ip", "-n", hub, "link", "add", f"to{host}", "type", "veth", "peer", "name",
                 "eth0", "netns", name)
            _run("ip", "-n", hub, "link", "set", f"to{host}", "master", "hub", "up")
            _run("ip", "-n", name, "address", "add", self.address(host) + "/24", "dev", "eth0")
            _run("ip", "-n", name, "link", "set", "eth0", "up")
            _run("ip", "-n", name, "link", "set", "lo", "up")
        enter(hub)

    def start(self, host, command, environment=None, **pipes):
        """A process on the host, which ends with this one."""
        namespace = self._name(host)

        def prepare():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            enter(namespace)

        return subprocess.Popen(command, preexec_fn=prepare, start_new_session=True,
                                env={**os.environ, **(environment or {})}, **pipes)

    def trouble(self, cause, ways):
        """ways: {(from, to): Trouble}, in place of what the cause has done before; {}: nothing."""
        self._troubles[cause] = dict(ways)
        if not ways:
            del self._troubles[cause]
        for host in self.hosts:
            self._apply(host)

    def between(self, some, others, trouble):
        """Both ways."""
        return {way: trouble for one in some for other in others if one != other
                for way in ((one, other), (other, one))}

    def _apply(self, host):
        rules = ["*filter", ":INPUT ACCEPT [0:0]", f"-A INPUT -s {self.HUB_ADDRESS} -j ACCEPT"]
        queued, delay = [], 0
        for ways in self._troubles.values():
            for (sender, receiver), trouble in sorted(ways.items()):
                if receiver != host:
                    continue
                source = f"-A INPUT -s {self.address(sender)}"
                if trouble.cut:
                    rules.append(f"{source} -j DROP")
                if trouble.loss:
                    rules.append(f"{source} -m statistic --mode random"
                                 f" --probability {trouble.loss} -j DROP")
                if trouble.delay_ms:
                    delay = max(delay, trouble.delay_ms)
                    queued.append(f"{source} -j NFQUEUE --queue-num 0")
        text = "\n".join(rules + queued + ["COMMIT", ""])
        # What nobody takes out of the queue is lost: there is somebody before there is a rule.
        former = self._start_delay(host, delay)
        if self._rules.get(host) != text:
            _run("ip", "netns", "exec", self._name(host), "iptables-restore", "-w", text=text)
            self._rules[host] = text
        if former is not None:
            former.terminate()
            former.wait()

    def _start_delay(self, host, delay):
        """The process of the former delay, if that is another one."""
        process, present = self._delays.get(host, (None, 0))
        if delay == present:
            return None
        self._delays.pop(host, None)
        if delay and process is not None:  # the queue has room for one
            process.terminate()
            process.wait()
            process = None
        if delay:
            script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "delay.py")
            started = self.start(host, [sys.executable, script, str(delay)],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            started.stdout.readline()
            self._delays[host] = (started, delay)
        return process
