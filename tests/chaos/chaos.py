#!/usr/bin/env python3
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Real kv-server processes in network namespaces, and everything that can go wrong with them, while
clients read and write. Checks that nothing acknowledged is lost, that the histories are linearizable
and that all is well in the end; tells for how long nothing was written, by fault.

Needs root: network namespaces and iptables."""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from certificates import Certificates
from faults import FAULTS, Act
from load import Load
from network import Network
from report import AFTERWARDS, Episode, Story, longest, plot, table
from servers import ELECTION_TIMEOUT_MS, Servers, is_well, leader_of

PATIENCE_S = 180  # for a cluster to get well
# What no node says, whatever is done to it here.
NEVER_SAID = ("PROTOCOL VIOLATION", "RIVAL LEADER", "OUTVOTED", "STATES DIFFER")


class UnderWay:
    """A fault that has begun, and what it waits for."""

    def __init__(self, act, generator):
        self.act, self._generator = act, generator
        self._reached, self._deadline = (lambda: True), time.monotonic() + PATIENCE_S

    def go_on(self):
        """Whether it is over."""
        if not self._reached():
            if time.monotonic() > self._deadline:
                raise RuntimeError(f"in vain waited until all is well after: {self.act.name}")
            return False
        try:
            awaited = next(self._generator)
        except StopIteration:
            return True
        self._deadline = time.monotonic() + PATIENCE_S
        if callable(awaited):
            self._reached = awaited
        else:
            end = time.monotonic() + awaited
            self._reached = lambda: time.monotonic() >= end
        return False

    def take_back(self):
        self._generator.close()


class Run:
    """A cluster under load, and the faults under way."""

    def __init__(self, arguments, network, servers, load):
        self.network, self.servers, self.load = network, servers, load
        self.random = random.Random(arguments.seed)
        self.accounts = {}
        self.under_way = {}  # by episode
        self.story = Story(time.monotonic_ns(), 3 * ELECTION_TIMEOUT_MS)
        self.network_seconds = arguments.network_seconds
        self._nodes = arguments.nodes
        self._last_node = arguments.nodes
        self._looked = 0.0
        self._verbose = arguments.verbose

    def new_node(self):
        self._last_node += 1
        return self._last_node

    def are_well(self, servers):
        return all(is_well(self.accounts, server.node) for server in servers)

    def all_are_well(self):
        members = [server.node for server in self.servers.by_node.values()]
        return (len(self.accounts) == len(members) and
                all(is_well(self.accounts, node) for node in members))

    def say(self, text):
        print(f"{(time.monotonic_ns() - self.story.begin) / 1e9:8.1f} s  {text}", flush=True)

    def remark(self, text):
        if self._verbose:
            self.say(text)

    # ---- time passes ----

    def step(self):
        self.load.take()
        if self.load.problems:
            raise RuntimeError(self.load.problems[0])
        for server in self.servers.ended_by_themselves():
            raise RuntimeError(f"node {server.node} ended by itself: see {server.log}")
        if time.monotonic() - self._looked >= 0.2:
            self._look()
        for episode, fault in list(self.under_way.items()):
            if fault.go_on():
                episode.end = time.monotonic_ns()
                del self.under_way[episode]
        time.sleep(0.02)

    def wait(self, what, reached, patience=PATIENCE_S):
        deadline = time.monotonic() + patience
        while not reached():
            if time.monotonic() > deadline:
                raise RuntimeError(f"in vain waited until {what}")
            self.step()

    def wait_for_writes(self, count=50):
        enough = self.load.acknowledged + count
        self.wait("writes are acknowledged", lambda: self.load.acknowledged >= enough)

    def _look(self):
        self.accounts = self.servers.accounts()
        self._looked = time.monotonic()
        term = max((int(account["term"]) for account in self.accounts.values()), default=0)
        if term and (not self.story.terms or term > self.story.terms[-1][1]):
            self.story.terms.append((time.monotonic_ns(), term))

    # ---- faults ----

    def _admits(self, fault):
        running = [FAULTS[episode.name] for episode in self.under_way]
        if fault.alone or any(other.alone for other in running):
            return not running and self.all_are_well()
        if fault.loses and any(other.loses for other in running):
            return False
        stopped = sum(other.stops for other in running)
        return stopped + fault.stops <= (self._nodes - 1) // 2

    def free_servers(self):
        busy = [server for other in self.under_way.values() for server in other.act.targets]
        return [server for server in self.servers.by_node.values() if server not in busy]

    def begin(self, name):
        """The episode; None: not now."""
        fault = FAULTS[name]
        if any(episode.name == name for episode in self.under_way) or not self._admits(fault):
            return None
        targets = fault.choose(self, self.free_servers())
        if targets is None:
            return None
        act = Act(self, name, targets)
        episode = Episode(name, [server.node for server in targets], time.monotonic_ns())
        self.story.episodes.append(episode)
        self.remark(f"{name} {episode.nodes or ''}")
        self.under_way[episode] = UnderWay(act, fault.act(act))
        return episode

    def finish_faults(self):
        self.wait("all faults are over", lambda: not self.under_way)

    # ---- whole runs ----

    def settle(self):
        self.wait("all servers are well", self.all_are_well)
        self.wait_for_writes()

    def repeat(self, name, times):
        """One fault at a time; its gaps in milliseconds."""
        gaps = []
        for _ in range(times):
            self.settle()
            heard = {node: len(server.log_text())
                     for node, server in self.servers.by_node.items()}
            term = self.story.terms[-1][1]
            self.wait(f"there is one to suffer {name}", lambda: self.begin(name), 30)
            self.finish_faults()
            self.wait_for_writes()
            episode = self.story.episodes[-1]
            self._judge(episode, heard, term)
            gaps.append(longest(self.load.silences, episode.begin, time.monotonic_ns()))
            self.say(f"{name} {episode.nodes or ''}: {gaps[-1]:,.0f} ms")
            self.wait("it is past", lambda: time.monotonic_ns() > episode.end + 2 * AFTERWARDS)
        return gaps

    def _judge(self, episode, heard, term):
        """A fault that was alone, by what had been said, and the term, when it began."""
        fault = FAULTS[episode.name]
        for node in episode.nodes if fault.said else ():
            server = self.servers.by_node[node]
            if fault.said not in server.log_text()[heard[node]:]:
                raise RuntimeError(f"{episode.name}: node {node} does not say {fault.said!r}: see"
                                   f" {server.log}")
        if fault.keeps_leader and self.story.terms[-1][1] != term:
            raise RuntimeError(f"{episode.name}: there was an election")

    def mix(self, seconds, names):
        """Faults by chance, several at once as far as the rule lets them."""
        end = time.monotonic() + seconds
        weights = [FAULTS[name].weight for name in names]
        chosen, begins = None, time.monotonic()
        while time.monotonic() < end:
            self.step()
            if time.monotonic() < begins:
                continue
            # One that cannot be now is waited for, so that those are not left out which seldom can.
            if chosen is None:
                chosen = self.random.choices(names, weights)[0]
            begun = self.begin(chosen) is not None
            if begun or time.monotonic() > begins + 15:
                chosen = None
                begins = time.monotonic() + self.random.choice((0.2, 1, 3, 6))
        self.finish_faults()

    def account(self):
        """All is well, all replicas are equal, and what was acknowledged is there."""
        self.settle()
        self.story.end = time.monotonic_ns()
        self.load.end()
        self.wait("all is read back", lambda: self.load.done is not None)
        self.wait("all replicas are equal", self._are_equal)
        for server in list(self.servers.by_node.values()) + self.servers.gone:
            said = [words for words in NEVER_SAID if words in server.log_text()]
            if said:
                raise RuntimeError(f"node {server.node} says: {said[0]}: see {server.log}")
        self.load.finish_judging()
        self.load.take()
        if self.load.problems:
            raise RuntimeError(self.load.problems[0])

    def _are_equal(self):
        digests = self.servers.ask_all("RAFT.DIGEST")
        return (len(digests) == len(self.servers.by_node) and len(set(digests.values())) == 1
                and None not in digests.values())

    def take_back(self):
        for fault in self.under_way.values():
            fault.take_back()
        self.under_way.clear()


def server_options(arguments, directory):
    """Of each server."""
    common = ["--snapshot-threshold", "256KiB", "--segment-size", "256KiB"]
    if not arguments.tls:
        return lambda server: common
    certificates = Certificates(directory, "kv")
    return lambda server: common + certificates.options(server.node)


def has_tls(programs):
    helped = subprocess.run([os.path.join(programs, "kv-server"), "--help"],
                            capture_output=True, text=True).stdout
    return "--tls-cert" in helped


def usable(arguments):
    """The faults that a run chooses from."""
    names = [arguments.fault] if arguments.fault else arguments.only or list(FAULTS)
    minority = (arguments.nodes - 1) // 2
    return [name for name in names if FAULTS[name].stops <= minority]


def parse():
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--programs", required=True, help="where the programs are")
    parser.add_argument("--minutes", type=float, default=2, help="of faults by chance")
    parser.add_argument("--fault", choices=FAULTS, help="only this, one at a time")
    parser.add_argument("--repeat", type=int, default=5, help="how often --fault")
    parser.add_argument("--each", nargs="+", choices=FAULTS, help="these, once, one at a time")
    parser.add_argument("--only", nargs="+", choices=FAULTS, help="choose among these")
    parser.add_argument("--nodes", type=int, default=5, choices=(3, 5, 7))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32),
                        help="of the choices; by default another in every run")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--pace", type=int, default=10, help="ms between a client's operations")
    parser.add_argument("--window", type=int, default=20, help="seconds of each judged history")
    parser.add_argument("--tls", action="store_true", help="nodes talk over TLS")
    parser.add_argument("--network-seconds", type=float, default=8, metavar="S",
                        help="for how long a host, or a line, is cut off")
    parser.add_argument("--max-gap", type=int, metavar="MS",
                        help="fail where a fault that leaves a majority costs more")
    parser.add_argument("--out", help="a directory for the table and the plot")
    parser.add_argument("--verbose", action="store_true", help="say each fault as it begins")
    return parser.parse_args()


def write_report(arguments, story):
    text = table(story, FAULTS)
    print(text, flush=True)
    if not arguments.out:
        return
    os.makedirs(arguments.out, exist_ok=True)
    for name, content in (("chaos.txt", text + "\n"), ("chaos.svg", plot(story))):
        with open(os.path.join(arguments.out, name), "w", encoding="utf-8") as file:
            file.write(content)
    print(f"table and plot: {arguments.out}", flush=True)


def carry_out(arguments, run):
    run.wait("the cluster serves", lambda: run.load.acknowledged > 100)
    run.settle()
    names = usable(arguments)
    if arguments.each:
        for name in arguments.each:
            run.repeat(name, 1)
    elif arguments.fault:
        gaps = sorted(run.repeat(arguments.fault, arguments.repeat))
        print(f"{arguments.fault}: median {gaps[len(gaps) // 2]:,.0f} ms, longest {gaps[-1]:,.0f}",
              flush=True)
    else:
        run.mix(arguments.minutes * 60, names)
    run.account()
    if not run.story.episodes or run.load.checked == 0:
        raise RuntimeError("no fault befell anybody, or no history was judged")
    for begin, end in run.story.silences if arguments.max_gap else ():
        has_majority = all(FAULTS[one.name].majority for one in run.story.blamed((begin, end)))
        if (end - begin) / 1e6 > arguments.max_gap and has_majority:
            raise RuntimeError(f"no write for {(end - begin) / 1e6:,.0f} ms")


def summary(run):
    operations, puts, doubts = run.load.done
    slowest = max((end - begin for begin, end in run.load.slow), default=0) / 1e6
    terms = [term for _, term in run.story.terms]
    return (f"{len(run.story.episodes)} faults, {operations:,} operations, {puts:,} acknowledged"
            f" puts, {doubts:,} in doubt, {run.load.checked} histories linearizable,"
            f" {max(terms) - min(terms)} elections,"
            f" slowest operation {f'{slowest:,.0f}' if slowest else 'under 500'} ms,"
            f" load average {os.getloadavg()[0]:.1f}")


def chaos(arguments, directory):
    """Whether all was well."""
    with Network(arguments.nodes + 1) as network, \
            Servers(network, arguments.programs, directory, arguments.nodes,
                    server_options(arguments, directory)) as servers:
        servers.found()
        with Load(network, servers, arguments.programs, directory, arguments.seed,
                  arguments.clients, arguments.pace, arguments.window) as load:
            run = Run(arguments, network, servers, load)
            run.story.silences = load.silences
            failure = None
            try:
                carry_out(arguments, run)
            except RuntimeError as error:
                failure = error
            finally:
                run.take_back()
            run.story.end = run.story.end or time.monotonic_ns()
            write_report(arguments, run.story)
            if failure is not None:
                print(f"chaos: FAILED: {failure}", flush=True)
                return False
            print(f"chaos: passed: {summary(run)}", flush=True)
            return True


def main():
    arguments = parse()
    if os.geteuid() != 0:
        sys.exit("chaos: needs root, for network namespaces and iptables")
    for program in ("ip", "iptables-restore"):
        if shutil.which(program) is None:
            sys.exit(f"chaos: {program} is missing (scripts/install-deps --tests installs it)")
    if arguments.tls and not has_tls(arguments.programs):
        sys.exit("chaos: --tls: this kv-server has no TLS (no option --tls-cert)")
    # Also where the shell that starts it in the background has had it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    print(f"seed {arguments.seed}", flush=True)
    directory = tempfile.mkdtemp(prefix="rsm-chaos-")
    is_evidence = True
    try:
        is_evidence = not chaos(arguments, directory)
    except KeyboardInterrupt:
        is_evidence = False
        sys.exit(130)
    except SystemExit:
        is_evidence = False
        raise
    finally:
        if is_evidence:
            print(f"logs, data and histories: {directory}", flush=True)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    sys.exit(1 if is_evidence else 0)


if __name__ == "__main__":
    main()
