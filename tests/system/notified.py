#!/usr/bin/env python3
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""notified.py KV-SERVER    Plays the service manager: a server says when it serves, not before, and
when it stops."""
import os
import signal
import socket
import subprocess
import sys
import tempfile

PATIENCE_S = 60


def free_ports(count):
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def check(server, directory, name):
    """`name` is where the manager listens, as in sockaddr_un."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(PATIENCE_S)
    manager.bind(name)
    port, peer = free_ports(2)
    process = subprocess.Popen([
        server, "--id", "1", "--cluster", f"1=127.0.0.1:{peer}", "--listen", f"127.0.0.1:{port}",
        "--data", tempfile.mkdtemp(dir=directory)],
        env={**os.environ, "NOTIFY_SOCKET": name.replace("\0", "@")}, stderr=subprocess.DEVNULL)
    try:
        ready = manager.recv(4096)
        if ready != b"READY=1":
            sys.exit(f"{ready!r} instead of being ready")
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
            client.sendall(b"PING\r\n")
            if client.recv(64) != b"+PONG\r\n":
                sys.exit("it says that it serves, and does not")
        process.send_signal(signal.SIGTERM)
        stopping = manager.recv(4096)
        if stopping != b"STOPPING=1":
            sys.exit(f"{stopping!r} instead of stopping")
        if process.wait(PATIENCE_S) != 0:
            sys.exit(f"exit status {process.returncode}")
    finally:
        process.kill()
        process.wait()
        manager.close()


def main():
    with tempfile.TemporaryDirectory() as directory:
        check(sys.argv[1], directory, f"{directory}/manager")
        check(sys.argv[1], directory, f"\0rsm-notified-{os.getpid()}")


if __name__ == "__main__":
    main()
