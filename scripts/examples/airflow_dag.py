"""A DAG of Airflow that keeps a model fresh: train, check, promote, wait until modelsd serves the new version.

Put this file into Airflow's folder of DAGs, or name the folder it is in there. Each task runs a step of sensor_clusters.py in
the Python environment of MLflow (EXAMPLES_PYTHON, else that of scripts/start.sh), so that Airflow's own needs none of its
packages. MLFLOW_TRACKING_URI and MODELSD_SERVER say where the servers are, unless scripts/start.sh started them.
"""

import json
import os
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

FOLDER = Path(__file__).resolve().parent
PYTHON = os.environ.get("EXAMPLES_PYTHON") or str(FOLDER.parents[1] / ".platform/venv/bin/python")
NOT_GOOD_ENOUGH = 3


def step(*words: str) -> dict:
    """Runs a step, and gives what it prints. What it logs goes to the log of the task."""
    done = subprocess.run([PYTHON, str(FOLDER / "sensor_clusters.py"), *words], stdout=subprocess.PIPE, text=True)
    if done.returncode == NOT_GOOD_ENOUGH:
        # Another try would find the same: none is made.
        raise AirflowFailException("the new version is not good enough: " + "; ".join(json.loads(done.stdout)["reasons"]))
    done.check_returncode()
    return json.loads(done.stdout)


@dag(
    schedule=timedelta(days=1),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # Two at once would promote in no order.
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=1)},
    params={"clusters": 4, "seed": 0},
    tags=["modelsd", "example"],
)
def sensor_clusters():
    """Trains, checks, promotes, and waits for modelsd."""

    @task
    def train(params=None) -> str:
        return step("train", "--clusters", str(params["clusters"]), "--seed", str(params["seed"]))["version"]

    @task
    def check(version: str) -> str:
        step("check", version)
        return version

    @task
    def promote(version: str) -> str:
        return step("promote", version)["version"]

    @task
    def wait(version: str) -> dict:
        return step("wait", version)

    wait(promote(check(train())))


sensor_clusters()
