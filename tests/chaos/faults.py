# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""What is done to a cluster. Each fault is a generator that acts, yields seconds to wait or a
condition to wait for, and is over when all is well again; closed early, it takes back what it did.

The rule by which faults may come together: of n voters, at most (n - 1) / 2 are under a fault that
stops them, cuts them off, takes their vote or spoils their disk, each node under one fault only, and
at most one of them loses data. A fault that is `alone` runs when nothing else is wrong: it stops
all at once, or touches what the service promises only where nothing else fails (an old copy of a
directory). Slow disks, slow and lossy networks and clocks stop nobody, and count nothing."""

import errno
import os
import shutil
import signal
from dataclasses import dataclass
from typing import Callable

from network import CLIENTS, Trouble
from servers import leader_of

CUT = Trouble(cut=True)
STEPS_DOWN = "no quorum answers, giving up leadership"


class Act:
    """A fault under way: its targets, and what it may use."""

    def __init__(self, run, name, targets):
        self.run, self.name, self.targets = run, name, targets
        self.servers, self.network, self.random = run.servers, run.network, run.random

    @property
    def target(self):
        return self.targets[0]

    def hosts(self, servers):
        return [server.host for server in servers]

    def others(self):
        """All hosts, that of the clients too, but those of the targets."""
        taken = self.hosts(self.targets)
        return [host for host in self.network.hosts if host not in taken]

    def trouble(self, ways):
        self.network.trouble(self, ways)

    def all_well(self):
        return self.run.are_well(self.targets)

    def a_moment(self, least=1.0, most=4.0):
        return least + (most - least) * self.random.random()

    def any_other(self):
        """A server to which no fault happens now."""
        return self.random.choice(self.run.free_servers())


# ---- processes ----

def kill(act):
    for server in act.targets:
        server.kill()
    if len(act.targets) < len(act.servers.by_node):
        yield act.a_moment()
    for server in act.targets:
        act.servers.reopen(server)
    yield act.all_well


def terminate(act):
    for server in act.targets:
        server.may_end = True
        server.signal(signal.SIGTERM)
    yield lambda: not any(server.runs() for server in act.targets)
    yield from kill(act)


def stop(act):
    try:
        for server in act.targets:
            server.signal(signal.SIGSTOP)
        yield 6
    finally:
        for server in act.targets:
            server.signal(signal.SIGCONT)
    yield act.all_well


# ---- networks ----

def _with_trouble(act, ways, seconds):
    try:
        act.trouble(ways)
        yield seconds
    finally:
        act.trouble({})
    yield act.all_well


def isolate(act):
    ways = act.network.between(act.hosts(act.targets), act.others(), CUT)
    yield from _with_trouble(act, ways, act.run.network_seconds)


def deafen(act):
    ways = {(other, act.target.host): CUT for other in act.others()}
    yield from _with_trouble(act, ways, act.run.network_seconds)


def silence(act):
    ways = {(act.target.host, other): CUT for other in act.others()}
    yield from _with_trouble(act, ways, act.run.network_seconds)


def cut_some_lines(act):
    """The target does not reach some of the other servers, or is not reached by them."""
    others = [host for host in act.others() if host != CLIENTS]
    act.random.shuffle(others)
    some = others[:max(1, len(others) // 2)]
    ways = act.network.between([act.target.host], some, CUT)
    if act.random.random() < 0.5:
        ways = {way: trouble for way, trouble in ways.items() if way[0] == act.target.host}
    yield from _with_trouble(act, ways, act.run.network_seconds)


def _everywhere(act, trouble):
    return act.network.between(act.network.hosts, act.network.hosts, trouble)


def lose_packets(loss):
    def act_so(act):
        yield from _with_trouble(act, _everywhere(act, Trouble(loss=loss)), 15)
    return act_so


def delay_packets(milliseconds):
    def act_so(act):
        yield from _with_trouble(act, _everywhere(act, Trouble(delay_ms=milliseconds)), 10)
    return act_so


# ---- disks ----

def _with_control(act, seconds, **controls):
    try:
        for server in act.targets:
            server.set(**controls)
        yield seconds
    finally:
        for server in act.targets:
            server.set(**dict.fromkeys(controls, 0))
    yield act.all_well


def hang_disk(act):
    yield from _with_control(act, 9, sync_hangs=1)


def slow_disk(milliseconds):
    def act_so(act):
        yield from _with_control(act, 12, sync_ms=milliseconds)
    return act_so


def fill_disk(act):
    yield from _with_control(act, 8, full=1)


def _fail_disk(act, **controls):
    """The node stops for good; it is started anew on another disk with the same content."""
    try:
        act.target.may_end = True
        act.target.set(**controls)
        yield lambda: not act.target.runs()
        yield act.a_moment()
    finally:
        act.target.set(**dict.fromkeys(controls, 0))
    act.target.kill()
    act.servers.reopen(act.target)
    yield act.all_well


def fail_syncs(act):
    yield from _fail_disk(act, sync_error=errno.EIO)


def fail_writes(act):
    yield from _fail_disk(act, write_error=errno.EIO)


# ---- directories ----

def wipe(act):
    act.servers.wipe(act.target)
    yield act.a_moment()
    act.servers.join(act.target, act.any_other())
    yield act.all_well


def bring_back_old_copy(act):
    """What no operator may do; with nothing else wrong, the leader finds it out and mends it."""
    copy = act.target.data + ".old"
    act.target.kill()
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(act.target.data, copy)
    act.servers.reopen(act.target)
    yield act.all_well
    yield 3
    act.servers.wipe(act.target)
    os.rename(copy, act.target.data)
    act.servers.reopen(act.target)
    yield 3
    yield act.all_well


def exchange_directories(act):
    """Neither node starts on the other's directory; with their own they go on."""
    one, other = act.targets
    data = one.data, other.data
    one.kill()
    other.kill()
    try:
        one.data, other.data = other.data, one.data
        for server in act.targets:
            act.servers.reopen(server)
            server.may_end = True
        yield lambda: not one.runs() and not other.runs()
    finally:
        one.data, other.data = data
    for server in act.targets:
        if server.process.returncode != 1:
            raise RuntimeError(f"node {server.node} starts on another node's directory")
        act.servers.reopen(server)
    yield act.all_well


