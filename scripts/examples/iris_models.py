"""Models of the iris data that several examples register."""

import mlflow
import sklearn
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

DATA = load_iris(as_frame=True)
TRAIN_X, TEST_X, TRAIN_Y, TEST_Y = train_test_split(
    DATA.data, DATA.target, test_size=0.4, random_state=1, stratify=DATA.target
)
# Named, so that MLflow does not have to find out what the model needs.
REQUIREMENTS = [f"scikit-learn=={sklearn.__version__}"]
# What MLflow does not read from a file unless told: the nodes of trees, here of trees that were grown here.
TRUSTED = ["sklearn.tree._tree.Tree"]


def register(name: str, model, run_name: str) -> str:
    """Trains a model, logs it in a run of its own, registers it, and gives its version."""
    with mlflow.start_run(run_name=run_name):
        model.fit(TRAIN_X, TRAIN_Y)
        mlflow.log_params({"class": type(model).__name__})
        mlflow.log_metric("accuracy", model.score(TEST_X, TEST_Y))
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(TEST_X, model.predict(TEST_X)),
            input_example=TEST_X.head(2),
            pip_requirements=REQUIREMENTS,
            skops_trusted_types=TRUSTED,
            registered_model_name=name,
        )
    return str(logged.registered_model_version)
