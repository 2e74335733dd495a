# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Writes the page about performance, with its tables and plots, from raw results."""

import json
import os

import plot
from goals import Goals
from profile_report import profile_lines
from results import Results, ratio
from tables import number, table, times

INTRODUCTION = """# Performance

All processes of a measurement run on one machine and talk over its loopback device, so they share
its cores and its disk: the figures compare programs on this machine and say little about three
machines. The yardstick is the *floor* ([bench/floor.cpp](../bench/floor.cpp)): the same processes
and connections, which forward an operation to two followers, append it to a file that was filled in
advance, sync, and answer when the leader and one follower hold it. It has no terms, no headers, no
checksums and no state machine; nothing can be faster by much.

What is compared was measured alternately; each figure is the median of its runs. An operation is
outstanding from its submission until its completion, and the next one begins at once (a closed
loop). *Inside* means that operations are submitted in the leader's process, *client* that they
come over a connection from a process of their own. The floor is meant to have a client. The tables
compare *inside* with one that has none, whose leader makes up the operations by itself; the goals
say which of the two it is. `scripts/bench` measures all this again and writes this page.
"""


class Page:
    def __init__(self, raw, target):
        self.results = Results(raw)
        with open(os.path.join(raw, "machine.json"), encoding="utf-8") as file:
            self.machine = json.load(file)
        self.target = target
        self.plots = os.path.join(target, "performance")
        os.makedirs(self.plots, exist_ok=True)
        self.out = [INTRODUCTION]

    def plot(self, name, title, svg):
        with open(os.path.join(self.plots, name + ".svg"), "w", encoding="utf-8") as file:
            file.write(svg)
        self.out.append(f"![{title}](performance/{name}.svg)\n")

    # ---- where and how ----

    def facts(self):
        m = self.machine
        rows = [("processor", f"{m['processor']}, {m['cores']} cores"), ("memory", m["memory"]),
                ("kernel", m["kernel"]), ("disk", m["disk"]), ("compiler", m["compiler"]),
                ("command", f"`{m['command']}`"), ("commit", m["commit"]), ("date", m["date"]),
                ("load before", f"{m['load']:.2f}")]
        self.out.append("## The machine\n")
        self.out.append("| | |\n| --- | --- |\n" +
                        "\n".join(f"| {a} | {b} |" for a, b in rows) + "\n")

    def goals(self):
        rows = Goals(self.results).all()
        if not rows:
            return
        self.out.append("## Goals\n")
        self.out.append(table(("goal", "bound", "measured", "reached"),
                              [(what, bound, measured, "yes" if reached else "**no**")
                               for what, bound, measured, reached in rows]))

    # ---- floor and cluster ----

    def load(self, program, durable, inside, window, payload=256, operation="write",
             pinned=False):
        return self.results.one(program=program, durable=durable, inside=inside, pinned=pinned,
                                window=window, payload=payload, operation=operation)

    def windows(self, durable, pinned=False):
        found = self.results.select(program="cluster", durable=durable, payload=256,
                                    operation="write", inside=True, pinned=pinned)
        return sorted({one["window"] for one in found})

    def load_rows(self, durable, inside, shapes, pinned=False):
        for window, payload, operation in shapes:
            one = self.load("cluster", durable, inside, window, payload, operation, pinned)
            if one is None:
                continue
            floor = self.load("floor", durable, inside, window, payload, "write", pinned)
            floor = floor if operation == "write" and floor else {}
            yield (f"{operation}, {window} outstanding, {payload} B", number(one["ops_per_s"]),
                   f"{one['spread'] * 100:.0f} %", number(one["p50_us"]), number(one["p95_us"]),
                   number(one["p99_us"]), number(one["p999_us"]),
                   number(one["cpu_s_per_million"]), number(one["wire_bytes_per_op"]),
                   number(one["disk_bytes_per_op"]) if durable else "",
                   number(one["disk_flushes_per_s"]) if durable else "",
                   number(floor.get("ops_per_s")), number(floor.get("p50_us")),
                   times(ratio(one["ops_per_s"], floor.get("ops_per_s"))),
                   times(ratio(one["p50_us"], floor.get("p50_us"))))

    HEAD = ("operation", "ops/s", "spread", "p50 µs", "p95 µs", "p99 µs", "p99.9 µs",
            "CPU s/M", "wire B", "disk B", "flushes/s", "floor ops/s", "floor p50 µs",
            "ops/s to floor", "p50 to floor")

    def shapes(self, durable):
        found = self.results.select(program="cluster", durable=durable, pinned=False)
        key = {(one["operation"] == "read", one["payload"] != 256, one["window"],
                one["payload"], one["operation"]) for one in found}
        return [(window, payload, operation) for _, _, window, payload, operation in sorted(key)]

    def cluster(self):
        for durable, name in ((True, "Durable"), (False, "In memory")):
            if not self.windows(durable):
                continue
            self.out.append(f"## {name}: three replicas and the floor\n")
            for inside, place in ((True, "Inside"), (False, "Client")):
                rows = list(self.load_rows(durable, inside, self.shapes(durable)))
                if rows:
                    self.out.append(f"{place}:\n")
                    self.out.append(table(self.HEAD, rows))
            self.plot_throughput(durable)
            self.plot_latency(durable)
        if self.windows(True) and self.windows(False):
            self.plot_ratio()
        self.out.append(
            "CPU s/M: seconds of CPU time for a million operations, all processes together. "
            "wire B: bytes over the loopback device for each operation, headers included. "
            "disk B and flushes/s: what the block device counts, so for all three logs, and for "
            "whatever else used the disk. Spread: between the fastest and the slowest run, in "
            "parts of the median.\n")

    def plot_throughput(self, durable):
        windows = self.windows(durable)
        curves = {"floor": ("floor", True, "write"), "rsm, inside": ("cluster", True, "write"),
                  "rsm, client": ("cluster", False, "write"),
                  "rsm reads": ("cluster", True, "read")}
        series = {}
        for name, (program, inside, operation) in curves.items():
            found = {w: self.load(program, durable, inside, w, operation=operation)
                     for w in windows}
            series[name] = {w: one["ops_per_s"] for w, one in found.items() if one}
        word = "durable" if durable else "memory"
        self.plot(f"throughput-{word}", f"Operations per second, {word}",
                  plot.lines(f"Operations per second, 256 B, {word}",
                             "operations outstanding", "operations/s", windows,
                             {name: points for name, points in series.items() if points}))

    def plot_latency(self, durable):
        percentiles = {"p50": "p50_us", "p95": "p95_us", "p99": "p99_us", "p99.9": "p999_us"}
        series = {}
        for window in (1, 64):
            for program, name in (("floor", "floor"), ("cluster", "rsm")):
                one = self.load(program, durable, True, window)
                if one:
                    series[f"{name}, {window} outstanding"] = {
                        p: one[field] for p, field in percentiles.items()}
        if series:
            word = "durable" if durable else "memory"
            self.plot(f"latency-{word}", f"Latency, {word}",
                      plot.lines(f"Latency of a write of 256 B, {word}", "percentile",
                                 "microseconds", list(percentiles), series))

    def plot_ratio(self):
        series = {}
        for durable, inside, name in ((True, True, "durable, inside"),
                                      (True, False, "durable, client"),
                                      (False, True, "memory, inside"),
                                      (False, False, "memory, client")):
            points = {}
            for window in self.windows(durable):
                one = self.load("cluster", durable, inside, window)
                floor = self.load("floor", durable, inside, window)
                if one and floor:
                    points[window] = ratio(one["ops_per_s"], floor["ops_per_s"])
            if points:
                series[name] = points
        if series:
            self.plot("ratio", "Throughput in parts of the floor's",
                      plot.lines("Throughput in parts of the floor's, writes of 256 B",
                                 "operations outstanding", "rsm / floor", self.windows(True),
                                 series, logarithmic=False))

    def pinned(self):
        rows = []
        for durable, word in ((True, "durable"), (False, "memory")):
            shapes = [(w, 256, "write") for w in self.windows(durable, True)]
            rows += [(word + ", " + row[0], *row[1:])
                     for row in self.load_rows(durable, True, shapes, True)]
        if rows:
            self.out.append("## All processes on one core\n")
            self.out.append(table(self.HEAD, rows))

    def tls(self):
        shown = []
        for durable, word in ((True, "durable"), (False, "memory")):
            for plain in self.results.select(program="cluster-tls", durable=durable, tls=False):
                shape = {"window": plain["window"], "payload": plain["payload"]}
                secured = self.results.one(program="cluster-tls", durable=durable, tls=True,
                                           **shape)
                if secured is not None:
                    shown.append((word, plain, secured))
        if not shown:
            return
        self.out.append("## TLS between the replicas\n")
        self.out.append(
            "One program, inside, with its connections plain and under TLS 1.3 "
            "(AES-256-GCM, certificates on P-256). CPU s/M: as above.\n")
        self.out.append(table(
            ("operation", "plain ops/s", "TLS ops/s", "TLS to plain", "plain p50 µs",
             "TLS p50 µs", "plain p99 µs", "TLS p99 µs", "plain CPU s/M", "TLS CPU s/M",
             "TLS to plain"),
            [(f"{word}, write, {a['window']} outstanding, {a['payload']} B",
              number(a["ops_per_s"]), number(b["ops_per_s"]),
              times(ratio(b["ops_per_s"], a["ops_per_s"])), number(a["p50_us"]),
              number(b["p50_us"]), number(a["p99_us"]), number(b["p99_us"]),
              number(a["cpu_s_per_million"]), number(b["cpu_s_per_million"]),
              times(ratio(b["cpu_s_per_million"], a["cpu_s_per_million"])))
             for word, a, b in shown]))

    # ---- the others ----

    def engine(self):
        found = sorted(self.results.select(program="engine"), key=lambda one: one["batch"])
        if not found:
            return
        self.out.append("## The algorithm alone\n")
        self.out.append(
            "Three engines in one thread, operations of 16 bytes, no I/O and no encoding "
            "([bench/engine.cpp](../bench/engine.cpp)). Allocations are those beyond the "
            "operation's own bytes. A test holds instructions and allocations to a budget "
            "([bench/budgets.txt](../bench/budgets.txt)).\n")
        self.out.append(table(
            ("batch", "ops/s on one core", "leader: allocations/op", "follower: allocations/op"),
            [(one["batch"], number(one["ops_per_cpu_s"]),
              number(one["leader_allocations_per_op"]),
              number(one["follower_allocations_per_op"])) for one in found]))

    def peers(self):
        names = {"kv": "kv-server, 3 replicas", "redis": "redis-server, 1 process",
                 "etcd": "etcd, 3 replicas"}
        found = [one for system in names for one in self.results.select(program=system)]
        if not found:
            return
        found.sort(key=lambda one: (one["operation"] == "read", one["pipeline"], one["clients"],
                                    list(names).index(one["program"])))
        self.out.append("## The kv service beside others\n")
        self.out.append(
            f"Values of 256 bytes, 100 000 keys, every write durable: kv-server and etcd on the "
            f"logs of three processes, redis-server ({self.machine['redis']}) with `appendonly "
            f"yes` and `appendfsync always` on one. {self.machine['etcd']}. All reads but those of "
            f"redis-server are linearizable. redis-benchmark loads the first two, etcd gets its "
            f"load over its JSON interface ([bench/etcd_load.cpp](../bench/etcd_load.cpp)), whose "
            f"translation is a part of what etcd does here; the last column says how much of a "
            f"core that generator took.\n")
        self.out.append(table(
            ("", "ops/s", "p50 µs", "p95 µs", "p99 µs", "servers: CPU s/M", "generator cores"),
            [(f"{one['operation']}, {one['clients']} clients, {one['pipeline']} at once: "
              f"{names[one['program']]}", number(one["ops_per_s"]), number(one["p50_us"]),
              number(one["p95_us"]), number(one["p99_us"]),
              number(one["server_cpu_s_per_million"]), number(one.get("generator_cores")))
             for one in found]))
        loads = {"1 client": (1, 1), "64 clients": (64, 1), "256 clients": (256, 1),
                 "50 clients × 16": (50, 16)}
        series = {}
        for system, name in names.items():
            values = {label: self.results.value("ops_per_s", program=system, operation="write",
                                                clients=clients, pipeline=pipeline)
                      for label, (clients, pipeline) in loads.items()}
            points = {label: value for label, value in values.items() if value}
            if points:
                series[name] = points
        self.plot("peers", "Durable writes beside redis and etcd",
                  plot.bars("Durable writes of 256 B per second", "operations/s", list(loads),
                            series))

    def recovery(self):
        found = self.results.select(program="recovery")
        copies = [one for one in found if "bare_seconds" in one]
        pauses = [one for one in found if "p99_us_during" in one]
        if not found:
            return
        self.out.append("## Long logs and large states\n")
        self.out.append(table(
            ("", "bytes", "seconds", "MB/s", "bare seconds", "times bare"),
            [(one["part"], number(one["bytes"]), number(one["seconds"]),
              number(one["bytes_per_s"] / 1e6), number(one["bare_seconds"]),
              times(one["times_bare"])) for one in copies]))
        self.out.append(
            "Bare: the same files read with `read`, or copied with `read`, `write` and one "
            "`fdatasync`. Files are read cold.\n")
        for one in copies:
            if "seconds_captured" in one:
                self.out.append(f"Of the time to write a snapshot, the node's own thread was busy "
                                f"for {number(one['seconds_captured'])} s.\n")
            if "seconds_until_served" in one:
                self.out.append(
                    f"From the start with the log until the first read was served, after the "
                    f"election of a cluster of one (500 to 1000 ms): "
                    f"{number(one['seconds_until_served'])} s.\n")
        if pauses:
            self.out.append("Writes that come at a fixed rate, whatever becomes of those before, "
                            "each counted from the time at which it was due:\n")
        for one in pauses:
            self.out.append(table(
                (f"{number(one['rate'])} writes/s, state of {number(one['bytes'])} bytes",
                 "p50 µs", "p99 µs", "longest µs", "operations"),
                [(word, number(one["p50_us_" + key]), number(one["p99_us_" + key]),
                  number(one["max_us_" + key]), number(one["operations_" + key]))
                 for word, key in (("while all three replicas make a snapshot", "during"),
                                   ("otherwise", "without"))]))

    def profile(self):
        self.out += profile_lines(self.results)

    def compile(self):
        found = self.results.select(program="compile")
        if not found:
            return
        self.out.append("## Compilation\n")
        self.out.append(table(
            ("", "CPU s", "peak MiB"),
            [(f"{one['source']}, {one['compiler']} {one['level']}", number(one["cpu_seconds"]),
              number(one["peak_mib"])) for one in found]))
        for one in self.results.select(program="budget"):
            word = "keeps" if one["kept"] else "exceeds"
            self.out.append(f"{one['source']} {word} its budget of {one['budget_seconds']} s "
                            f"({one['compiler']}, unoptimized).\n")

    def write(self):
        for part in (self.facts, self.goals, self.cluster, self.pinned, self.tls, self.engine, self.peers,
                     self.recovery, self.profile, self.compile):
            part()
        path = os.path.join(self.target, "performance.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(self.out))
        return path


def write(raw, target):
    """Returns the page's path."""
    return Page(raw, target).write()
