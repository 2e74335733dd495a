# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""What the library is meant to reach, and what it was measured to reach."""

from results import ratio


class Goals:
    def __init__(self, results):
        self.results = results
        self.rows = []  # what, bound as text, measured, reached

    def add(self, what, measured, at_most=None, at_least=None, form="{:.2f}"):
        if measured is None:
            return
        bound = at_least if at_most is None else at_most
        reached = measured <= bound if at_most is not None else measured >= bound
        sign = "at most" if at_most is not None else "at least"
        self.rows.append((what, f"{sign} {form.format(bound)}", form.format(measured), reached))

    def compare(self, field, durable, window, cluster_inside, floor_inside):
        """rsm to the floor, for writes of 256 bytes."""
        shape = {"durable": durable, "pinned": False, "window": window,
                 "payload": 256, "operation": "write"}
        return ratio(self.results.value(field, program="cluster", inside=cluster_inside, **shape),
                     self.results.value(field, program="floor", inside=floor_inside, **shape))

    def cluster(self):
        for places, cluster_inside, floor_inside in (
                ("client, to the floor with a client", False, False),
                ("inside, to the floor with a client", True, False),
                ("inside, to a floor without a client", True, True)):
            for durable, medium, slowest, least in ((True, "durable", 1.25, 0.6),
                                                    (False, "in memory", 1.6, 0.33)):
                self.add(f"{medium}, {places}: p50 of 1 outstanding",
                         self.compare("p50_us", durable, 1, cluster_inside, floor_inside),
                         at_most=slowest)
                for window in (64, 256):
                    self.add(f"{medium}, {places}: operations/s of {window} outstanding",
                             self.compare("ops_per_s", durable, window, cluster_inside,
                                          floor_inside), at_least=least)
        shape = {"program": "cluster", "durable": False, "inside": True, "pinned": False,
                 "window": 256, "payload": 256}
        self.add("in memory, 256 outstanding: linearizable reads/s to writes/s",
                 ratio(self.results.value("ops_per_s", operation="read", **shape),
                       self.results.value("ops_per_s", operation="write", **shape)), at_least=2)

    def engine(self):
        shape = {"program": "engine", "batch": 64}
        rate = self.results.value("ops_per_cpu_s", **shape)
        self.add("engine, batches of 64: million operations/s on one core",
                 rate and rate / 1e6, at_least=3)
        self.add("engine, batches of 64: the leader's allocations per operation",
                 self.results.value("leader_allocations_per_op", **shape), at_most=0.1)

    def peers(self):
        def write(system, clients, pipeline, field):
            return self.results.value(field, program=system, operation="write",
                                      clients=clients, pipeline=pipeline)
        self.add("kv, 50 clients, 16 requests at once, SET: operations/s to redis-server's",
                 ratio(write("kv", 50, 16, "ops_per_s"), write("redis", 50, 16, "ops_per_s")),
                 at_least=0.5)
        self.add("kv, 1 client, SET: p50 to redis-server's",
                 ratio(write("kv", 1, 1, "p50_us"), write("redis", 1, 1, "p50_us")), at_most=2)
        self.add("kv, 64 clients, SET: operations/s to etcd's",
                 ratio(write("kv", 64, 1, "ops_per_s"), write("etcd", 64, 1, "ops_per_s")),
                 at_least=10)
        self.add("kv, 1 client, SET: p50 to etcd's",
                 ratio(write("kv", 1, 1, "p50_us"), write("etcd", 1, 1, "p50_us")), at_most=0.5)

    def recovery(self):
        rate = self.results.value("bytes_per_s", program="recovery", part="start with a log")
        self.add("start with a log: GB/s", rate and rate / 1e9, at_least=1)
        self.add("p99 of writes while a snapshot is made to p99 without",
                 self.results.value("times_without", program="recovery",
                                    part="write while a snapshot is made"), at_most=2)

    def all(self):
        self.cluster()
        self.engine()
        self.peers()
        self.recovery()
        return self.rows
