"""Compares two versions of a model on live traffic, and logs what came of it in MLflow.

Half of the requests go to each version. What the right answer was is told to modelsd afterwards, as feedback; modelsd says
which version is better, and how sure that is.
"""

import argparse
import time

import mlflow
import numpy as np
from common import MLFLOW, MODELSD, add_route, client, modelsd, predict, show
from iris_models import TEST_X, TEST_Y, register
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

NAME = "iris-ab"
MODEL = "example-iris-ab-versions"


def send(requests: int, seed: int) -> None:
    """Live traffic: one flower a request, and later its species."""
    random = np.random.default_rng(seed)
    for row in random.integers(0, len(TEST_X), requests):
        flower = TEST_X.iloc[[row]].to_dict(orient="split", index=False)
        answer = predict(NAME, {"dataframe_split": flower})
        right = answer.json()["predictions"][0] == TEST_Y.iloc[row]
        feedback = {"prediction_id": answer.headers["x-prediction-id"], "value": int(right), "kind": "correct"}
        told = modelsd("POST", "/api/feedback", json=feedback)
        if told.status_code >= 300:
            raise RuntimeError(f"modelsd answers {told.status_code}: {told.text}")


def compared(requests: int) -> dict:
    """What modelsd has counted, once it has counted all: that is done beside answering."""
    for _ in range(200):
        page = modelsd("GET", f"/api/routes/{NAME}/compare?metric=correct").json()
        if sum(outcomes(variant)["n"] for variant in page["variants"]) >= requests:
            break
        time.sleep(0.05)
    return page


def outcomes(variant: dict) -> dict:
    """How often a variant was right, of how many."""
    return variant["feedback"].get("correct", {"n": 0, "mean": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    client()
    mlflow.set_experiment("iris-ab")
    # The champion can tell two of the three species apart, at most.
    champion = register(MODEL, DecisionTreeClassifier(max_depth=1, random_state=0), "champion")
    challenger = register(MODEL, LogisticRegression(max_iter=1000), "challenger")
    add_route(NAME, {"champion": f"models:/{MODEL}/{champion}", "challenger": f"models:/{MODEL}/{challenger}"})

    send(arguments.requests, arguments.seed)
    page = compared(arguments.requests)

    with mlflow.start_run(run_name="comparison") as run:
        mlflow.log_params({"requests": arguments.requests, "champion": champion, "challenger": challenger})
        accuracy = {}
        for variant in page["variants"]:
            found = outcomes(variant)
            accuracy[variant["variant"]] = found["mean"]
            mlflow.log_metric(f"{variant['variant']}_requests", found["n"])
            mlflow.log_metric(f"{variant['variant']}_accuracy", found["mean"])
        better = page["verdict"]["better"]
        mlflow.set_tags({"better": better or "not known yet", "route": NAME, "modelsd": MODELSD})
        mlflow.log_dict(page, "compare.json")
    show(
        accuracy=accuracy,
        better=better,
        verdict=page["verdict"],
        run_id=run.info.run_id,
        page=f"{MLFLOW}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}",
    )


if __name__ == "__main__":
    main()
