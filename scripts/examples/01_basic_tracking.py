"""Tracks a training in MLflow: parameters, metrics with steps, tags and artifacts; then reads them back."""

import mlflow
from common import MLFLOW, client, show
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

PARAMETERS = {"n_estimators": 20, "max_depth": 3, "learning_rate": 0.1, "random_state": 0}


def main() -> None:
    server = client()
    mlflow.set_experiment("example-basic-tracking")
    data = load_diabetes(as_frame=True)
    train_x, test_x, train_y, test_y = train_test_split(data.data, data.target, random_state=0)

    with mlflow.start_run(run_name="boosted trees") as run:
        mlflow.log_params(PARAMETERS)
        mlflow.set_tags({"dataset": "diabetes", "stage_of_work": "example"})
        model = GradientBoostingRegressor(**PARAMETERS).fit(train_x, train_y)
        # One value a step: MLflow draws them as a curve.
        for step, predicted in enumerate(model.staged_predict(test_x)):
            mlflow.log_metric("validation_mae", mean_absolute_error(test_y, predicted), step=step)
        mlflow.log_metric("r2", model.score(test_x, test_y))
        importances = dict(zip(data.feature_names, model.feature_importances_.tolist()))
        mlflow.log_dict(importances, "importances.json")
        mlflow.log_text("Boosted trees on the diabetes data of scikit-learn.\n", "notes/README.txt")

    # What anybody sees who looks at the run.
    seen = server.get_run(run.info.run_id)
    curve = server.get_metric_history(run.info.run_id, "validation_mae")
    folders = [file.path for file in server.list_artifacts(run.info.run_id)]
    show(
        run_id=run.info.run_id,
        page=f"{MLFLOW}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}",
        params=seen.data.params,
        tags={key: value for key, value in seen.data.tags.items() if not key.startswith("mlflow.")},
        validation_mae=[metric.value for metric in sorted(curve, key=lambda metric: metric.step)],
        r2=seen.data.metrics["r2"],
        artifacts=sorted(folders),
    )


if __name__ == "__main__":
    main()
