#!/usr/bin/env python3
"""Makes the models and requests of scripts/bench.sh that are not bundled.

usage: .venv-bench/bin/python scripts/make_bench_models.py DIR    writes DIR/<case>/model and DIR/<case>/request.json

scripts/bench.sh makes the environment, which is that of scripts/make_models.py. Every model is saved by `mlflow.onnx.save_model`.

| case | request | model |
| --- | --- | --- |
| pipeline | `dataframe_split`, 1 row of 12 named columns | scikit-learn pipeline: scaler and 100 boosted trees |
| wide | `inputs`, 1000 rows of 30 numbers | scaler and logistic regression |
| network | `inputs`, 1 row of 128 numbers | three dense layers of 512 and an output layer |
"""

import json
import os
import pathlib
import sys
import warnings

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
warnings.filterwarnings("ignore")

import mlflow.onnx
import numpy as np
import onnx
import onnxruntime
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn import datasets
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

OPSETS = {"": 17, "ai.onnx.ml": 3}
REQUIREMENTS = [f"{module.__name__}=={module.__version__}" for module in (mlflow, onnx, onnxruntime)]


def converted(estimator, width, **options):
    return convert_sklearn(
        estimator,
        initial_types=[("X", FloatTensorType([None, width]))],
        target_opset=OPSETS,
        options=options or None,
    )


def tensor(dtype, *shape, name=None):
    return TensorSpec(np.dtype(dtype), (-1, *shape), name)


def numbers(rows):
    """Rows of JSON with the digits that a client would send."""
    return [[round(float(value), 6) for value in row] for row in rows]


def pipeline():
    rows, target = datasets.make_regression(n_samples=2000, n_features=12, noise=1, random_state=0)
    estimator = make_pipeline(StandardScaler(), GradientBoostingRegressor(n_estimators=100, random_state=0))
    estimator.fit(rows, target)
    columns = [f"measure_{number}" for number in range(12)]
    signature = ModelSignature(
        Schema([ColSpec("double", column) for column in columns]),
        Schema([tensor("float32", 1, name="variable")]),
    )
    body = {"dataframe_split": {"columns": columns, "data": numbers(rows[:1])}}
    return "pipeline", converted(estimator, 12), signature, body


def wide():
    loaded = datasets.load_breast_cancer()
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    estimator.fit(loaded.data, loaded.target)
    signature = ModelSignature(
        Schema([tensor("float32", 30)]),
        Schema([tensor("int64", name="label"), tensor("float32", 2, name="probabilities")]),
    )
    rows = np.resize(loaded.data, (1000, 30))
    graph = converted(estimator, 30, **{"zipmap": False})
    return "wide", graph, signature, {"inputs": numbers(rows)}


def network():
    random = np.random.default_rng(0)
    widths = [128, 512, 512, 512, 10]
    nodes, constants, value = [], [], "X"
    for layer, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        weights = random.normal(0, inputs**-0.5, (inputs, outputs)).astype(np.float32)
        constants.append(numpy_helper.from_array(weights, f"weights_{layer}"))
        constants.append(numpy_helper.from_array(np.zeros(outputs, np.float32), f"bias_{layer}"))
        dense = "scores" if outputs == 10 else f"dense_{layer}"
        nodes.append(helper.make_node("Gemm", [value, f"weights_{layer}", f"bias_{layer}"], [dense]))
        value = dense
        if dense != "scores":
            value = f"active_{layer}"
            nodes.append(helper.make_node("Relu", [dense], [value]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 128])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 10])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSETS[""])])
    model.ir_version = 8
    signature = ModelSignature(Schema([tensor("float32", 128)]), Schema([tensor("float32", 10, name="scores")]))
    return "network", model, signature, {"inputs": numbers(random.normal(size=(1, 128)))}


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    for make in (pipeline, wide, network):
        case, graph, signature, body = make()
        onnx.checker.check_model(graph)
        folder = out / case
        folder.mkdir(parents=True)
        mlflow.onnx.save_model(
            graph,
            path=str(folder / "model"),
            signature=signature,
            pip_requirements=REQUIREMENTS,
            save_as_external_data=False,
        )
        (folder / "request.json").write_text(json.dumps(body))
        print(f"made {folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
