# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""The page's section on where the processor time goes, from what bench/profile has printed."""

from tables import number, table

PARTS = ("sync", "write", "send", "receive", "wait", "faults", "kernel", "allocation", "copying",
         "checksum", "program")
# Whose place each one takes: what it is compared with.
BASES = {"cluster": "floor", "kv": "redis"}
NAMES = {"floor": "floor", "cluster": "rsm", "redis": "redis-server", "kv": "kv-server"}

INTRODUCTION = """Microseconds of processor time for each operation (256 B), by what the processes
were doing; leader is the process that takes operations in, followers are the two others together,
each with all its threads. *sync* is `fdatasync`, *write* writing to a file (for redis-server to
its sockets, too), *send* and *receive* the sockets' calls with the whole path through the loopback
device, *wait* waiting for and waking up threads (`epoll`, `futex`), *faults* memory used for the
first time, *kernel* the rest of the kernel, *program* all code outside of the kernel that is not
allocation, copying or a checksum. Sampled with perf ([bench/profile](../bench/profile)); what it
costs is in the figures, for all alike.
"""

READING = """With one operation outstanding its parts follow one another, and what counts is the
path: a node hands a write to its log's thread and gets it back, so that it can answer while a sync
takes its time, and each hand-over wakes up a thread (*wait*); the floor blocks in its one thread.
With many outstanding in a closed loop, the leader works on a batch while the followers wait for it,
and then the other way round, so that processor time for each operation turns into time that the
loop takes: what the floor does not do at all (terms, checksums, encoding, a log in memory, a state
machine, completions) stands in *program*, *allocation* and *faults*, and the segments of the log
that are filled with zeros beside it in *write*. Each request of a connection of its own costs a
call to receive and one to send, whoever serves it; a batch of few requests then has to bear the
syncs and hand-overs of three nodes.
"""


def _short(value):
    """Two digits; what is too little to be told from nothing is nothing."""
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.2g}" if value >= 0.005 else "0"


def _sum(lines, part):
    return sum(line["us_" + part] for line in lines)


def _difference(base, lines):
    """How much more than its base a program takes, and the parts that most of it is in."""
    more = {part: _sum(lines, part) - _sum(base, part) for part in PARTS}
    total = sum(more.values())
    most = sorted(more, key=more.get, reverse=True)[:4]
    return (number(total),
            ", ".join(f"{part} {number(more[part])}" for part in most if more[part] > 0))


def profile_lines(results):
    found = results.select(program="profile")
    if not found:
        return []
    settings = []
    for line in found:
        key = (line["durable"], line.get("window"), line.get("clients"))
        if key not in settings:
            settings.append(key)
    rows, differences = [], []
    for durable, window, clients in settings:
        word = "durable" if durable else "memory"
        load = f"{window} outstanding" if window else f"{clients} clients"
        here = [line for line in found if (line["durable"], line.get("window"),
                                           line.get("clients")) == (durable, window, clients)]
        for line in here:
            rows.append((f"{word}, {load}: {NAMES[line['of']]}, {line['role']}",
                         number(line["us_all"]),
                         *(_short(line["us_" + part]) for part in PARTS)))
        for program, base in BASES.items():
            lines = [line for line in here if line["of"] == program]
            bases = [line for line in here if line["of"] == base]
            if lines and bases:
                differences.append((f"{word}, {load}: {NAMES[program]} to {NAMES[base]}",
                                    *_difference(bases, lines)))
    return ["## Where the time goes\n", INTRODUCTION, table(("", "all", *PARTS), rows),
            "All processes together, beyond what the other takes, and the parts of it:\n",
            table(("", "µs more", "most of it"), differences), READING]
