"""What the examples share: where the servers are, requests to modelsd, and waiting until it serves a version.

The addresses are those that scripts/start.sh left in the state folder, unless MLFLOW_TRACKING_URI and MODELSD_SERVER name
others.
"""

import json
import os
import re
import sys
import time
import tomllib
import warnings
from pathlib import Path

import mlflow
import requests

STATE = Path(os.environ.get("PLATFORM_DIR") or Path(__file__).resolve().parents[2] / ".platform")

# Stages are deprecated in MLflow, and used here on purpose: registries have them.
warnings.filterwarnings("ignore", category=FutureWarning)
# Answers are read by programs; what MLflow has to say of its own work is not part of them.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def _address(variable: str, part: str, default: str) -> str:
    """The address of a part: the variable, else what start.sh wrote, else where it would be."""
    if os.environ.get(variable):
        return os.environ[variable].rstrip("/")
    file = STATE / f"{part}.url"
    return file.read_text().strip() if file.is_file() else default


MLFLOW = _address("MLFLOW_TRACKING_URI", "mlflow", "http://127.0.0.1:5000")
MODELSD = _address("MODELSD_SERVER", "modelsd", "http://127.0.0.1:5001")
HTTP = requests.Session()


def fail(cause: str, next_step: str) -> None:
    """Ends the program with a cause and what to do about it."""
    sys.exit(f"{Path(sys.argv[0]).name}: {cause}\n  next: {next_step}")


def client() -> mlflow.MlflowClient:
    """A client of the MLflow server, which has to answer."""
    try:
        HTTP.get(f"{MLFLOW}/health", timeout=60).raise_for_status()
    except requests.RequestException as error:
        fail(f"no MLflow server answers at {MLFLOW} ({type(error).__name__})", "scripts/start.sh, or set MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(MLFLOW)
    return mlflow.MlflowClient()


def modelsd(method: str, path: str, **options) -> requests.Response:
    """Asks modelsd, which has to answer; with whatever status."""
    try:
        return HTTP.request(method, MODELSD + path, timeout=120, **options)
    except requests.RequestException:
        fail(f"modelsd does not answer at {MODELSD}", "scripts/start.sh, or set MODELSD_SERVER")


def predict(name: str, body: dict, **headers: str) -> requests.Response:
    """Predicts with a model, or a route, and raises where that is refused."""
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    answer = modelsd("POST", f"/models/{name}/invocations", json=body, headers=names)
    if answer.status_code != 200:
        raise RuntimeError(f"modelsd answers {answer.status_code}: {answer.text}")
    return answer


def wait_until_served(name: str, version: str, seconds: float = 300) -> None:
    """Waits until modelsd answers with a version; ends the program with modelsd's reason if it does not come to that."""
    # Now, and not at the next question of modelsd's own.
    modelsd("POST", "/api/reload")
    began, status = time.monotonic(), {}
    while time.monotonic() - began < seconds:
        answer = modelsd("GET", f"/api/models/{name}")
        status = answer.json() if answer.status_code == 200 else {}
        if (status.get("serving") or {}).get("version") == str(version):
            return
        time.sleep(0.1)
    fail(
        f"modelsd does not serve version {version} of {name} after {seconds:.0f} seconds",
        f"{MODELSD}/api/models/{name} says: {json.dumps(status.get('last_error')) if status else 'no such model'}",
    )


def add_route(route: str, variants: dict[str, str]) -> None:
    """Has modelsd answer under one name with several variants, each a model URI, with equal weights.

    The routes are in modelsd.toml in the state folder (or MODELSD_CONFIG). What others wrote there stays.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]+", route):
        raise ValueError(f"`{route}` is no name for a route here")
    file = Path(os.environ.get("MODELSD_CONFIG") or STATE / "modelsd.toml")
    text = file.read_text() if file.is_file() else ""
    marks = f"# >>> {route}\n", f"# <<< {route}\n"
    old = re.compile(f"{marks[0]}.*?{marks[1]}", re.DOTALL)
    if route in tomllib.loads(old.sub("", text)).get("routes", {}):
        fail(f"there is another route {route} in {file}", "rename it, or take it out")
    lines = [f"[routes.{route}.variants]"]
    lines += [f"{name} = {{ model = {json.dumps(uri)}, weight = 1 }}" for name, uri in variants.items()]
    section = marks[0] + "\n".join(lines) + "\n" + marks[1]
    new = file.with_suffix(".toml.tmp")
    new.write_text(old.sub("", text) + section)
    new.replace(file)
    answer = modelsd("POST", "/api/config/reload")
    if answer.status_code != 200:
        fail(f"modelsd does not take {file}: {answer.text}", "was it started by scripts/start.sh, with that --config?")
    for name, uri in variants.items():
        wait_until_served(f"{route}.{name}", uri.rsplit("/", 1)[-1])


def show(**result) -> None:
    """Prints a result: one JSON object."""
    print(json.dumps(result, indent=2, sort_keys=True))
