"""Finds the working states of machines in what their sensors say, in steps as a scheduler calls them.

    sensor_clusters.py train [--clusters N] [--seed N]   fits and registers a version
    sensor_clusters.py check VERSION                     is it good enough, and not worse than the one in Production?
    sensor_clusters.py promote VERSION                   moves it to Production
    sensor_clusters.py wait VERSION                      until modelsd serves it, and answers as Python does
    sensor_clusters.py run                               all of them in turn

Each prints one JSON object and ends with 0; `check` ends with 3 when the version is not to be promoted, and everything with
1 when it fails. The readings are synthetic: four working states with noise.
"""

import argparse
import sys

import mlflow
import numpy as np
import pandas as pd
import sklearn
from common import client, predict, show, wait_until_served
from mlflow.models import infer_signature
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NAME = "sensor-clusters"
NOT_GOOD_ENOUGH = 3
# Below this, the clusters run into each other.
LEAST_SILHOUETTE = 0.5
# A new version may be this much worse than the old one: it is fitted to other readings.
SLACK = 0.05
COLUMNS = ["temperature", "pressure", "vibration", "current"]


def readings(rows: int, seed: int) -> pd.DataFrame:
    """What sensors say of machines that are off, idle, at work, or overloaded."""
    random = np.random.default_rng(seed)
    states = np.array([[20, 1.0, 0.1, 0.2], [35, 1.2, 0.5, 2.0], [60, 3.5, 2.0, 9.0], [85, 4.5, 6.0, 14.0]])
    noise = np.array([2.5, 0.12, 0.15, 0.4])
    table = states[random.integers(0, len(states), rows)] + random.normal(size=(rows, 4)) * noise
    return pd.DataFrame(table, columns=COLUMNS)


def silhouette(model, table: pd.DataFrame) -> float:
    """From -1 to 1: how much nearer readings are to those of their own cluster than to those of the next."""
    labels = model.predict(table)
    if len(set(labels)) < 2:
        return -1.0
    return float(silhouette_score(model[:-1].transform(table), labels))


def train(clusters: int = 4, seed: int = 0) -> dict:
    """Fits and registers a version."""
    table = readings(1500, seed)
    model = make_pipeline(StandardScaler(), KMeans(clusters, n_init=5, random_state=seed))
    with mlflow.start_run(run_name=f"{clusters} clusters") as run:
        model.fit(table)
        mlflow.log_params({"clusters": clusters, "seed": seed, "rows": len(table), "data": "synthetic"})
        score = silhouette(model, readings(500, seed + 1))
        mlflow.log_metrics({"silhouette": score, "inertia": model[-1].inertia_})
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(table, model.predict(table)),
            input_example=table.head(3),
            pip_requirements=[f"scikit-learn=={sklearn.__version__}"],
            registered_model_name=NAME,
        )
    return {"version": str(logged.registered_model_version), "silhouette": score, "run_id": run.info.run_id}


def check(version: str) -> dict:
    """Compares a version, on readings that none was fitted to, with the limit and with the version in Production."""
    table = readings(800, 999)
    found = silhouette(mlflow.sklearn.load_model(f"models:/{NAME}/{version}"), table)
    current = client().get_latest_versions(NAME, ["Production"])
    before = None
    if current:
        before = silhouette(mlflow.sklearn.load_model(f"models:/{NAME}/{current[0].version}"), table)
    reasons = []
    if found < LEAST_SILHOUETTE:
        reasons.append(f"its silhouette is {found:.3f}, below {LEAST_SILHOUETTE}")
    if before is not None and found < before - SLACK:
        reasons.append(f"its silhouette is {found:.3f}, that of version {current[0].version} in Production {before:.3f}")
    client().set_model_version_tag(NAME, version, "quality", "refused" if reasons else "passed")
    return {"version": version, "silhouette": found, "production": before, "good_enough": not reasons, "reasons": reasons}


def promote(version: str) -> dict:
    """Moves a version to Production, and the one that was there to Archived."""
    before = [old.version for old in client().get_latest_versions(NAME, ["Production"])]
    client().transition_model_version_stage(NAME, version, "Production", archive_existing_versions=True)
    return {"version": version, "stage": "Production", "archived": [old for old in before if old != version]}


def wait(version: str) -> dict:
    """Waits until modelsd serves a version, and compares its answers with Python's."""
    wait_until_served(NAME, version)
    table = readings(50, 1234)
    answer = predict(NAME, {"dataframe_split": table.to_dict(orient="split", index=False)})
    expected = mlflow.sklearn.load_model(f"models:/{NAME}/{version}").predict(table).tolist()
    if answer.json()["predictions"] != expected:
        raise SystemExit("sensor_clusters.py: modelsd does not answer as Python does")
    return {"version": version, "served": answer.headers["x-model-version"], "rows_compared": len(table)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    for step in train, None:
        fitting = steps.add_parser("train" if step else "run")
        fitting.add_argument("--clusters", type=int, default=4)
        fitting.add_argument("--seed", type=int, default=0)
    for step in check, promote, wait:
        steps.add_parser(step.__name__).add_argument("version")
    arguments = parser.parse_args()
    client()
    mlflow.set_experiment("sensor-clusters")
    match arguments.step:
        case "train":
            result = train(arguments.clusters, arguments.seed)
        case "run":
            result = train(arguments.clusters, arguments.seed)
            result |= check(result["version"])
            if result["good_enough"]:
                result |= promote(result["version"]) | wait(result["version"])
        case step:
            result = {"check": check, "promote": promote, "wait": wait}[step](arguments.version)
    show(**result)
    if result.get("good_enough") is False:
        sys.exit(NOT_GOOD_ENOUGH)


if __name__ == "__main__":
    main()
