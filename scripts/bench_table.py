#!/usr/bin/env python3
"""Writes the tables of one case of scripts/bench.sh as Markdown.

usage: python3 scripts/bench_table.py TITLE REPORT IN_PROCESS NOTES

REPORT is what `modelsd bench --json` says, with the fixed reply as its first server; IN_PROCESS what the yardstick says of
the model alone; NOTES has a line for each server that is not in the report. IN_PROCESS and NOTES may be empty.
"""

import json
import pathlib
import sys

COLUMNS = ["server", "req/s", "p50 µs", "p99 µs", "errors", "req/s ÷ fixed", "p50 ÷ fixed", "p99 ÷ fixed"]


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def ratio(value):
    return "–" if value is None else f"{value:.3g}"


def row(server, ratios, alone=None):
    latency = server["latency_us"]
    errors = server.get("errors")
    return [
        server["name"],
        number(server["requests_per_second"]),
        number(latency["p50"], 1),
        number(latency["p99"], 1),
        "–" if errors is None else f"{errors:,}",
        *(ratio(ratios.get(name)) for name in ("requests_per_second", "p50", "p99")),
        *([] if alone is None else [ratio(latency["p50"] and latency["p50"] / alone)]),
    ]


def table(columns, rows):
    lines = ["| " + " | ".join(cells) + " |" for cells in [columns, *rows]]
    lines.insert(1, "| --- " + "| ---: " * (len(columns) - 1) + "|")
    return "\n".join(lines)


def main():
    title, report, in_process, notes = sys.argv[1:]
    report = json.loads(pathlib.Path(report).read_text())
    alone = pathlib.Path(in_process).read_text().strip()
    notes = pathlib.Path(notes).read_text().strip()
    for step in report["steps"]:
        connections = step["connections"]
        many = "connection" if connections == 1 else "connections"
        print(f"## {title}, {connections} {many}\n")
        loop = json.loads(alone) if alone else None
        # One request at a time is what the loop does, too: what else a request takes is the server's and the network's.
        beside = loop["latency_us"]["p50"] if loop and connections == 1 else None
        first = {"requests_per_second": 1, "p50": 1, "p99": 1}
        servers = enumerate(step["servers"])
        rows = [row(server, server["ratio"] or (first if at == 0 else {}), beside) for at, server in servers]
        if loop:
            rows.append(row({"name": "ONNX Runtime in a loop, no server", **loop}, {}, beside))
        print(table(COLUMNS + ["p50 ÷ loop"] * (beside is not None), rows) + "\n")
        for server in step["servers"]:
            if server["load_busy"] > 0.9:
                share = f"{server['load_busy']:.0%}"
                print(f"The load itself was at work {share} of the time for {server['name']}: it may be the limit there.\n")
            if server["first_error"]:
                print(f"First error of {server['name']}: `{server['first_error'][:200]}`\n")
    if notes:
        print(notes + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main()
