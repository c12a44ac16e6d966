#!/usr/bin/env python3
"""Records what the original Python libraries answer for the bundled models: `tests/golden/bundled/`.

usage: .venv/bin/python scripts/make_answers.py      (set up as scripts/make_models.py says; takes about two minutes)

`<name>-<version>.jsonl` holds one request and its answer a line, in the form of the protocol goldens. Each was sent to
`mlflow models serve` on loopback (`"source": "mlflow <version>"`). Where MLflow fails by a defect of its own, the line
holds the answer computed with onnxruntime in the shape MLflow would have given it (`"source": "onnxruntime <version>"`),
and `mlflow_status` tells what MLflow said.

`scikit-learn.jsonl` holds, for every model, what the scikit-learn estimator itself predicts for one of the requests.
"""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import make_models
import mlflow
import numpy as np
import onnxruntime
import sklearn

OUT = make_models.ROOT / "tests" / "golden" / "bundled"
JSON, CSV = "application/json", "text/csv"
MANY = 20


def requests(model):
    """(id, content type, body, rows) of each request for a model."""
    path = make_models.ROOT / "models" / model.name / model.version / "serving_input_example.json"
    shown = model.example
    if isinstance(shown, dict):
        (shown,) = shown.values()
    yield "example", JSON, path.read_text(), np.asarray(shown)
    forms = column_forms if model.columns else tensor_forms
    for label, rows in (("1", model.rows[:1]), (str(MANY), model.rows[:MANY])):
        for form, content_type, body in forms(model, rows):
            yield f"{form}-{label}", content_type, body if content_type == CSV else json.dumps(body), rows
    if model.name == "iris":
        yield "whole-numbers", JSON, '{"inputs": [[1, 2, 3, 4]]}', np.array([[1, 2, 3, 4]])


def tensor_forms(model, rows):
    (spec,) = model.signature.inputs.inputs
    cells = rows.tolist()
    yield "inputs-list", JSON, {"inputs": cells}
    yield "instances-list", JSON, {"instances": cells}
    if spec.name is None:
        names = [f"x{column}" for column in range(rows.shape[1])]
        yield "split", JSON, {"dataframe_split": {"columns": names, "data": cells}}
        yield "split-no-columns", JSON, {"dataframe_split": {"data": cells}}
        yield "records", JSON, {"dataframe_records": [dict(zip(names, row)) for row in cells]}
        yield "csv", CSV, csv(names, cells)
    else:
        yield "inputs-object", JSON, {"inputs": {spec.name: cells}}
        yield "instances-objects", JSON, {"instances": [{spec.name: row} for row in cells]}
        flat = rows.reshape(len(rows), -1).tolist()  # a cell of a data frame holds a flat list, whatever the shape
        yield "split", JSON, {"dataframe_split": {"columns": [spec.name], "data": [[row] for row in flat]}}
        yield "records", JSON, {"dataframe_records": [{spec.name: row} for row in flat]}


def column_forms(model, rows):
    names, cells = model.columns, rows.tolist()
    records = [dict(zip(names, row)) for row in cells]
    yield "split", JSON, {"dataframe_split": {"columns": names, "data": cells}}
    backwards = [row[::-1] for row in cells]
    yield "split-reordered", JSON, {"dataframe_split": {"columns": names[::-1], "data": backwards}}
    yield "records", JSON, {"dataframe_records": records}
    yield "inputs-object", JSON, {"inputs": dict(zip(names, rows.T.tolist()))}
    yield "inputs-records", JSON, {"inputs": records}
    yield "instances-objects", JSON, {"instances": records}
    yield "csv", CSV, csv(names, cells)


def csv(names, cells):
    return "".join(",".join(map(str, line)) + "\n" for line in [names, *cells])


class Reference:
    """Predicts with onnxruntime and shapes the answer as MLflow's ONNX flavor means to."""

    def __init__(self, model):
        self.by_row = bool(model.columns)
        self.session = onnxruntime.InferenceSession(model.graph.SerializeToString(), providers=["CPUExecutionProvider"])
        (self.input,) = (entry.name for entry in self.session.get_inputs())

    def outputs(self, rows):
        names = [entry.name for entry in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, {self.input: np.asarray(rows, dtype=np.float32)})))

    def body(self, rows):
        columns = {name: np.asarray(value).tolist() for name, value in self.outputs(rows).items()}
        if not self.by_row:
            return json.dumps({"predictions": columns})
        return json.dumps({"predictions": [dict(zip(columns, row)) for row in zip(*columns.values())]})


@contextlib.contextmanager
def mlflow_server(model):
    """A real scoring server of one bundled model; yields its port, ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = make_models.ROOT / "models" / model.name / model.version
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder), "--env-manager", "local"]
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")])
    server = subprocess.Popen(
        [*command, "-h", "127.0.0.1", "-p", str(port)],
        env={**os.environ, "PYTHONHASHSEED": "0", "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                if call(port, "GET", "/ping")[0] == 200:
                    break
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"`mlflow models serve` did not start for {folder}")
            time.sleep(0.2)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)  # the server and the worker it started
        server.wait(30)


def call(port, method, path, headers=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    answer = response.status, response.getheader("content-type"), response.read().decode()
    connection.close()
    return answer


def golden(model, port, reference):
    for identifier, content_type, body, rows in requests(model):
        headers = {"Content-Type": content_type}
        status, answered_type, answer = call(port, "POST", "/invocations", headers, body)
        line = {"id": identifier, "model": model.name, "version": model.version}
        if status == 200:
            line["source"] = f"mlflow {mlflow.__version__}"
        else:
            line["source"] = f"onnxruntime {onnxruntime.__version__}"
            line["mlflow_status"] = status
            status, answered_type, answer = 200, JSON, reference.body(rows)
        line["request"] = {"method": "POST", "path": "/invocations", "headers": headers, "body": body}
        line["response"] = {"status": status, "headers": {"content-type": answered_type}, "body": answer}
        line["check"] = {"status": status, "content_type": answered_type, "kind": "json"}
        yield line


def original(model, reference):
    """What scikit-learn predicts for the first request of MANY rows; refuses to record what the graph contradicts."""
    identifier, _, body, rows = next(request for request in requests(model) if request[0].endswith(f"-{MANY}"))
    estimator, features = model.estimator, model.features[:MANY]
    line = {"model": model.name, "version": model.version, "source": f"scikit-learn {sklearn.__version__}"}
    line |= {"id": identifier, "request": body}
    found = list(reference.outputs(rows).values())
    if hasattr(estimator, "predict_proba"):
        line["label"] = estimator.predict(features).tolist()
        line["probabilities"] = estimator.predict_proba(features).tolist()
        graph = [[row[k] for k in sorted(row)] for row in found[1]] if isinstance(found[1], list) else found[1]
        assert found[0].tolist() == line["label"], model.name
        np.testing.assert_allclose(graph, line["probabilities"], atol=1e-5)
    else:
        line["value"] = estimator.predict(features).tolist()
        np.testing.assert_allclose(found[0].reshape(-1), line["value"], rtol=1e-5)
    return line


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    originals = []
    for model in make_models.bundled():
        reference = Reference(model)
        originals.append(original(model, reference))
        with mlflow_server(model) as port:
            lines = list(golden(model, port, reference))
        write_lines(OUT / f"{model.name}-{model.version}.jsonl", lines)
        own = sorted({line["id"] for line in lines if "mlflow_status" in line})
        print(f"{model.name} {model.version}: {len(lines)} answers; not MLflow's: {', '.join(own) or 'none'}")
    write_lines(OUT / "scikit-learn.jsonl", originals)


if __name__ == "__main__":
    main()
