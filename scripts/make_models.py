#!/usr/bin/env python3
"""Makes the embedded registry `models/` from data sets that come with scikit-learn.

usage: python3 -m venv .venv && .venv/bin/pip install -r scripts/requirements.txt
       .venv/bin/python scripts/make_models.py [--out DIR]    writes DIR (default: models/ of the repository)
       .venv/bin/python scripts/make_models.py --check        makes them elsewhere, compares them byte by byte

Each model is saved by `mlflow.onnx.save_model`, so the files are what MLflow writes; only what would change from run
to run is fixed: identifiers, time stamps, and the requirements (MLflow would start a subprocess to infer them).

| model | signature | graph inputs -> outputs | why this one |
| --- | --- | --- | --- |
| iris 1 | unnamed float32 tensor [-1, 4] | X -> label, probabilities | logistic regression, the model of the README |
| iris 2 | unnamed float32 tensor [-1, 4] | X -> label, probabilities | random forest: another algorithm behind the same name |
| wine 1 | float32 tensor `features` [-1, 13] | features -> output_label, output_probability | ZipMap: a sequence of maps |
| breast_cancer 1 | 30 double columns | X -> label, probabilities | two outputs of different width, which MLflow cannot answer |
| diabetes 1 | 10 double columns | X -> variable | regression with one output |
| digits 1 | float32 tensor `image` [-1, 8, 8] | image -> label, probabilities | a small convolutional network, built by hand |
"""

import argparse
import dataclasses
import filecmp
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import warnings

if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets leaks into some files
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, *sys.argv])
# One thread: sums in another order would round differently.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
warnings.filterwarnings("ignore")

import mlflow.onnx
import mlflow.pyfunc
import mlflow.utils.environment
import numpy as np
import onnx
import onnxruntime
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import Array
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn import datasets
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = pathlib.Path(__file__).resolve().parent.parent
CREATED_MS = 1767225600000  # 2026-01-01T00:00:00Z
CREATED = "2026-01-01 00:00:00.000000"
OPSETS = {"": 17, "ai.onnx.ml": 3}
REQUIREMENTS = [f"{module.__name__}=={module.__version__}" for module in (mlflow, onnx, onnxruntime)]


@dataclasses.dataclass
class Bundled:
    """One version of one model, before it is written."""

    name: str
    version: str
    stage: str
    description: str
    tags: dict
    graph: onnx.ModelProto
    signature: ModelSignature
    example: object  # what MLflow takes as input example
    estimator: object  # the scikit-learn estimator the graph was made from
    features: np.ndarray  # test rows, as the estimator takes them
    rows: np.ndarray  # the same rows, as the model's signature takes them
    columns: list  # column names, empty for a tensor signature


def tensor(name, dtype, *shape):
    """A tensor of a signature whose first axis is the rows."""
    return TensorSpec(np.dtype(dtype), (-1, *shape), name)


def labels_and_probabilities(classes):
    return Schema([tensor("label", "int64"), tensor("probabilities", "float32", classes)])


def convert(estimator, input_name, width, **options):
    graph = convert_sklearn(
        estimator,
        initial_types=[(input_name, FloatTensorType([None, width]))],
        target_opset=OPSETS,
        options=options or None,
    )
    return plain(graph)


def plain(graph):
    """Strips what tells of the tool and the moment."""
    graph.graph.name = "modelsd"
    graph.producer_name, graph.producer_version, graph.doc_string = "make_models.py", "1", ""
    graph.ir_version = 8
    onnx.checker.check_model(graph)
    return graph


def split(loaded, inputs=None):
    """Training and test rows, always the same ones."""
    inputs = loaded.data if inputs is None else inputs
    return train_test_split(inputs, loaded.target, test_size=0.25, random_state=0)


def quality(measure, estimator, inputs, target):
    return {measure: f"{estimator.score(inputs, target):.3f}"}


def iris():
    train, test, target, test_target = split(datasets.load_iris())
    signature = ModelSignature(Schema([tensor(None, "float32", 4)]), labels_and_probabilities(3))
    recipes = {
        "1": ("logistic regression", "Production", LogisticRegression(max_iter=500)),
        "2": ("random forest", "Staging", RandomForestClassifier(n_estimators=20, max_depth=4, random_state=0)),
    }
    for version, (algorithm, stage, estimator) in recipes.items():
        estimator.fit(train, target)
        yield Bundled(
            name="iris",
            version=version,
            stage=stage,
            description=f"Species of an iris from its four measures in centimetres, by {algorithm}",
            tags={"algorithm": algorithm, **quality("accuracy", estimator, test, test_target)},
            graph=convert(estimator, "X", 4, zipmap=False),
            signature=signature,
            example=test[:2],
            estimator=estimator,
            features=test,
            rows=test,
            columns=[],
        )


