# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Servers that keep keys and values durably, and the load of redis-benchmark."""

import csv
import io
import json
import os
import socket
import time

import children
from children import free_ports

KEYS = 100000
PAYLOAD = 256


def ask(port, *words):
    """One Redis command; the reply's bytes as far as they come at once."""
    request = b"*%d\r\n" % len(words)
    for word in words:
        request += b"$%d\r\n%s\r\n" % (len(word), word.encode())
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(request)
        return connection.recv(65536).decode(errors="replace")


def wait_for(what, condition, group, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not group.alive():
            raise RuntimeError(f"{what}: a server has ended")
        try:
            answer = condition()
            if answer:
                return answer
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{what}: not in time")


def start_kv(arguments, group, work):
    ports = free_ports(6)
    cluster = ",".join(f"{i + 1}=127.0.0.1:{ports[i]}" for i in range(3))
    for i in range(3):
        group.start([os.path.join(arguments.bin, "kv-server"), "--id", str(i + 1), "--cluster",
                     cluster, "--listen", f"127.0.0.1:{ports[3 + i]}", "--data",
                     os.path.join(work, str(i + 1))], os.path.join(work, "log"))

    def leader():
        for port in ports[3:]:
            if "role:leader" in ask(port, "RAFT.STATUS") and ask(port, "DBSIZE")[0] == ":":
                return port
        return None

    return wait_for("kv-server", leader, group)


def start_redis(_, group, work):
    port = free_ports(1)[0]
    group.start(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", work,
                 "--save", "", "--appendonly", "yes", "--appendfsync", "always"],
                os.path.join(work, "log"))
    wait_for("redis-server", lambda: ask(port, "PING").startswith("+PONG"), group)
    return port


def etcd_status(port):
    request = (b"POST /v3/maintenance/status HTTP/1.1\r\nHost: 127.0.0.1\r\n"
               b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(request)
        reply = b""
        while piece := connection.recv(65536):
            reply += piece
    return json.loads(reply.partition(b"\r\n\r\n")[2] or b"{}")


def start_etcd(_, group, work):
    ports = free_ports(6)
    peers = [f"http://127.0.0.1:{port}" for port in ports[:3]]
    cluster = ",".join(f"n{i}={peer}" for i, peer in enumerate(peers))
    for i, peer in enumerate(peers):
        client = f"http://127.0.0.1:{ports[3 + i]}"
        group.start(["etcd", "--name", f"n{i}", "--data-dir", os.path.join(work, f"n{i}"),
                     "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                     "--listen-client-urls", client, "--advertise-client-urls", client,
                     "--initial-cluster", cluster, "--initial-cluster-state", "new",
                     "--log-level", "error"], os.path.join(work, "log"))

    def leader():
        for port in ports[3:]:
            status = etcd_status(port)
            if status.get("leader") and status["leader"] == status["header"]["member_id"]:
                return port
        return None

    return wait_for("etcd", leader, group)


def redis_benchmark_command(port, operation, clients, pipeline, count):
    return ["redis-benchmark", "-p", str(port), "-t", operation, "-c", str(clients), "-P",
            str(pipeline), "-n", str(count), "-d", str(PAYLOAD), "-r", str(KEYS), "--csv"]


def redis_benchmark(*load):
    """One run of so many requests: the row that redis-benchmark prints."""
    output = children.run(redis_benchmark_command(*load), 120)
    rows = list(csv.DictReader(io.StringIO(output[output.index('"test"'):])))
    return {name: float(value) for name, value in rows[0].items() if name != "test"}
