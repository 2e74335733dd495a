# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Serves the status page and made-up statuses on loopback.

    status_page_server.py [PORT]    then open http://127.0.0.1:PORT/healthy/ in a browser
"""
import json
import pathlib
import queue
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import statuses

ROOT = pathlib.Path(__file__).resolve().parents[3]
# As strict as the page bears it; frames are for the test alone.
POLICY = ("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
          "connect-src 'self'; base-uri 'none'; form-action 'none'")


def page():
    """What the generated header carries."""
    header = (ROOT / "include/rsm/admin/status_page.hpp").read_text(encoding="utf-8")
    return "".join(re.findall(r'R"page\((.*?)\)page"', header, re.DOTALL))


class Handler(BaseHTTPRequestHandler):
    harness = ""    # the page of the test
    results = queue.Queue()    # what that has found
    asked_gone = 0  # of the server that answers once, since its page was loaded

    def reply(self, body, kind, policy=None):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        if policy:
            self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):
        parts = self.path.split("/")
        if self.path == "/":
            return self.reply(Handler.harness, "text/html; charset=utf-8")
        if self.path.endswith("/"):
            Handler.asked_gone = 0
            return self.reply(page(), "text/html; charset=utf-8", POLICY)
        if len(parts) != 3 or parts[2] != "status.json":
            return self.send_error(404)
        if parts[1] == "never":
            return self.reply("<html>some other server</html>", "text/html")
        if parts[1] == "gone":
            Handler.asked_gone += 1
            if Handler.asked_gone > 1:
                return self.connection.close()
        scenario = "healthy" if parts[1] == "gone" else parts[1]
        return self.reply(json.dumps(statuses.SCENARIOS[scenario]()), "application/json")

    def do_POST(self):
        Handler.results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        return self.reply("", "text/plain")

    def log_message(self, *arguments):
        pass


def serve(port=0):
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *arguments: None  # a browser that goes says no good-bye
    return server


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8000).serve_forever()
