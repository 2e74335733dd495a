#!/usr/bin/env python3
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Follows docs/tutorial.md to the letter: writes its C++ and CMake into an empty directory, carries out its
commands in one shell, and looks for the lines that it shows in what they print. Numbers and roles
are those of the day: they may be others.

    follow_tutorial.py SOURCE DIRECTORY [PROGRAM]

With PROGRAM, examples/tutorial/counter.cpp built by others, the page's program is not built again.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

BLOCK = re.compile(r"(<!-- by hand -->\n)?```(\w+)\n(.*?)\n```", re.S)
END = "==== end of block"


def plain(line):
    """A line without what chance decides."""
    line = re.sub(r"follower|leader|candidate", "ROLE", line)
    return re.sub(r"\d+", "N", line).strip()


def main():
    source, directory = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    built = sys.argv[3] if len(sys.argv) > 3 else ""
    page = (source / "docs/tutorial.md").read_text()
    blocks = [(by_hand, kind, text) for by_hand, kind, text in BLOCK.findall(page)]
    program = "\n\n".join(text for _, kind, text in blocks if kind == "cpp") + "\n"
    whole = (source / "examples/tutorial/counter.cpp").read_text()
    if program.split() != whole.split():
        sys.exit("the pieces in docs/tutorial.md are not examples/tutorial/counter.cpp")

    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "counter.cpp").write_text(program)
    script, expected = ["set -e"], []
    for by_hand, kind, text in blocks:
        if kind == "cmake":
            (directory / "CMakeLists.txt").write_text(text + "\n")
        elif kind == "sh" and not by_hand:
            if built and text.startswith("cmake "):
                text = f"mkdir build && cp '{built}' build/counter"
            script += [text, f"echo '{END}'"]
            expected.append([])
        elif kind == "text":
            expected[-1] = text.splitlines()
    # Whatever happens, nothing is left running.
    script.insert(1, "trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT")

    environment = dict(os.environ, RSM=str(source), LC_ALL="C")
    run = subprocess.run(["bash", "-c", "\n".join(script)], cwd=directory, env=environment, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1100, check=False)
    print(run.stdout)
    outputs = run.stdout.split(END + "\n")
    if run.returncode != 0 or len(outputs) != len(expected) + 1:
        sys.exit(f"block {len(outputs)} of {len(expected)} failed")
    for number, (output, lines) in enumerate(zip(outputs, expected), 1):
        printed = {plain(line) for line in output.splitlines()}
        for line in lines:
            if plain(line) not in printed:
                sys.exit(f"block {number} did not print what the page shows: {line}")
    print(f"{len(expected)} blocks followed")


if __name__ == "__main__":
    main()
