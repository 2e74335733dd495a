# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# redis-py, alone and as a cluster's client; see scripts/clients.
import os
import threading
import time

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException

NAME = os.environ["KV_NAME"]
LEADER = os.environ["KV_LEADER"].split(":")
FOLLOWER = os.environ["KV_FOLLOWER"].split(":")
NODES = [node.split(":") for node in os.environ["KV_NODES"].split(",")]
OPTIONS = {}
if os.environ["KV_PASSWORD"]:
    OPTIONS |= {"username": os.environ["KV_USER"], "password": os.environ["KV_PASSWORD"]}
if os.environ["KV_CA"]:
    OPTIONS |= {"ssl": True, "ssl_ca_certs": os.environ["KV_CA"],
                "ssl_certfile": os.environ["KV_CERT"], "ssl_keyfile": os.environ["KV_KEY"]}
LARGE = os.urandom(2_000_000)


def say(what):
    print(what, flush=True)


def demand(condition, what):
    if not condition:
        raise SystemExit(f"not so: {what}")


def raises(kind, words, action):
    try:
        action()
    except kind as error:
        demand(words in str(error), f"'{words}' in '{error}'")
        return
    demand(False, f"{kind} is raised")


def single(address, **options):
    return redis.Redis(address[0], int(address[1]), **OPTIONS, **options)


def values(client, prefix):
    """What any client, of one server or of a cluster, does with values."""
    key = f"{NAME}:{prefix}:"
    demand(client.set(key + "a", "1") is True, "SET says so")
    demand(client.get(key + "a") == b"1", "GET answers what was set")
    demand(client.get(key + "none") is None, "an absent key is None")
    demand(client.set(key + "a", "2", nx=True) is None, "a condition that fails is None")
    binary = bytes(range(256)) + b"\r\n$-1\r\n"
    client.set(key + "\0\r\n", binary)
    demand(client.get(key + "\0\r\n") == binary, "keys and values hold any bytes")
    client.set(key + "large", LARGE)
    demand(client.get(key + "large") == LARGE, "a large value comes back")
    client.delete(key + "n")
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(100):
            pipeline.incr(key + "n")
        demand(pipeline.execute() == list(range(1, 101)), "a pipeline answers in order")
    client.set(key + "word", "word")
    raises(redis.ResponseError, "not an integer", lambda: client.incr(key + "word"))
    # A cluster's client looks at COMMAND, and knows by itself that there is no such command.
    raises(redis.RedisError, "NONE", lambda: client.execute_command("NONE", key))
    demand(client.delete(key + "a", key + "word") == 2, "DEL counts")
    say(f"values, pipeline, errors: {prefix}")


def transaction(client):
    key = f"{NAME}:transaction:"
    client.delete(key + "n")
    with client.pipeline(transaction=True) as pipeline:
        answers = pipeline.set(key + "a", "1").incr(key + "n").get(key + "a").execute()
    demand(answers == [True, 1, b"1"], f"a transaction answers {answers}")
    say("transaction")


def pool(client):
    """More threads than connections at the beginning, each with some of its own."""
    failures = []

    def count(thread):
        for number in range(20):
            key = f"{NAME}:pool:{thread}"
            client.set(key, number)
            if client.get(key) != b"%d" % number:
                failures.append(key)

    threads = [threading.Thread(target=count, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    demand(not failures, f"each thread reads what it wrote: {failures}")
    say("pool")


def names(address):
    client = single(address, client_name="a-name")
    demand(client.client_getname() in ("a-name", b"a-name"), "a connection has its name")
    demand(client.info()["redis_mode"] == "cluster", "INFO is parsed")
    demand(client.ping(), "PING")


def cluster_client():
    return RedisCluster(startup_nodes=[ClusterNode(*node) for node in NODES], **OPTIONS)


def follow(client):
    """Writes until told to stop; then all that was acknowledged has to be there.

    A RedisCluster of redis-py 4.3 that has lost the master may be unable to look for another one: it
    copies what cannot be copied (RedisClusterException), or goes on taking the new master for a replica
    (IndexError). A new one finds it.
    """
    written = 0
    while not os.path.exists(os.environ["KV_STOP"]):
        deadline = time.monotonic() + 30
        while True:
            try:
                client = client or cluster_client()
                client.set(f"{NAME}:follow:{written}", written)
                break
            except (redis.RedisError, RedisClusterException, IndexError) as error:
                if not isinstance(error, redis.RedisError):
                    client = None
                demand(time.monotonic() < deadline, f"a write is done within 30 s: {error!r}")
                time.sleep(0.02)
        written += 1
        say(f"acknowledged {written}")
    for number in range(written):
        demand(client.get(f"{NAME}:follow:{number}") == b"%d" % number, f"write {number} is there")


single_client = single(LEADER)
values(single_client, "single")
transaction(single_client)
pool(single_client)
names(LEADER)
raises(redis.ResponseError, "MOVED", lambda: single(FOLLOWER).set(NAME, "x"))
if OPTIONS.get("password"):
    wrong = redis.Redis(LEADER[0], int(LEADER[1]), **(OPTIONS | {"password": "wrong"}))
    raises(redis.ResponseError, "invalid username-password pair", wrong.ping)
cluster = cluster_client()
values(cluster, "cluster")
pool(cluster)
follow(cluster)
say("done")