# ---- members ----

def _standing(act, node):
    accounts = act.run.accounts
    leader = leader_of(accounts)
    told = "" if leader is None else accounts[leader].get(f"member_{node}", "standing=none")
    return told.partition("standing=")[2].partition(",")[0]


def _operate(act, reached, *words):
    """Says it to the leader until it is so: what else goes wrong may interrupt a change."""
    for _ in range(10):
        process = act.servers.operator(*words)
        try:
            yield lambda: process.poll() is not None
        finally:
            process.kill()
            output = process.communicate()[0].strip()
        yield 0.5
        if reached():
            return
        act.run.remark(f"{' '.join(words)}: {output}")
        yield act.a_moment()
    raise RuntimeError(f"in vain: kv {' '.join(words)}: {output}")


def replace(act):
    old, new = act.target, act.servers.add(act.run.new_node())
    act.targets.append(new)
    act.servers.join(new, act.any_other())
    yield 1
    yield from _operate(
        act, lambda: _standing(act, new.node) == "voter" and _standing(act, old.node) == "none",
        "member", "replace", str(old.node), str(new.node), act.servers.peer(new))
    act.servers.remove(old)
    act.targets.remove(old)
    yield act.all_well


def demote(act):
    node = str(act.target.node)
    yield from _operate(act, lambda: _standing(act, node) == "learner", "member", "demote", node)
    yield act.a_moment()
    yield from _operate(act, lambda: _standing(act, node) == "voter", "member", "promote", node)
    yield act.all_well


def transfer(act):
    process = act.servers.operator("transfer")
    try:
        yield lambda: process.poll() is not None
    finally:
        process.kill()
        process.communicate()
    yield 1


# ---- clocks ----

