#!/usr/bin/env python3
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Runs the measuring programs in turn, keeps what they print, and writes the page.

What is to be compared is measured alternately, round after round, so that a machine that changes
its pace in between changes it for all.
"""

import argparse
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import children
import report

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WINDOWS = (1, 8, 64, 256, 1024)
PAYLOADS = (16, 256, 1024, 4096)
BATCHES = (1, 64, 256)


class Plan:
    """The commands of each section. A command prints lines of JSON; all are run once a round."""

    def __init__(self, bin_directory, data, quick):
        self.bin = bin_directory
        self.data = data
        self.quick = quick
        self.seconds = 1 if quick else 2

    def program(self, name, *options):
        return [os.path.join(self.bin, "bench-" + name), *map(str, options)]

    def load(self, name, window, payload, *options):
        return self.program(name, "--window", window, "--payload", payload, "--seconds",
                            self.seconds, "--data", self.data, *options)

    def cluster(self):
        """The floor and the cluster beside each other, by window and by payload."""
        shapes = [(window, 256) for window in ((1, 64, 256) if self.quick else WINDOWS)]
        if not self.quick:
            shapes += [(64, payload) for payload in PAYLOADS if payload != 256]
        for durable in ([], ["--durable"]):
            for window, payload in shapes:
                yield self.load("floor", window, payload, "--inside", *durable)
                yield self.load("cluster", window, payload, *durable)
                yield self.load("floor", window, payload, *durable)
                yield self.load("cluster", window, payload, "--client", *durable)
                if payload == 256:
                    yield self.load("cluster", window, payload, "--read", *durable)

    def pinned(self):
        """All processes on one core: what the work costs where nothing runs beside it."""
        for durable in ([], ["--durable"]):
            for window in (1, 64, 256):
                yield self.load("floor", window, 256, "--inside", "--pin", *durable)
                yield self.load("cluster", window, 256, "--pin", *durable)

    def tls(self):
        """TLS between the members, and the same program without."""
        files = os.path.join(self.data, "rsm-bench-certificates")
        subprocess.run([os.path.join(ROOT, "scripts", "make-certificates"), "--cluster", "default",
                        files, "1", "2", "3"], check=True)
        for window, payload in ((1, 256), (64, 256), (256, 256), (64, 4096)):
            for secured in ([], ["--tls", files]):
                yield self.load("cluster-tls", window, payload, *secured)
                yield self.load("cluster-tls", window, payload, "--durable", *secured)

    def engine(self):
        for batch in BATCHES:
            yield self.program("engine", "--batch", batch, "--seconds", self.seconds, "--pin")

    def kv(self):
        yield [os.path.join(ROOT, "bench", "kv"), "--bin", self.bin, "--data", self.data,
               "--seconds", "0.5" if self.quick else "2"]

    def recovery(self):
        size = 128 if self.quick else 1024
        for part in ("log", "snapshot", "stream", "pause"):
            yield self.program("recovery", "--part", part, "--size", size, "--data", self.data)

    def profile(self):
        yield [os.path.join(ROOT, "bench", "profile"), "--bin", self.bin, "--data", self.data,
               "--seconds", str(self.seconds)]

    def compile(self):
        yield [os.path.join(ROOT, "bench", "compile"), "--budget"]

    SECTIONS = ("cluster", "pinned", "tls", "engine", "kv", "recovery", "profile", "compile")
    # Seconds after which a command of the section has hung.
    LIMITS = {"kv": 900, "recovery": 600, "profile": 900, "compile": 1200}

    def rounds(self, section):
        if self.quick or section == "compile":
            return 1
        return 3 if section in ("recovery", "kv", "profile") else 5


def describe(command):
    words = [os.path.basename(command[0])]
    skip = False
    for word in command[1:]:
        if skip:
            skip = False
        elif word in ("--bin", "--data", "--seconds"):
            skip = True
        else:
            words.append(word)
    return " ".join(words)


def show(text, last=False):
    """Progress: one line that changes on a terminal, nothing but section ends elsewhere."""
    if sys.stdout.isatty():
        print("\r\033[K" + text, end="\n" if last else "", flush=True)
    elif last:
        print(text, flush=True)


def run_section(plan, section, raw):
    commands = list(getattr(plan, section)())
    rounds = plan.rounds(section)
    total = rounds * len(commands)
    begin = time.monotonic()
    failures = []
    path = os.path.join(raw, section + ".jsonl")
    with open(path + ".new", "w", encoding="utf-8") as file:
        for number in range(total):
            command = commands[number % len(commands)]
            show(f"{section}: {number + 1} of {total}, {describe(command)}")
            try:
                output = children.run(command, plan.LIMITS.get(section, 120))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                failures.append(f"{describe(command)}: {error}")
                continue
            for line in output.splitlines():
                json.loads(line)
                file.write(line + "\n")
            file.flush()
    os.replace(path + ".new", path)
    minutes = (time.monotonic() - begin) / 60
    show(f"{section}: {total} runs in {minutes:.1f} minutes, {len(failures)} failed", last=True)
    for failure in failures:
        print("  " + failure, file=sys.stderr)
    return not failures


def remove_leftovers(directory):
    """What a program that was killed could not remove itself."""
    for path in glob.glob(os.path.join(glob.escape(directory), "rsm-bench-*")):
        shutil.rmtree(path, ignore_errors=True)


def git(*words):
    done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)
    return done.stdout.strip()


def first_line(path, key):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(key):
                return line.partition(":")[2].strip()
    return "unknown"


def version(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return (done.stdout or done.stderr).splitlines()[0].strip()
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "none"


def disk_of(directory):
    """The file system that a directory is on, and what the kernel says of its device."""
    best = ("", "unknown", "unknown")
    real = os.path.realpath(directory)
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for mount in mounts:
            device, place, kind = mount.split()[:3]
            if (real + "/").startswith(place.rstrip("/") + "/") and len(place) >= len(best[0]):
                best = (place, kind, os.path.basename(device))
    queue = f"/sys/class/block/{best[2]}/queue"
    facts = []
    for name in ("rotational", "write_cache", "scheduler"):
        try:
            with open(os.path.join(queue, name), encoding="utf-8") as file:
                facts.append(f"{name} {file.read().strip()}")
        except OSError:
            pass
    return f"{best[1]} on {best[2]}" + (f" ({', '.join(facts)})" if facts else "")


def facts(arguments):
    return {
        "command": "scripts/bench" + (" --quick" if arguments.quick else "") +
                   "".join(" " + section for section in arguments.sections),
        "commit": git("rev-parse", "HEAD") + (" with changes" if git("status", "--porcelain")
                                               else ""),
        "date": time.strftime("%Y-%m-%d"),
        "processor": first_line("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": first_line("/proc/meminfo", "MemTotal"),
        "kernel": os.uname().release,
        "disk": disk_of(arguments.data),
        "compiler": version("c++", "--version"),
        "redis": version("redis-server", "--version"),
        "etcd": version("etcd", "--version"),
        "load": os.getloadavg()[0],
    }


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true",
                        help="one short round; the page goes beside the raw results")
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    parser.add_argument("--data", default=os.path.join(ROOT, "build", "bench"),
                        help="a directory on the disk that is to be measured")
    parser.add_argument("--report", action="store_true",
                        help="write the page from what was measured before")
    parser.add_argument("sections", nargs="*", metavar="SECTION",
                        help="of " + ", ".join(Plan.SECTIONS) + "; all, if none is named")
    arguments = parser.parse_args()
    for section in arguments.sections:
        if section not in Plan.SECTIONS:
            parser.error(f"no section of this name: {section}")

    raw = os.path.join(ROOT, "build", "bench", "quick" if arguments.quick else "full")
    os.makedirs(raw, exist_ok=True)
    os.makedirs(arguments.data, exist_ok=True)
    good = True
    if not arguments.report:
        with open(os.path.join(raw, "machine.json"), "w", encoding="utf-8") as file:
            json.dump(facts(arguments), file, indent=1)
        plan = Plan(arguments.bin, arguments.data, arguments.quick)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        remove_leftovers(arguments.data)
        try:
            for section in arguments.sections or Plan.SECTIONS:
                good = run_section(plan, section, raw) and good
        finally:
            remove_leftovers(arguments.data)
    page = report.write(raw, raw if arguments.quick else os.path.join(ROOT, "docs"))
    print("written: " + os.path.relpath(page, os.getcwd()))
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
