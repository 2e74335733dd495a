#!/usr/bin/env python3
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Holds each packet that a rule of iptables gives to queue 0 for so many milliseconds, and lets it
pass then, in the order of arrival. Runs in the network namespace of whoever is to be far away. Says
`ready` when it holds packets, and lets those it holds pass at once when it is terminated."""

import collections
import select
import signal
import socket
import struct
import sys
import time

NETLINK_NETFILTER = 12
SUBSYSTEM_QUEUE = 3 << 8
PACKET, CONFIG, VERDICT_BATCH = 0, 2, 3
CONFIG_COMMAND, CONFIG_PARAMETERS, CONFIG_LENGTH = 1, 2, 3
PACKET_HEADER, VERDICT_HEADER = 1, 2
BIND, COPY_HEADERS_ONLY, ACCEPT = 1, 1, 1
HELD_MAX = 16384


def attribute(kind, content):
    padding = b"\0" * (-len(content) % 4)
    return struct.pack("=HH", 4 + len(content), kind) + content + padding


def message(kind, attributes):
    """For queue 0."""
    body = struct.pack(">BBH", socket.AF_INET, 0, 0) + attributes
    request = 1
    return struct.pack("=IHHII", 16 + len(body), SUBSYSTEM_QUEUE | kind, request, 0, 0) + body


def packet_ids(data):
    """Of the packets that the system tells of in what was received."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if length < 16:
            return
        content = data[20:length]
        while kind == SUBSYSTEM_QUEUE | PACKET and len(content) >= 8:
            size, name = struct.unpack_from("=HH", content)
            if name == PACKET_HEADER:
                yield struct.unpack_from(">I", content, 4)[0]
                break
            content = content[max(4, (size + 3) & ~3):]
        data = data[(length + 3) & ~3:]


def let_pass(queue, packet):
    """It, and all before it."""
    verdict = attribute(VERDICT_HEADER, struct.pack(">II", ACCEPT, packet))
    queue.send(message(VERDICT_BATCH, verdict))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    delay = float(sys.argv[1]) / 1000
    queue = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    queue.bind((0, 0))
    queue.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    queue.send(message(CONFIG, attribute(CONFIG_COMMAND, struct.pack(">BBH", BIND, 0, 0))))
    queue.send(message(CONFIG, attribute(CONFIG_PARAMETERS,
                                         struct.pack(">IB", 0, COPY_HEADERS_ONLY))))
    queue.send(message(CONFIG, attribute(CONFIG_LENGTH, struct.pack(">I", HELD_MAX))))
    held = collections.deque()  # when to let pass, and what
    print("ready", flush=True)
    try:
        hold(queue, delay, held)
    finally:
        if held:
            let_pass(queue, held[-1][1])


def hold(queue, delay, held):
    while True:
        wait = None if not held else max(0.0, held[0][0] - time.monotonic())
        if select.select([queue], [], [], wait)[0]:
            try:
                received = queue.recv(1 << 16)
            except OSError:  # more came than fits: the system has let it pass or dropped it
                continue
            due = time.monotonic() + delay
            held.extend((due, packet) for packet in packet_ids(received))
        last = None
        while held and held[0][0] <= time.monotonic():
            last = held.popleft()[1]
        if last is not None:
            let_pass(queue, last)


if __name__ == "__main__":
    main()