def wine():
    train, test, target, test_target = split(datasets.load_wine())
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(train, target)
    yield Bundled(
        name="wine",
        version="1",
        stage="Production",
        description="Cultivar of a wine from its chemical analysis; probabilities as maps (ZipMap)",
        tags={"algorithm": "logistic regression", **quality("accuracy", estimator, test, test_target)},
        graph=convert(estimator, "features", 13),
        signature=ModelSignature(Schema([tensor("features", "float32", 13)])),
        example={"features": test[:2]},
        estimator=estimator,
        features=test,
        rows=test,
        columns=[],
    )


def breast_cancer():
    loaded = datasets.load_breast_cancer()
    columns = [str(name) for name in loaded.feature_names]
    train, test, target, test_target = split(loaded)
    estimator = GradientBoostingClassifier(n_estimators=30, random_state=0).fit(train, target)
    yield Bundled(
        name="breast_cancer",
        version="1",
        stage="Production",
        description="Whether a tumour is malignant (0) or benign (1) from 30 measures of cell nuclei",
        tags={"algorithm": "gradient boosting", **quality("accuracy", estimator, test, test_target)},
        graph=convert(estimator, "X", 30, zipmap=False),
        signature=ModelSignature(
            Schema([ColSpec("double", name) for name in columns]),
            Schema([ColSpec("long", "label"), ColSpec(Array("float"), "probabilities")]),
        ),
        example=pd.DataFrame(test[:1], columns=columns),
        estimator=estimator,
        features=test,
        rows=test,
        columns=columns,
    )


def diabetes():
    loaded = datasets.load_diabetes()
    columns = list(loaded.feature_names)
    train, test, target, test_target = split(loaded)
    estimator = Ridge(alpha=0.1).fit(train, target)
    yield Bundled(
        name="diabetes",
        version="1",
        stage="Production",
        description="Progression of diabetes after one year from ten scaled baseline measures",
        tags={"algorithm": "ridge regression", **quality("r2", estimator, test, test_target)},
        graph=convert(estimator, "X", 10),
        signature=ModelSignature(
            Schema([ColSpec("double", name) for name in columns]), Schema([ColSpec("float", "variable")])
        ),
        example=pd.DataFrame(test[:2], columns=columns),
        estimator=estimator,
        features=test,
        rows=test,
        columns=columns,
    )


# Edges in four directions, a blur and a centre against its surroundings: the fixed first layer of the digits network.
FILTERS = np.array(
    [
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
        [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]],
        [[2, 1, 0], [1, 0, -1], [0, -1, -2]],
        [[1, 2, 1], [2, 4, 2], [1, 2, 1]],
        [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    ],
    dtype=np.float32,
) / np.float32(8)


