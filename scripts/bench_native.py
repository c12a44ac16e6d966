#!/usr/bin/env python3
"""Compares native models in modelsd with ONNX Runtime in modelsd and with the libraries' own code, on one core.

usage: .venv-bench/bin/python scripts/bench_native.py [--keep DIR] [--output FILE]

    --keep DIR      make the models there and leave them
    --output FILE   where the table goes [benches/RESULTS-native.md]

scripts/bench.sh makes the environment (scripts/requirements.txt). Trains the models, times XGBoost, LightGBM and
scikit-learn in this process with one thread, then runs `cargo bench --bench native` on the same models and rows, pinned to
the same core, and writes a table of medians. Takes some minutes. Leave the machine alone meanwhile.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
import warnings

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
warnings.filterwarnings("ignore")

import lightgbm
import mlflow
import numpy as np
import onnx
import onnxmltools
import pandas as pd
import xgboost
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import Schema, TensorSpec
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROOT = pathlib.Path(__file__).resolve().parent.parent
FEATURES = 30
COUNTS = (1, 64, 1000)
random = np.random.default_rng(3)


def rows(count):
    return random.normal(size=(count, FEATURES))


def target(x):
    return np.sin(x[:, 0] * 3) + x[:, 1] * x[:, 2] + 0.5 * random.normal(size=len(x))


def median(call, least=0.4):
    """Seconds of a call, the median of as many as fit."""
    times = []
    until = time.perf_counter() + least
    while time.perf_counter() < until or len(times) < 7:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]


class Case:
    """A model in a folder, with the requests it is asked and what its own library takes for them."""

    def __init__(self, folder, name, what):
        self.folder, self.name, self.what, self.own = folder / name, name, what, {}
        self.folder.mkdir(parents=True)

    def request(self, count, body):
        (self.folder / f"{count}.json").write_text(json.dumps(body))

    def numbers(self, own):
        """Asks `own` and writes the same rows as requests."""
        for count in COUNTS:
            x = rows(count).astype(np.float32)
            self.request(count, {"inputs": x.tolist()})
            self.own[count] = median(lambda: own(x))


def singles():
    return ModelSignature(inputs=Schema([TensorSpec(np.dtype("float32"), (-1, FEATURES))]))


def save_onnx(case, graph):
    mlflow.onnx.save_model(graph, case.folder / "ort", signature=singles(), pip_requirements=[])


def xgboost_case(folder, trees, depth):
    case = Case(folder, f"xgboost-{trees}", f"XGBoost, {trees} trees of depth {depth}, {FEATURES} features")
    x = rows(20_000)
    booster = xgboost.train(
        {"max_depth": depth, "eta": 0.1, "nthread": 1, "min_child_weight": 0}, xgboost.DMatrix(x, target(x)), trees
    )
    mlflow.xgboost.save_model(booster, case.folder / "native", signature=singles(), pip_requirements=[])
    graph = onnxmltools.convert_xgboost(booster, initial_types=[("x", FloatTensorType([None, FEATURES]))], target_opset=15)
    save_onnx(case, graph)
    case.numbers(booster.inplace_predict)
    return case


def lightgbm_case(folder, trees, depth):
    case = Case(folder, f"lightgbm-{trees}", f"LightGBM, {trees} trees of at most {2**depth} leaves, {FEATURES} features")
    x = rows(20_000)
    parameters = {"max_depth": depth, "num_leaves": 2**depth, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(x, target(x)), trees)
    mlflow.lightgbm.save_model(booster, case.folder / "native", signature=singles(), pip_requirements=[])
    graph = onnxmltools.convert_lightgbm(booster, initial_types=[("x", FloatTensorType([None, FEATURES]))], target_opset=15)
    save_onnx(case, graph)
    case.numbers(lambda rows: booster.predict(rows, num_threads=1))
    return case


def pipeline_case(folder):
    case = Case(folder, "pipeline", "scikit-learn: imputer, scaler, one-hot, logistic regression; 6 numbers and 2 texts")
    count = 2_000
    table = pd.DataFrame({f"n{at}": random.normal(size=count) for at in range(6)})
    table["city"] = random.choice(["Bonn", "Köln", "Ulm", "Trier"], count)
    table["plan"] = random.choice(["free", "paid"], count)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    parts = [("numbers", numbers, list(table.columns[:6])), ("texts", OneHotEncoder(handle_unknown="ignore"), ["city", "plan"])]
    model = make_pipeline(ColumnTransformer(parts), LogisticRegression())
    model.fit(table, (table.n0 + (table.city == "Ulm") > 0.3).astype(int))
    mlflow.sklearn.save_model(
        model,
        case.folder / "native",
        signature=infer_signature(table),
        pip_requirements=[],
        serialization_format="skops",
        skops_trusted_types=["numpy.dtype"],
    )
    for count in COUNTS:
        part = table.head(count)
        case.request(count, {"dataframe_split": part.to_dict(orient="split", index=False)})
        case.own[count] = median(lambda: model.predict(part))
    return case


def load_case(folder):
    case = Case(folder, "load", "scikit-learn forest of some 50 MB, cloudpickle")
    x = rows(6_000)
    model = RandomForestRegressor(95, n_jobs=1).fit(x, target(x))
    mlflow.sklearn.save_model(
        model, case.folder / "native", signature=singles(), pip_requirements=[], serialization_format="cloudpickle"
    )
    file = case.folder / "native" / "model.pkl"
    case.what += f" ({file.stat().st_size / 1e6:.0f} MB)"
    (case.folder / "load").write_text("")
    case.own["load"] = median(lambda: mlflow.sklearn.load_model(str(case.folder / "native")), least=0)
    return case


def estimates(name, engine, what):
    path = ROOT / "target" / "criterion" / f"{name}_{engine}" / str(what) / "new" / "estimates.json"
    return json.loads(path.read_text())["median"]["point_estimate"] * 1e-9 if path.is_file() else None


def shown(seconds):
    if seconds is None:
        return "–"
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(cases):
    yield "| model | rows | modelsd, native | modelsd, ONNX Runtime | the library itself | ORT ÷ native | library ÷ native |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for case in cases:
        for what, own in case.own.items():
            native, ort = (estimates(case.name, engine, what) for engine in ("native", "ort"))
            ratio = lambda other: f"{other / native:.2f}" if other and native else "–"
            yield f"| {case.what} | {what} | {shown(native)} | {shown(ort)} | {shown(own)} | {ratio(ort)} | {ratio(own)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="DIR", type=pathlib.Path)
    parser.add_argument("--output", metavar="FILE", type=pathlib.Path, default=ROOT / "benches" / "RESULTS-native.md")
    arguments = parser.parse_args()
    subprocess.run(["cargo", "bench", "--bench", "native", "--no-run"], cwd=ROOT, check=True)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or pathlib.Path(scratch)
        cases = [
            xgboost_case(folder, 100, 8),
            lightgbm_case(folder, 100, 8),
            xgboost_case(folder, 500, 8),
            pipeline_case(folder),
            load_case(folder),
        ]
        environment = {**os.environ, "MODELSD_BENCH_MODELS": str(folder.resolve())}
        subprocess.run(["cargo", "bench", "--bench", "native"], cwd=ROOT, check=True, env=environment)
        lines = [
            "# Native models: modelsd against ONNX Runtime and the libraries themselves",
            "",
            f"Made by `scripts/bench_native.py` on {datetime.date.today()}: {platform.machine()}, {os.cpu_count()} cores, one used; "
            f"xgboost {xgboost.__version__}, lightgbm {lightgbm.__version__}, ONNX Runtime as fetched. Medians of a call; "
            "modelsd's take a decoded request and give the values of an answer, the libraries take a NumPy array (XGBoost: "
            "`inplace_predict`, LightGBM: `Booster.predict`, scikit-learn: a DataFrame). `load` opens a model directory.",
            "",
            *table(cases),
            "",
        ]
        arguments.output.write_text("\n".join(lines))
        print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
