"""Predicts through modelsd, in every form of a request, and chooses a variant by a header; each answer is compared with
what the model answers in Python."""

import io

import mlflow
from common import add_route, client, modelsd, predict, show, wait_until_served
from iris_models import TEST_X, register
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

NAME = "example-iris"
ROUTE = "example-iris-ab"


def forms(rows) -> dict[str, tuple[str, bytes | dict]]:
    """The same rows in every form of a request: media type and body."""
    split = rows.to_dict(orient="split", index=False)
    parquet = io.BytesIO()
    rows.to_parquet(parquet)
    return {
        "dataframe_split": ("application/json", {"dataframe_split": split}),
        "dataframe_records": ("application/json", {"dataframe_records": rows.to_dict(orient="records")}),
        "instances": ("application/json", {"instances": rows.to_dict(orient="records")}),
        "inputs": ("application/json", {"inputs": rows.to_dict(orient="list")}),
        "csv": ("text/csv", rows.to_csv(index=False).encode()),
        "parquet": ("application/vnd.apache.parquet", parquet.getvalue()),
    }


def main() -> None:
    server = client()
    mlflow.set_experiment("example-model-serving")
    versions = [
        register(NAME, DecisionTreeClassifier(max_depth=1, random_state=0), "stump"),
        register(NAME, RandomForestClassifier(20, random_state=0), "forest"),
    ]
    stump, forest = versions
    server.transition_model_version_stage(NAME, stump, "Staging")
    server.transition_model_version_stage(NAME, forest, "Production", archive_existing_versions=True)
    wait_until_served(NAME, forest)
    python = {version: mlflow.sklearn.load_model(f"models:/{NAME}/{version}") for version in versions}

    rows = TEST_X.head(20)
    expected = python[forest].predict(rows).tolist()
    same = {}
    for form, (media, body) in forms(rows).items():
        payload = {"json": body} if isinstance(body, dict) else {"data": body, "headers": {"content-type": media}}
        answer = modelsd("POST", f"/models/{NAME}/invocations", **payload)
        same[form] = answer.status_code == 200 and answer.json()["predictions"] == expected

    add_route(ROUTE, {"champion": f"models:/{NAME}/{forest}", "challenger": f"models:/{NAME}/{stump}"})
    chosen = {}
    body = {"dataframe_split": rows.to_dict(orient="split", index=False)}
    for variant, version in ("champion", forest), ("challenger", stump):
        answer = predict(ROUTE, body, x_model_variant=variant)
        right = answer.json()["predictions"] == python[version].predict(rows).tolist()
        chosen[variant] = {"version": answer.headers["x-model-version"], "as_in_python": right}
    show(name=NAME, versions=versions, as_in_python=same, variants=chosen)
    if not all(same.values()) or not all(variant["as_in_python"] for variant in chosen.values()):
        raise SystemExit("03_model_serving.py: an answer is not that of the model in Python")


if __name__ == "__main__":
    main()