def filtered(images):
    """Convolution, rectifier and pooling of [n, 8, 8] images, as the graph does them: [n, 96]."""
    padded = np.pad(images / 16.0, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    maps = np.maximum(np.einsum("nhwij,fij->nfhw", windows, FILTERS), 0.0)
    count, channels = maps.shape[:2]
    return maps.reshape(count, channels, 4, 2, 4, 2).max(axis=(3, 5)).reshape(count, -1)


def digits_graph(network):
    hidden, output = (weights.astype(np.float32) for weights in network.coefs_)
    hidden_bias, output_bias = (bias.astype(np.float32) for bias in network.intercepts_)
    constants = {
        "scale": np.float32(16),
        "channel_axis": np.array([1], dtype=np.int64),
        "filters": FILTERS[:, np.newaxis],
        "hidden": hidden,
        "hidden_bias": hidden_bias,
        "output": output,
        "output_bias": output_bias,
    }
    graph = helper.make_graph(
        [
            helper.make_node("Div", ["image", "scale"], ["scaled"]),
            helper.make_node("Unsqueeze", ["scaled", "channel_axis"], ["plane"]),
            helper.make_node("Conv", ["plane", "filters"], ["edges"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["edges"], ["bright"]),
            helper.make_node("MaxPool", ["bright"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Gemm", ["flat", "hidden", "hidden_bias"], ["dense"]),
            helper.make_node("Relu", ["dense"], ["active"]),
            helper.make_node("Gemm", ["active", "output", "output_bias"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        "modelsd",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["rows", 8, 8])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["rows"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 10]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return plain(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSETS[""])]))


def digits():
    loaded = datasets.load_digits()
    train, test, target, test_target = split(loaded, loaded.images)
    estimator = MLPClassifier(hidden_layer_sizes=(48,), max_iter=200, random_state=0)
    estimator.fit(filtered(train), target)
    # Rounded, so that the last bits of another processor's training do not show.
    estimator.coefs_ = [weights.round(4) for weights in estimator.coefs_]
    estimator.intercepts_ = [bias.round(4) for bias in estimator.intercepts_]
    yield Bundled(
        name="digits",
        version="1",
        stage="Production",
        description="Handwritten digit in an image of 8 x 8 grey values from 0 to 16, by a small convolutional network",
        tags={"algorithm": "convolutional network", **quality("accuracy", estimator, filtered(test), test_target)},
        graph=digits_graph(estimator),
        signature=ModelSignature(Schema([tensor("image", "float32", 8, 8)]), labels_and_probabilities(10)),
        example={"image": test[:1]},
        estimator=estimator,
        features=filtered(test),
        rows=test,
        columns=[],
    )


def bundled():
    """Every bundled model; training takes a few seconds."""
    for make in (iris, wine, breast_cancer, diabetes, digits):
        yield from make()


# What MLflow notes of the installation that made a model: the same wherever these were made.
mlflow.utils.environment._get_package_version = {"pip": "26.3", "setuptools": "65.5.0"}.get
mlflow.utils.environment.PYTHON_VERSION = mlflow.pyfunc.PYTHON_VERSION = "3.11.7"


def save(model, folder):
    identity = hashlib.md5(f"{model.name}/{model.version}".encode()).hexdigest()
    mlflow.onnx.save_model(
        model.graph,
        path=str(folder),
        mlflow_model=Model(model_uuid=identity, utc_time_created=CREATED),
        signature=model.signature,
        input_example=model.example,
        pip_requirements=REQUIREMENTS,
        save_as_external_data=False,
    )


DESCRIPTIONS = {
    "iris": "Species of an iris from its four measures",
    "wine": "Cultivar of a wine from its chemical analysis",
    "breast_cancer": "Malignant or benign tumour from measures of cell nuclei",
    "diabetes": "Progression of diabetes after one year",
    "digits": "Handwritten digits",
}
ALIASES = {"1": "champion", "2": "challenger"}


def registry_yaml(name, versions):
    """The registry's record of one model. Strings are quoted as JSON does it, which every YAML reader understands."""
    regression = name == "diabetes"
    lines = [
        f"name: {json.dumps(name)}",
        f"description: {json.dumps(DESCRIPTIONS[name])}",
        f"creation_timestamp: {CREATED_MS}",
        f"last_updated_timestamp: {CREATED_MS}",
        f"tags: {json.dumps({'task': 'regression' if regression else 'classification'})}",
        f"aliases: {json.dumps({ALIASES[model.version]: model.version for model in versions})}",
        "versions:",
    ]
    for model in versions:
        lines += [
            f"  {json.dumps(model.version)}:",
            f"    current_stage: {json.dumps(model.stage)}",
            f"    description: {json.dumps(model.description)}",
            f"    creation_timestamp: {CREATED_MS}",
            f"    last_updated_timestamp: {CREATED_MS}",
            f"    tags: {json.dumps(model.tags)}",
        ]
    return "\n".join(lines) + "\n"


def write(out):
    """Writes the whole registry; models of the same name in `out` are replaced."""
    names = {}
    for model in bundled():
        names.setdefault(model.name, []).append(model)
    for name, versions in names.items():
        shutil.rmtree(out / name, ignore_errors=True)
        for model in versions:
            folder = out / name / model.version
            save(model, folder)
            size = sum(file.stat().st_size for file in folder.iterdir())
            print(f"{name} {model.version}: {size} bytes, {model.tags}")
        (out / name / "registry.yaml").write_text(registry_yaml(name, versions))


def check(committed):
    """Names the files that differ from a fresh run."""
    with tempfile.TemporaryDirectory() as made:
        write(pathlib.Path(made))
        files = {path.relative_to(folder) for folder in (pathlib.Path(made), committed) for path in folder.rglob("*") if path.is_file()}
        _, changed, missing = filecmp.cmpfiles(made, committed, sorted(map(str, files)), shallow=False)
    for path in changed:
        print(f"differs: {path}")
    for path in missing:
        print(f"on one side only: {path}")
    print(f"{len(files) - len(changed) - len(missing)} of {len(files)} files are identical")
    return 1 if changed or missing else 0


def main():
    parser = argparse.ArgumentParser(description="Makes the embedded registry `models/`.")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "models")
    parser.add_argument("--check", action="store_true", help="compare a fresh run with --out, write nothing")
    arguments = parser.parse_args()
    if arguments.check:
        return check(arguments.out)
    write(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
