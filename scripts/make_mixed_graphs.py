#!/usr/bin/env python3
"""Makes graphs that mix operators of `ai.onnx.ml` with others, and what onnxruntime answers: `tests/golden/mixed/`.

usage: .venv/bin/python scripts/make_mixed_graphs.py      (set up as scripts/make_models.py says; takes seconds)

None is covered by plans as a whole, each by tract with such operators lowered. `<name>.json` holds the rows that were
fed, and every output's elements, row-major.
"""

import json
import pathlib
import warnings

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor, BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, Normalizer, PolynomialFeatures, StandardScaler

warnings.filterwarnings("ignore")
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "mixed"
MODELS = {
    "polynomial": make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=300)),
    "neighbors": make_pipeline(StandardScaler(), KNeighborsRegressor(3)),
    "ada_boost_regressor": AdaBoostRegressor(n_estimators=4, random_state=0),
    "ada_boost_classifier": make_pipeline(Normalizer(), AdaBoostClassifier(n_estimators=4, random_state=0)),
    "bagging": BaggingClassifier(n_estimators=3, random_state=0),
    "k_means": make_pipeline(StandardScaler(), KMeans(3, n_init=1, random_state=0)),
    "bernoulli": make_pipeline(Binarizer(threshold=2.0), BernoulliNB()),
}


def main():
    rows, classes = load_iris(return_X_y=True)
    rows = rows.astype(np.float32)
    asked = rows[::6]
    OUT.mkdir(exist_ok=True)
    for name, model in MODELS.items():
        model.fit(rows, classes)
        options = {"zipmap": False} if hasattr(model, "predict_proba") else None
        graph = to_onnx(model, rows[:1], options=options, target_opset={"": 17, "ai.onnx.ml": 3}).SerializeToString()
        session = onnxruntime.InferenceSession(graph)
        answers = session.run(None, {session.get_inputs()[0].name: asked})
        outputs = {port.name: np.asarray(answer).ravel().tolist() for port, answer in zip(session.get_outputs(), answers)}
        (OUT / f"{name}.onnx").write_bytes(graph)
        (OUT / f"{name}.json").write_text(json.dumps({"rows": asked.tolist(), "outputs": outputs}))


if __name__ == "__main__":
    main()
