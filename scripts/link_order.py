#!/usr/bin/env python3
"""Writes scripts/link-order.txt: the functions that a server of a small model runs, which `build.rs` lays side by side.

usage: python3 scripts/link_order.py [--check]
  --check   only says how much of the list target/release/modelsd has
  MODELSD   the program that is watched [target/release/modelsd]

Wants `cargo build --release`, valgrind, nm (binutils), and ONNX Runtime (scripts/fetch-onnxruntime.sh). Takes a minute.
Worth a new run when the list has lost a tenth: what is missing from it costs memory, and nothing else.
"""

import bisect
import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "scripts/link-order.txt"
PROGRAM = pathlib.Path(os.environ.get("MODELSD", ROOT / "target/release/modelsd")).resolve()
HEAD = """\
# Functions of a server of a small model, as patterns of a linker: those of its requests, then the others.
# Written by scripts/link_order.py; build.rs lays them side by side.
"""

ROW = [5.1, 3.5, 1.4, 0.2]
NAMES = [f"x{number}" for number in range(len(ROW))]
BODIES = [
    {"inputs": [ROW]},
    {"inputs": [ROW] * 100},
    {"instances": [ROW]},
    {"dataframe_split": {"columns": NAMES, "data": [ROW] * 3}},
    {"dataframe_records": [dict(zip(NAMES, ROW))] * 3},
]
PAGES = ["/ping", "/health", "/version", "/metrics"]

# Bytes that may lie among the others without being run, for a name that holds for other builds as well.
LITTLE = 4_000


def wait(until, what, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (value := until()) is not None:
            return value
        time.sleep(0.1)
    sys.exit(f"link_order: {what} within {seconds} seconds")


def watched(folder):
    """Serves under callgrind; the files that say what was run until then, for requests, and for the end."""
    command = ["valgrind", "--tool=callgrind", "--dump-instr=yes", "--compress-pos=no", "--compress-strings=no"]
    command += [f"--callgrind-out-file={folder}/ran", PROGRAM, "serve", "-m", "models:/iris/1", "--port", "0"]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        url = wait(lambda: listening(folder / "log", server), "the server does not listen")
        dump(folder, server, 1)
        for body in BODIES * 5:
            question = urllib.request.Request(f"{url}/invocations", json.dumps(body).encode())
            question.add_header("content-type", "application/json")
            urllib.request.urlopen(question, timeout=60).read()
        for page in PAGES * 2:
            urllib.request.urlopen(url + page, timeout=60).read()
        dump(folder, server, 2)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    return [folder / name for name in ("ran.1", "ran.2", "ran")]


def listening(log, server):
    if server.poll() is not None:
        sys.exit(f"link_order: the server ended:\n{log.read_text()}")
    found = re.search(r'\burl="([^"]+)"', log.read_text())
    return found and found[1]


def dump(folder, server, number):
    """Writes what was run since the last dump."""
    subprocess.run(["callgrind_control", "-d", str(server.pid)], check=True, stdout=subprocess.DEVNULL)
    wait(lambda: True if (folder / f"ran.{number}").exists() else None, "callgrind wrote nothing")


def addresses(file):
    """Instructions of the program that were run."""
    ran, ours = set(), False
    for line in open(file):
        if line.startswith("ob="):
            ours = line.rstrip().endswith(str(PROGRAM))
        elif ours and line.startswith("0x"):
            ran.add(int(line.split(" ", 1)[0], 16))
    return ran


def symbols():
    """Address, size and name of each function."""
    listed = subprocess.run(["nm", "--print-size", "--defined-only", PROGRAM], check=True, capture_output=True, text=True)
    found = {}
    for line in listed.stdout.splitlines():
        words = line.split()
        if len(words) == 4 and words[2] in "tTwW":
            found[int(words[0], 16)] = (int(words[1], 16), words[3])
    return sorted((address, size, name) for address, (size, name) in found.items())


def plain(name):
    """A name without what the compiler makes of versions: its hash at the end, or those of crates within."""
    if name.startswith("_R"):
        return re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name)
    return re.sub(r"17h[0-9a-f]{16}E(\.llvm\.\d+)?$", "17h*", name)


def order(parts):
    """Patterns of what was run, of the parts in turn."""
    functions = symbols()
    starts = [address for address, _, _ in functions]
    bytes_of, run_of = collections.Counter(), collections.Counter()
    for _, size, name in functions:
        bytes_of[plain(name)] += size
    seen, patterns = set(), []
    for part in parts:
        ran = {bisect.bisect_right(starts, address) - 1 for address in part} - seen
        ran = [index for index in ran if index >= 0]
        for index in ran:
            run_of[plain(functions[index][2])] += functions[index][1]
        seen.update(ran)
        patterns.append({functions[index][2] for index in ran})
    # Of one generic function there may be a thousand: where most of them were not run, and are not small, it is named with
    # its hash.
    mostly = {name for name, size in run_of.items() if bytes_of[name] - size <= max(size, LITTLE)}
    patterns = [sorted({plain(name) if plain(name) in mostly else name for name in part}) for part in patterns]
    return list(dict.fromkeys(pattern for part in patterns for pattern in part))


def check():
    names = [name for _, _, name in symbols()]
    there = {*names, *map(plain, names)}
    patterns = [line for line in LIST.read_text().splitlines() if not line.startswith("#")]
    found = sum(pattern in there for pattern in patterns)
    print(f"{found:,} of the {len(patterns):,} functions of {LIST.relative_to(ROOT)} are in {PROGRAM}")


def main():
    if sys.argv[1:] == ["--check"]:
        return check()
    if sys.argv[1:]:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        start, requests, end = (addresses(file) for file in watched(pathlib.Path(folder)))
    names = order([requests, start, end])
    LIST.write_text(HEAD + "\n".join(names) + "\n")
    print(f"{len(names):,} functions")


if __name__ == "__main__":
    main()
