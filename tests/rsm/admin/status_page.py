#!/usr/bin/env python3
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""status_page.py CHROMIUM    Opens the status page in a browser, with made-up statuses behind it.

Each must say what is the matter, in words that come first, at any width, and run no text as markup.
"""
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading

import status_page_server

# The name of a status, the width in pixels, and what the page comes to.
PAGES = [
    ("healthy", 1600, "live"), ("healthy", 380, "live"), ("down", 1000, "live"),
    ("lagging", 1000, "live"), ("doubtful", 1000, "live"),
    ("sent", 380, "live"), ("follower", 1000, "live"),
    ("receiving", 1000, "live"), ("leaderless", 1000, "live"), ("hostile", 1000, "live"),
    ("hostile", 380, "live"), ("expiring", 380, "live"), ("expired", 1000, "live"), ("gone", 1000, "stale"), ("never", 1000, "stale"),
]

PATIENCE_S = 60


def open_pages(browser, directory):
    """What the pages show, and what they have written to the console."""
    harness = (pathlib.Path(__file__).parent / "harness.html").read_text(encoding="utf-8")
    status_page_server.Handler.harness = harness.replace("@wanted@", json.dumps(PAGES))
    server = status_page_server.serve()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log = pathlib.Path(directory) / "log"
    with log.open("w", encoding="utf-8") as output:
        # A profile of its own, and no word to anybody outside.
        process = subprocess.Popen([
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={directory}/profile",
            "--enable-logging=stderr", "--v=0", f"http://127.0.0.1:{server.server_address[1]}/",
        ], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        try:
            result = status_page_server.Handler.results.get(timeout=PATIENCE_S)
        except queue.Empty:
            sys.exit("the pages did not come to an end:\n" + log.read_text(encoding="utf-8")[-3000:])
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            server.shutdown()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return result, [line for line in lines if "CONSOLE" in line]


class Judge:
    def __init__(self):
        self.complaints = []

    def expect(self, page, holds, what):
        if not holds:
            name = f"{page['scenario']} at {page['width']} pixels"
            self.complaints.append(f"{name}: {what}\n  {json.dumps(page, ensure_ascii=False)[:1500]}")

    def every_page(self, page):
        self.expect(page, page["failure"] == "", "the script failed")
        self.expect(page, page["overflow"] == 0, "wider than the window")
        self.expect(page, page["foreign"] == 0, "a text has become markup")
        self.expect(page, page["spoken"] == page["headline"], "the headline is not read out")
        is_live = page["state"] == "live"
        self.expect(page, (page["opacity"] == "1") == is_live, "what is stale is dimmed, and nothing else")

    def headline(self, page, level, *words):
        self.expect(page, page["level"] == level, f"the level is not {level}")
        for word in words:
            self.expect(page, word in page["headline"], f"the headline does not say: {word}")

    def finding(self, page, *words):
        for word in words:
            self.expect(page, any(word in finding for finding in page["findings"]), f"no finding says: {word}")

    def row(self, page, node, *cells):
        rows = [row for row in page["rows"] if row[0].startswith(f"Node: Node {node}")]
        self.expect(page, len(rows) == 1, f"not one row for node {node}")
        for cell in cells:
            self.expect(page, rows and cell in " | ".join(rows[0]), f"the row of node {node} lacks: {cell}")


def healthy(judge, page):
    judge.headline(page, "ok", "node 1 leads in term 5", "all 3 members", "1 voter may fail")
    judge.expect(page, page["findings"] == [], "something is wrong with it")
    judge.row(page, 1, "this one", "Role: leader")
    judge.row(page, 2, "Role: voter", "Talks at: 10.0.0.2:7001", "Has up to: 8,412,774", "Lag: 3",
              "Last heard: 12\u00a0ms", "Disk: ok", "in step")
    for tile in ("Term5", "Committed8,412,774", "Log46\u00a0MiB", "Snapshot256\u00a0MiB", "May fail1"):
        judge.expect(page, any(shown.startswith(tile) for shown in page["tiles"]), f"no tile {tile}")
    judge.expect(page, page["lines"] >= 7, "not all series are drawn")
    for tick in ("now", "\u22124\u00a0min", "10k", "1\u00a0ms", "512\u00a0KiB"):
        judge.expect(page, tick in page["axes"], f"no axis says {tick}")
    keys = page["keys"]
    judge.expect(page, keys["cursors"] == 4 and keys["after"] == 0, "the charts have no cursor in common")
    judge.expect(page, keys["newest"] != keys["before"], "the arrow keys read no other values")
    judge.expect(page, "writes " + keys["before"][0] in keys["label"], "the chart's name lacks its values")


def down(judge, page):
    judge.headline(page, "warn", "Node 2 (10.0.0.2:7001) is not connected", "Connection refused")
    judge.finding(page, "2 of 3 voters are left")
    judge.row(page, 2, "not connected: 10.0.0.2:7001 does not take connections", "Lag: 190,345",
              "Last heard: 1\u00a0min 1\u00a0s")


def lagging(judge, page):
    judge.headline(page, "warn", "Node 3 (10.0.0.3:7001) is 249,547 entries behind")


def doubtful(judge, page):
    judge.headline(page, "bad", "Node 3 (10.0.0.3:7001) has lost, or may have lost, what it had acknowledged")
    judge.finding(page, "The disk of node 2 is full", "2 of 3 voters are left")
    judge.row(page, 2, "Disk: full")


def sent(judge, page):
    judge.headline(page, "note", "Healthy: node 1 leads")
    judge.finding(page, "Node 4 (10.0.0.4:7001) is being sent a snapshot: 44\u00a0%, 115\u00a0MiB of 256\u00a0MiB",
                  "members are being changed")
    judge.row(page, 4, "Role: learner", "is sent a snapshot: 44\u00a0%")
    judge.expect(page, len(page["bars"]) == 1 and abs(page["bars"][0] - 0.45) < 0.01, "no bar at 45 %")


def follower(judge, page):
    judge.headline(page, "ok", "as far as node 2 can see", "node 1 leads in term 5")
    judge.expect(page, not any("Lag" in cell for row in page["rows"] for cell in row), "a column of unknowns")
    judge.row(page, 1, "Role: leader", "connected")


def receiving(judge, page):
    judge.headline(page, "note", "Healthy")
    judge.finding(page, "Node 2 receives a snapshot: 11\u00a0%")
    judge.row(page, 2, "receives a snapshot: 11\u00a0%")


def leaderless(judge, page):
    judge.headline(page, "bad", "There is no leader: nothing can be written", "pre-candidate")
    judge.finding(page, "damage in its log", "disk of node 2 hangs", "takes nothing new from clients: disk full",
                  "400 requests were refused", "Node 1 (10.0.0.1:7001) is not connected: timed out")


def expiring(judge, page):
    judge.headline(page, "warn", "The certificate of node 2 expires in 3\u00a0days 2\u00a0h")


def expired(judge, page):
    judge.headline(page, "bad", "The certificate of node 2 has expired")


def hostile(judge, page):
    judge.headline(page, "bad", "Node 1 takes nothing new from clients: \"><img src=x onerror=")
    judge.expect(page, "\u202e" not in json.dumps(page, ensure_ascii=False), "a text turns the writing around")
    judge.expect(page, len(page["rows"]) == 64, "more rows than a cluster may have members")


def gone(judge, page):
    judge.headline(page, "bad", "This server cannot be reached, since", "What is shown below is from then")
    judge.expect(page, page["fresh"].startswith("stale since"), "it does not say since when")
    judge.row(page, 2, "in step")


def never(judge, page):
    judge.headline(page, "bad", "This server answers with something else than a status")
    judge.expect(page, page["rows"] == [], "rows of nothing")


def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        result, console = open_pages(sys.argv[1], directory)
    judge = Judge()
    for page in result["found"]:
        judge.every_page(page)
        globals()[page["scenario"]](judge, page)
    if len(result["found"]) != len(PAGES):
        judge.complaints.append("some pages are missing")
    if result["hacked"]:
        judge.complaints.append("a text of the server has run as a script")
    # A server that is gone is the one thing that the browser complains of by itself.
    for line in console:
        if not ("Failed to load resource" in line and "/gone/status.json" in line):
            judge.complaints.append("a page wrote to the console: " + line)
    sys.exit("\n".join(judge.complaints) or 0)


if __name__ == "__main__":
    main()
