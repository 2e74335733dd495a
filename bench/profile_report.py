# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""The page's section on where the processor time goes, from what bench/profile has printed."""

from tables import number, table

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


def _load(line):
    word = "durable" if line["durable"] else "memory"
    if "window" in line:
        return f"{word}, {line['window']} outstanding"
    return f"{word}, {line['clients']} clients"


def _difference(base, lines, parts):
    """How much more than its base a program takes, and the parts that most of it is in."""
    more = {part: _sum(lines, part) - _sum(base, part) for part in parts}
    total = sum(more.values())
    most = sorted(more, key=more.get, reverse=True)[:4]
    return (number(total),
            ", ".join(f"{part} {number(more[part])}" for part in most if more[part] > 0))


def profile_lines(results):
    found = results.select(program="profile")
    if not found:
        return []
    parts = [name[len("us_"):] for name in found[0] if name.startswith("us_") and name != "us_all"]
    rows, differences = [], []
    for load in dict.fromkeys(map(_load, found)):
        here = [line for line in found if _load(line) == load]
        rows += [(f"{load}: {NAMES[line['of']]}, {line['role']}", number(line["us_all"]),
                  *(_short(line["us_" + part]) for part in parts)) for line in here]
        for program, base in BASES.items():
            lines = [line for line in here if line["of"] == program]
            bases = [line for line in here if line["of"] == base]
            if lines and bases:
                differences.append((f"{load}: {NAMES[program]} to {NAMES[base]}",
                                    *_difference(bases, lines, parts)))
    return ["## Where the time goes\n", INTRODUCTION, table(("", "all", *parts), rows),
            "All processes together, beyond what the other takes, and the parts of it:\n",
            table(("", "µs more", "most of it"), differences), READING]
