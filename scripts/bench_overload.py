#!/usr/bin/env python3
"""Sends a server three times the requests that it can answer, and writes what becomes of them as Markdown.

usage: python3 scripts/bench_overload.py TITLE REQUEST DURATION WARM_UP URL FIXED_URL FIXED_PID BUSY MODELSD...

MODELSD are the words that start modelsd where the load is to run. Capacity is the best of
closed loops. The steady load is an open loop at 70 % of it. The overload is an open loop at 300 %, of clients that wait no
longer than 1.5 times what 99 of 100 requests of the steady load took, and say so with each request.

What no server can do better is seen at FIXED_URL, a handler with a fixed reply: it gets the overload's requests beside a
process that never sleeps, as a model under overload does not. BUSY is what a command begins with that runs where the
servers do.
"""

import json
import os
import subprocess
import sys

STEADY, OVERLOAD, PATIENCE = 0.7, 3, 1.5
# Of the open loops: so many that a request seldom waits for one.
CONNECTIONS = 2048
COLUMNS = ["load", "due/s", "served/s", "p50 µs", "p99 µs", "refused/s", "p50 µs", "p99 µs", "late (504)/s", "unsent/s"]


def measure(command, *words):
    """What `modelsd bench` says of the one server; ends with its words when nothing is served."""
    done = subprocess.run([*command, "bench", *words, "--json"], stdout=subprocess.PIPE)
    if not done.stdout:
        sys.exit("bench_overload: no report")
    return [step["servers"][0] for step in json.loads(done.stdout)["steps"]]


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def processor_time(pid):
    """Seconds, of all threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row(name, due, server):
    seconds = server["seconds"]
    cells = [name, number(due), number(server["requests_per_second"])]
    cells += [number(server["latency_us"][part], 1) for part in ("p50", "p99")]
    cells += [number(server["refusals"] / seconds)]
    cells += [number(server["refusal_latency_us"][part], 1) for part in ("p50", "p99")]
    cells += [number(server["statuses"].get("504", 0) / seconds), number(server["unsent"] / seconds)]
    return "| " + " | ".join(cells) + " |"


def main():
    title, request, duration, warm_up, url, fixed_url, fixed_pid, busy, *command = sys.argv[1:]
    common = ["--body", request, "--duration", f"{duration}s", "--warm-up", f"{warm_up}s"]
    closed = measure(command, url, *common, "--concurrency", "16,64,256")
    best = max(closed, key=lambda server: server["requests_per_second"])
    capacity = best["requests_per_second"]

    def open_loop(rate, *words, at=url):
        loop = ["--concurrency", str(CONNECTIONS), "--rate", f"{rate:.0f}"]
        return measure(command, at, *common, *loop, *words)[0]

    steady = open_loop(STEADY * capacity)
    steady_p99 = steady["latency_us"]["p99"]
    patience = PATIENCE * steady_p99 / 1000
    over = open_loop(OVERLOAD * capacity, "--header", f"x-request-timeout-ms: {patience:.3f}")

    before = processor_time(fixed_pid)
    with subprocess.Popen([*busy.split(), sys.executable, "-c", "while True: pass"]) as never_sleeps:
        fixed = open_loop(OVERLOAD * capacity, at=fixed_url)
        never_sleeps.kill()
    share = (processor_time(fixed_pid) - before) / (float(duration) + float(warm_up))

    print(f"## Overload: {title}\n")
    print(f"The overload's clients wait {patience:.3f} ms; {CONNECTIONS} connections.\n")
    print("| " + " | ".join(COLUMNS) + " |\n| --- " + "| ---: " * (len(COLUMNS) - 1) + "|")
    print(row("closed loop, the best", None, best))
    print(row(f"open loop, {STEADY:.0%}", STEADY * capacity, steady))
    print(row(f"open loop, {OVERLOAD:.0%}", OVERLOAD * capacity, over))
    print(row("the same to a fixed reply beside a busy process", OVERLOAD * capacity, fixed) + "\n")
    print(f"The fixed reply takes {share:.0%} of the core for that, which a model cannot have.\n")
    figures = [
        ("served ÷ capacity", over["requests_per_second"] / capacity, 3, "≥ 0.9"),
        ("p99 served ÷ p99 of the steady load", over["latency_us"]["p99"] / steady_p99, 2, "≤ 2"),
        ("p99 of refusals, ms", (over["refusal_latency_us"]["p99"] or 0) / 1000, 3, "< 1"),
    ]
    print("| | measured | target |\n| --- | ---: | ---: |")
    for name, value, digits, target in figures:
        print(f"| {name} | {value:.{digits}f} | {target} |")
    print()
    for name, server in (("closed loop", best), ("steady load", steady), ("overload", over)):
        if server["load_busy"] > 0.9:
            print(f"The load itself was at work {server['load_busy']:.0%} of the time in the {name}: it may be the limit there.\n")


if __name__ == "__main__":
    if len(sys.argv) < 10:
        sys.exit(__doc__)
    main()
