#!/usr/bin/env python3
"""Makes the models and requests of scripts/bench.sh that are not bundled.

usage: .venv-bench/bin/python scripts/make_bench_models.py DIR    writes DIR/<case>/model and DIR/<case>/request.json, and
    DIR/<case>/expected.json, every number of the right answer, from scikit-learn or NumPy

scripts/bench.sh makes the environment, which is that of scripts/make_models.py. Every model is saved by
`mlflow.onnx.save_model`. That of `pipeline` is also saved by `mlflow.sklearn.save_model`, in DIR/pipeline/model-sklearn, for
the servers in Python: MLflow hands each column of a frame to its ONNX input with one axis, and this graph wants two, as
every graph does that skl2onnx makes of a pipeline over columns.

| case | request | model |
| --- | --- | --- |
| pipeline | `dataframe_split`, 1 row of 8 named columns, 2 of them strings | one-hot and scaler by column, 100 boosted trees |
| forest | `inputs`, 1000 rows of 30 numbers | random forest of 300 trees, 6 deep, two classes |
| network | `inputs`, 1 row of 128 numbers | three dense layers of 512 and an output layer |
| overload | the same | the same with layers of 2048, so that an answer takes some 30 times what a refusal does |
"""

import json
import os
import pathlib
import sys
import warnings
from typing import NamedTuple

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
warnings.filterwarnings("ignore")

import mlflow.onnx
import mlflow.sklearn
import numpy as np
import onnx
import onnxruntime
import pandas
import sklearn
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

OPSETS = {"": 17, "ai.onnx.ml": 3}


def requirements(*modules):
    names = {"sklearn": "scikit-learn"}
    return [f"{names.get(module.__name__, module.__name__)}=={module.__version__}" for module in modules]


class Case(NamedTuple):
    name: str
    graph: onnx.ModelProto
    signature: ModelSignature
    request: dict
    # Every number of the answer, in its order, as computed without ONNX.
    expected: list
    # The same model and its signature in MLflow's flavor for scikit-learn, where MLflow cannot serve the ONNX one.
    python: tuple | None = None


def tensor(dtype, *shape, name=None):
    return TensorSpec(np.dtype(dtype), (-1, *shape), name)


def numbers(rows):
    """Rows of JSON with the digits that a client would send."""
    return [[round(float(value), 6) for value in row] for row in rows]


def pipeline():
    random = np.random.default_rng(0)
    words = {"plan": ["basic", "family", "premium", "student"], "region": ["east", "north", "south", "west"]}
    measures = ["age", "income", "tenure", "usage", "calls", "balance"]
    frame = pandas.DataFrame(
        {name: random.choice(of, 2000).astype(object) for name, of in words.items()}
        | {name: random.normal(40, 12, 2000).round(2) for name in measures}
    )
    target = (frame.plan == "premium") * 8.0 - (frame.region == "south") * 5.0 + frame.age * 0.3
    target += -frame.usage * frame.calls * 0.01 + random.normal(size=2000)
    by_column = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(words)), (StandardScaler(), measures)
    )
    estimator = make_pipeline(by_column, GradientBoostingRegressor(n_estimators=100, random_state=0))
    estimator.fit(frame, target)
    # An input of the graph a column, so that columns find theirs by name.
    inputs = [(name, StringTensorType([None, 1])) for name in words]
    inputs += [(name, FloatTensorType([None, 1])) for name in measures]
    columns = Schema([ColSpec("string", name) for name in words] + [ColSpec("double", name) for name in measures])
    row = frame[:1]
    return Case(
        "pipeline",
        convert_sklearn(estimator, initial_types=inputs, target_opset=OPSETS),
        ModelSignature(columns, Schema([tensor("float32", 1, name="variable")])),
        {"dataframe_split": row.to_dict("split", index=False)},
        estimator.predict(row),
        (estimator, ModelSignature(columns, Schema([ColSpec("double")]))),
    )


def forest():
    rows, target = datasets.make_classification(n_samples=5000, n_features=30, n_informative=12, random_state=0)
    # No two values so near that a split between them is lost in single precision.
    rows = rows.round(4).astype(np.float32)
    estimator = RandomForestClassifier(n_estimators=300, max_depth=6, random_state=0)
    estimator.fit(rows, target)
    inputs = [("X", FloatTensorType([None, 30]))]
    graph = convert_sklearn(estimator, initial_types=inputs, target_opset=OPSETS, options={"zipmap": False})
    asked = rows[:1000]
    chances = estimator.predict_proba(asked)
    return Case(
        "forest",
        graph,
        ModelSignature(
            Schema([tensor("float32", 30)]),
            Schema([tensor("int64", name="label"), tensor("float32", 2, name="probabilities")]),
        ),
        {"inputs": numbers(asked)},
        [*estimator.predict(asked), *chances.ravel()],
    )


def network(name, width):
    random = np.random.default_rng(0)
    widths = [128, width, width, width, 10]
    nodes, constants, value = [], [], "X"
    asked = numbers(random.normal(size=(1, 128)))
    expected = np.array(asked, np.float32)
    for layer, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        weights = random.normal(0, inputs**-0.5, (inputs, outputs)).astype(np.float32)
        expected = expected @ weights
        constants.append(numpy_helper.from_array(weights, f"weights_{layer}"))
        constants.append(numpy_helper.from_array(np.zeros(outputs, np.float32), f"bias_{layer}"))
        dense = "scores" if outputs == 10 else f"dense_{layer}"
        nodes.append(helper.make_node("Gemm", [value, f"weights_{layer}", f"bias_{layer}"], [dense]))
        value = dense
        if dense != "scores":
            expected = np.maximum(expected, 0)
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
    return Case(name, model, signature, {"inputs": asked}, expected.ravel())


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    for case in (pipeline(), forest(), network("network", 512), network("overload", 2048)):
        onnx.checker.check_model(case.graph)
        folder = out / case.name
        folder.mkdir(parents=True)
        mlflow.onnx.save_model(
            case.graph,
            path=str(folder / "model"),
            signature=case.signature,
            pip_requirements=requirements(mlflow, onnx, onnxruntime),
            save_as_external_data=False,
        )
        if case.python:
            estimator, signature = case.python
            mlflow.sklearn.save_model(
                estimator,
                path=str(folder / "model-sklearn"),
                signature=signature,
                pip_requirements=requirements(mlflow, sklearn),
                # Trees are native code's memory; this file is our own.
                skops_trusted_types=["sklearn.tree._tree.Tree"],
            )
        (folder / "request.json").write_text(json.dumps(case.request))
        (folder / "expected.json").write_text(json.dumps([float(number) for number in case.expected]))
        print(f"made {folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
