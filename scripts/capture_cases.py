#!/usr/bin/env python3
"""Records what a model answers in Python, for modelsd to be compared with: one JSON object a line.

usage: capture_cases.py MODEL REQUESTS [--output FILE]

MODEL     a model directory, or any URI that MLflow loads (models:/NAME/VERSION with MLFLOW_TRACKING_URI set)
REQUESTS  a file with request bodies for /invocations, one JSON object a line; `-` reads standard input

Runs in an environment in which the model loads (mlflow and its libraries installed). The answers are those of the very
functions behind `mlflow models serve`; a request that they refuse is recorded as status 400. Put the result as
`cases.jsonl` into the model's directory before it is logged, or give it to `modelsd verify MODEL --cases FILE`.
"""

import argparse
import json
import sys

import mlflow.pyfunc
from mlflow.pyfunc import scoring_server


def answer(model, schema, body):
    """Status and text of the answer to one request body."""
    try:
        result = scoring_server.invocations(body, "application/json", model, schema)
    except Exception as error:  # MLflow's own server answers whatever a model raises with 400
        return 400, f"{type(error).__name__}: {error}"
    return result.status, result.response


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("requests", metavar="REQUESTS")
    parser.add_argument("--output", metavar="FILE", help="where to write; standard output if not given")
    arguments = parser.parse_args()

    model = mlflow.pyfunc.load_model(arguments.model)
    schema = model.metadata.get_input_schema()
    source = sys.stdin if arguments.requests == "-" else open(arguments.requests, encoding="utf-8")
    sink = open(arguments.output, "w", encoding="utf-8") if arguments.output else sys.stdout
    answered = refused = 0
    with source, sink:
        for number, line in enumerate(source, start=1):
            if not line.strip():
                continue
            try:
                json.loads(line)
            except ValueError as error:
                sys.exit(f"{arguments.requests}: line {number} is not JSON: {error}")
            status, text = answer(model, schema, line.strip())
            case = {"id": f"line {number}", "request": line.strip(), "status": status}
            case["response" if status == 200 else "message"] = text
            sink.write(json.dumps(case, ensure_ascii=False) + "\n")
            answered += status == 200
            refused += status != 200
    print(f"{answered} answered, {refused} refused", file=sys.stderr)


if __name__ == "__main__":
    main()
