#!/usr/bin/env python3
"""Compares an answer of `POST /invocations` with the right one, within what single precision loses.

usage: python3 scripts/bench_check.py RIGHT ANSWER

Either file is an answer, or an array with every value of one. Only values count, in their order: flavors of MLflow name and
nest the same predictions differently. Ends with 1 when they differ.
"""

import json
import math
import pathlib
import sys


def values(predictions):
    if isinstance(predictions, dict):
        predictions = predictions.values()
    elif not isinstance(predictions, list):
        return [predictions]
    return [value for part in predictions for value in values(part)]


def read(file):
    answer = json.loads(pathlib.Path(file).read_text())
    return values(answer["predictions"] if isinstance(answer, dict) else answer)


def alike(one, other):
    numbers = all(isinstance(value, (int, float)) for value in (one, other))
    return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-6) if numbers else one == other


def main():
    right, answer = map(read, sys.argv[1:])
    if len(right) != len(answer):
        sys.exit(f"{len(answer)} values instead of {len(right)}")
    for place, (wanted, got) in enumerate(zip(right, answer)):
        if not alike(wanted, got):
            sys.exit(f"value {place} is {got}, not {wanted}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