def change_clocks(act):
    """By up to a month, in either direction, a few times."""
    try:
        for _ in range(5):
            for server in act.targets:
                server.set(clock_offset_s=act.random.randint(-30 * 86400, 30 * 86400))
            yield 1
    finally:
        for server in act.targets:
            server.set(clock_offset_s=0)


# ---- who is chosen ----

def leader(run, free):
    found = run.servers.by_node.get(leader_of(run.accounts))
    return [found] if found in free else None


def follower(run, free):
    led_by = leader_of(run.accounts)
    others = [server for server in free if server.node != led_by]
    return [run.random.choice(others)] if others and led_by is not None else None


def anyone(run, free):
    return [run.random.choice(free)] if free else None


def two_followers(run, free):
    led_by = leader_of(run.accounts)
    others = [server for server in free if server.node != led_by]
    return run.random.sample(others, 2) if len(others) > 1 and led_by is not None else None


def all_followers(run, free):
    led_by = leader_of(run.accounts)
    return [server for server in free if server.node != led_by] if led_by is not None else None


def everyone(_, free):
    return list(free)


def nobody(_, __):
    return []


@dataclass(frozen=True)
class Fault:
    act: Callable  # the generator
    choose: Callable  # the targets, of the servers that are free; None: not now
    stops: int = 1  # how many voters it takes away
    loses: bool = False
    alone: bool = False
    weight: int = 2  # how often it is chosen
    majority: bool = True  # whether one is connected, and has working disks, all the time
    said: str = ""  # what its targets say where it comes alone
    keeps_leader: bool = False  # whether it costs no election where it comes alone


FAULTS = {
    "leader-killed": Fault(kill, leader, weight=4),
    "follower-killed": Fault(kill, follower),
    "two-followers-killed": Fault(kill, two_followers, stops=2),
    "all-killed": Fault(kill, everyone, alone=True, weight=1, majority=False),
    "leader-terminated": Fault(terminate, leader),
    "leader-stopped": Fault(stop, leader, weight=4),
    "follower-stopped": Fault(stop, follower),
    "leader-isolated": Fault(isolate, leader, weight=4),
    "follower-isolated": Fault(isolate, follower),
    "two-isolated": Fault(isolate, two_followers, stops=2),
    "leader-deaf": Fault(deafen, leader, weight=4, said=STEPS_DOWN),
    "leader-mute": Fault(silence, leader, said=STEPS_DOWN),
    "follower-deaf": Fault(deafen, follower, keeps_leader=True),
    "follower-mute": Fault(silence, follower, keeps_leader=True),
    "leader-lines-cut": Fault(cut_some_lines, leader),
    "lines-cut": Fault(cut_some_lines, anyone),
    "loss-5": Fault(lose_packets(0.05), nobody, stops=0),
    "loss-30": Fault(lose_packets(0.30), nobody, stops=0, alone=True, weight=1),
    "delay-20": Fault(delay_packets(20), nobody, stops=0),
    "delay-60": Fault(delay_packets(60), nobody, stops=0),
    "leader-disk-hangs": Fault(hang_disk, leader, weight=4),
    "follower-disk-hangs": Fault(hang_disk, follower),
    "leader-disk-slow": Fault(slow_disk(1000), leader),
    "followers-disks-slow": Fault(slow_disk(2000), all_followers, stops=0, alone=True, weight=1,
                                  majority=False),
    "leader-disk-full": Fault(fill_disk, leader),
    "follower-disk-full": Fault(fill_disk, follower),
    "leader-sync-fails": Fault(fail_syncs, leader),
    "write-fails": Fault(fail_writes, anyone),
    "wiped": Fault(wipe, anyone, loses=True, weight=4),
    "old-copy": Fault(bring_back_old_copy, follower, loses=True, alone=True, weight=1),
    "exchanged": Fault(exchange_directories, two_followers, stops=2),
    "member-replaced": Fault(replace, anyone, loses=True),
    "member-demoted": Fault(demote, follower),
    "leadership-handed-over": Fault(transfer, nobody, stops=0),
    "clocks-changed": Fault(change_clocks, everyone, stops=0, alone=True, weight=1),
}
