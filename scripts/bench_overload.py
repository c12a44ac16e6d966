#!/usr/bin/env python3
"""Sends a server three times the requests that it can answer, and writes what becomes of them as Markdown.

usage: python3 scripts/bench_overload.py TITLE REQUEST DURATION WARM_UP URL MODELSD...

MODELSD are the words that start modelsd where the load is to run. Capacity is the best of
closed loops. The steady load is an open loop at 70 % of it. The overload is an open loop at 300 %, of clients that wait no
longer than 1.5 times what 99 of 100 requests of the steady load took, and say so with each request.
"""

import json
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


def row(name, due, server):
    seconds = server["seconds"]
    cells = [name, number(due), number(server["requests_per_second"])]
    cells += [number(server["latency_us"][part], 1) for part in ("p50", "p99")]
    cells += [number(server["refusals"] / seconds)]
    cells += [number(server["refusal_latency_us"][part], 1) for part in ("p50", "p99")]
    cells += [number(server["statuses"].get("504", 0) / seconds), number(server["unsent"] / seconds)]
    return "| " + " | ".join(cells) + " |"


def main():
    title, request, duration, warm_up, url, *command = sys.argv[1:]
    common = [url, "--body", request, "--duration", f"{duration}s", "--warm-up", f"{warm_up}s"]
    closed = measure(command, *common, "--concurrency", "16,64,256")
    best = max(closed, key=lambda server: server["requests_per_second"])
    capacity = best["requests_per_second"]

    def open_loop(rate, *words):
        return measure(command, *common, "--concurrency", str(CONNECTIONS), "--rate", f"{rate:.0f}", *words)[0]

    steady = open_loop(STEADY * capacity)
    steady_p99 = steady["latency_us"]["p99"]
    patience = PATIENCE * steady_p99 / 1000
    over = open_loop(OVERLOAD * capacity, "--header", f"x-request-timeout-ms: {patience:.3f}")

    print(f"## Overload: {title}\n")
    print(f"The overload's clients wait {patience:.3f} ms; {CONNECTIONS} connections.\n")
    print("| " + " | ".join(COLUMNS) + " |\n| --- " + "| ---: " * (len(COLUMNS) - 1) + "|")
    print(row("closed loop, the best", None, best))
    print(row(f"open loop, {STEADY:.0%}", STEADY * capacity, steady))
    print(row(f"open loop, {OVERLOAD:.0%}", OVERLOAD * capacity, over) + "\n")
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
    if len(sys.argv) < 7:
        sys.exit(__doc__)
    main()
