# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Statuses as a node's status.json has them, for the tests of the status page."""
import math
import random

NOW_MS = 1_700_000_000_000


def history(samples=300, scale=1.0):
    """The same each time."""
    chance = random.Random(1)

    def wave(base, spread):
        return [
            max(0, base * scale * (1 + 0.25 * math.sin(i / 23)) + chance.uniform(-spread, spread) * scale)
            for i in range(samples)
        ]

    whole = [[round(value) for value in wave(base, spread)] for base, spread in (
        (4200, 260), (11800, 700), (640, 45), (1900, 420), (1350, 300))]
    operations, reads, p50, p99, sync = whole
    return {
        "interval_ms": 1000, "end_ms": NOW_MS, "operations": operations, "reads": reads,
        "refusals": [None] * samples, "commit_p50_us": p50, "commit_p99_us": p99,
        "sync_p99_us": sync, "bytes": [value * 180 for value in operations],
    }


def member(node, **changes):
    return {
        "id": node, "contact": f"10.0.0.{node}:7001", "voter": True, "self": False,
        "leader": False, "state": "replicate", "match": 8_412_774, "lag": 3,
        "last_contact_ms": 12, "disk": "ok", "doubtful": False, "connected": True,
        "why_not": "", "transfer": None, **changes,
    }


def own(node, **changes):
    return member(node, self=True, state=None, match=None, lag=None, last_contact_ms=None,
                  **changes)


def healthy():
    return {
        "node": 1, "cluster": "orders", "instance": "9f31c07be2d4a851", "version": "0.2.0",
        "uptime_s": 190_412.5, "address": "10.0.0.1:7001", "role": "leader", "term": 5,
        "leader": 1, "leader_address": "10.0.0.1:6379", "commit": 8_412_774,
        "applied": 8_412_774, "last": 8_412_777, "snapshot_index": 8_210_003,
        "snapshot_bytes": 268_913_664, "log_bytes": 48_234_496, "lost_up_to": 0, "refuses": "",
        "disk_stalled": False, "stopped": False, "changing_members": False,
        "members_settled": True, "members": [own(1, leader=True), member(2), member(3)],
        "receiving": None, "now_ms": NOW_MS, "history": history(),
    }


def node_down():
    status = healthy()
    status["members"][1] = member(
        2, connected=False, why_not="10.0.0.2:7001 does not take connections (Connection refused)",
        state="probe", lag=190_345, match=8_222_429, last_contact_ms=61_400)
    return status


def lagging():
    status = healthy()
    status["members"][2] = member(3, match=8_163_230, lag=249_547, last_contact_ms=31)
    return status


def doubtful():
    """A small thing before a large one."""
    status = healthy()
    status["members"][1] = member(2, disk="full")
    status["members"][2] = member(3, doubtful=True)
    return status


def being_sent():
    status = healthy()
    status["members"].append(member(
        4, voter=False, state="snapshot", match=0, lag=8_412_777, last_contact_ms=8,
        transfer={"sent_bytes": 121_000_000, "total_bytes": 268_913_664}))
    status["changing_members"] = True
    status["history"] = history(120)
    return status


def follower():
    status = healthy()
    unknown = {"state": None, "match": None, "lag": None, "last_contact_ms": None}
    status.update(node=2, role="follower", address="10.0.0.2:7001", applied=8_412_770)
    status["members"] = [member(1, leader=True, **unknown), own(2), member(3, **unknown)]
    for name in ("operations", "bytes", "commit_p50_us", "commit_p99_us"):
        status["history"][name] = [None] * 300
    return status


def receiving():
    status = follower()
    status.update(commit=0, applied=0, last=0, snapshot_index=0, snapshot_bytes=0, log_bytes=0,
                  receiving={"bytes": 30_000_000, "total_bytes": 268_913_664}, history=None)
    return status


def leaderless():
    status = follower()
    status.update(role="pre-candidate", leader=0, leader_address="", refuses="disk full",
                  disk_stalled=True, lost_up_to=77)
    for peer in (0, 2):
        status["members"][peer].update(connected=False, leader=False, why_not="timed out")
    status["history"]["refusals"] = [None] * 290 + [40] * 10
    return status


def expiring():
    status = follower()
    status["certificate_end"] = NOW_MS // 1000 + 3 * 86400 + 7200
    return status


def expired():
    status = follower()
    status["certificate_end"] = NOW_MS // 1000 - 1
    return status


HOSTILE = "\"><img src=x onerror='top.hacked=1'><script>top.hacked=1</script>\u202e\u0000&amp;"


def hostile():
    """Texts that would be markup, and values of other types than they should have."""
    status = healthy()
    status.update(cluster=HOSTILE, address=HOSTILE, role=HOSTILE, version=HOSTILE,
                  instance="i" * 5000, leader_address=HOSTILE, refuses=HOSTILE,
                  commit="18446744073709551615", applied=None, term="many", log_bytes={},
                  certificate_end=1e300)
    status["members"] = [
        own(1, contact=HOSTILE), None, 7,
        member(2, contact=HOSTILE, why_not=HOSTILE, connected=False, state=HOSTILE, disk=HOSTILE,
               transfer=HOSTILE, lag="x", match=[]),
    ] + [member(i) for i in range(3, 90)]
    status["history"] = {"interval_ms": 0, "operations": [None, "x", 1e300, -5], "reads": "all"}
    return status


SCENARIOS = {
    "healthy": healthy, "down": node_down, "lagging": lagging, "doubtful": doubtful,
    "sent": being_sent, "follower": follower, "receiving": receiving, "leaderless": leaderless, "hostile": hostile,
    "expiring": expiring, "expired": expired,
}
