"""Regression with a column of text: the age of abalones, in rings, from their sex and measures.

The rows are synthetic: made here, in the columns of the UCI data set "Abalone", by a growth curve with noise. Trains, logs
validation metrics, signature and input example, registers the model as scikit-learn saves it and as ONNX, has modelsd serve
both, and compares what it answers with Python.
"""

import argparse

import mlflow
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import sklearn
from common import client, predict, show, wait_until_served
from mlflow.models import infer_signature
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

NAMES = {"sklearn": "abalone", "onnx": "abalone-onnx"}
MEASURES = ["length", "diameter", "height", "whole_weight", "shucked_weight", "viscera_weight", "shell_weight"]
# What MLflow does not read from a file unless told: the nodes of trees, here of trees that were grown here.
TRUSTED = ["sklearn.tree._tree.Tree", "_loss.CyHalfSquaredError"]


def abalones(rows: int, seed: int) -> pd.DataFrame:
    """Synthetic abalones: they grow towards a largest size, the young ones have no sex yet."""
    random = np.random.default_rng(seed)
    rings = np.clip(random.gamma(9.0, 1.1, rows).round(), 1, 29)
    sex = np.where(random.random(rows) < 1 / (1 + np.exp(rings - 7)), "I", random.choice(["F", "M"], rows))
    length = 0.72 * (1 - np.exp(-0.16 * (rings + 1))) * (1 + 0.03 * (sex == "F")) * random.normal(1, 0.05, rows)
    volume = length**3 * random.normal(1, 0.06, rows)
    table = pd.DataFrame(
        {
            "sex": sex,
            "length": length,
            "diameter": 0.79 * length * random.normal(1, 0.02, rows),
            "height": 0.27 * length * random.normal(1, 0.06, rows),
            "whole_weight": 5.6 * volume,
            "shucked_weight": 2.4 * volume * random.normal(1, 0.05, rows),
            "viscera_weight": 1.2 * volume * random.normal(1, 0.07, rows),
            # The shell is what goes on growing.
            "shell_weight": 1.5 * volume * (1 + 0.02 * rings) * random.normal(1, 0.05, rows),
        }
    )
    # Measured to the millimetre and half a gram, as the data set is, in its unit of 200.
    table[MEASURES] = (table[MEASURES].clip(lower=0.005) / 0.005).round() * 0.005
    return table.assign(rings=rings)


def as_onnx(model: Pipeline) -> onnx.ModelProto:
    """The pipeline as an ONNX graph, an input a column."""
    inputs = [("sex", StringTensorType([None, 1]))] + [(name, FloatTensorType([None, 1])) for name in MEASURES]
    return convert_sklearn(model, initial_types=inputs, target_opset={"": 18, "ai.onnx.ml": 3})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--trees", type=int, default=60)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    server = client()
    mlflow.set_experiment("abalone")
    table = abalones(arguments.rows, arguments.seed)
    features, rings = table.drop(columns="rings"), table["rings"]
    train_x, test_x, train_y, test_y = train_test_split(features, rings, test_size=0.25, random_state=arguments.seed)
    encode = ColumnTransformer([("sex", OneHotEncoder(handle_unknown="ignore"), ["sex"])], remainder="passthrough")
    trees = GradientBoostingRegressor(
        n_estimators=arguments.trees,
        max_depth=arguments.depth,
        learning_rate=arguments.learning_rate,
        random_state=arguments.seed,
    )
    model = Pipeline([("encode", encode), ("trees", trees)])

    with mlflow.start_run(run_name="boosted trees") as run:
        mlflow.log_params(vars(arguments) | {"data": "synthetic"})
        model.fit(train_x, train_y)
        predicted = model.predict(test_x)
        metrics = {
            "validation_mae": mean_absolute_error(test_y, predicted),
            "validation_rmse": root_mean_squared_error(test_y, predicted),
            "validation_r2": r2_score(test_y, predicted),
        }
        mlflow.log_metrics(metrics)
        common = {"signature": infer_signature(test_x, predicted), "input_example": test_x.head(3)}
        logged = {
            "sklearn": mlflow.sklearn.log_model(
                model,
                name="model",
                registered_model_name=NAMES["sklearn"],
                pip_requirements=[f"scikit-learn=={sklearn.__version__}"],
                skops_trusted_types=TRUSTED,
                **common,
            )
        }
        graph = as_onnx(model)
        # A graph computes in single precision, and answers a column. MLflow warns of the input example here: its own server
        # cannot give a column of text to a graph, modelsd can.
        narrow = test_x.astype(dict.fromkeys(MEASURES, "float32"))
        logged["onnx"] = mlflow.onnx.log_model(
            graph,
            name="onnx",
            onnx_execution_providers=["CPUExecutionProvider"],
            registered_model_name=NAMES["onnx"],
            signature=infer_signature(narrow, {"variable": predicted.astype("float32").reshape(-1, 1)}),
            input_example=narrow.head(3),
            pip_requirements=[f"onnx=={onnx.__version__}", f"onnxruntime=={onnxruntime.__version__}"],
        )

    versions, difference = {}, {}
    for flavor, name in NAMES.items():
        versions[flavor] = str(logged[flavor].registered_model_version)
        server.transition_model_version_stage(name, versions[flavor], "Production", archive_existing_versions=True)
    for flavor, name in NAMES.items():
        wait_until_served(name, versions[flavor])
        answer = predict(name, {"dataframe_split": test_x.to_dict(orient="split", index=False)}).json()["predictions"]
        served = [next(iter(row.values())) if isinstance(row, dict) else row for row in answer]
        served = np.asarray(served, dtype=float).reshape(-1)
        difference[flavor] = float(np.max(np.abs(served - predicted) / np.maximum(1, np.abs(predicted))))
    show(
        run_id=run.info.run_id,
        metrics=metrics,
        versions=versions,
        rows_compared=len(test_x),
        largest_difference_from_python=difference,
    )
    # ONNX computes in single precision.
    if difference["sklearn"] > 1e-12 or difference["onnx"] > 1e-5:
        raise SystemExit("abalone.py: modelsd does not answer as Python does")


if __name__ == "__main__":
    main()
