"""Trains a small model with each library, logs it as its users do, promotes it, for the tests.

Writes one JSON object to standard output: for each registered model its name and the bodies to ask it with. The server is
MLFLOW_TRACKING_URI's.
"""

import json
import os
import warnings

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
warnings.filterwarnings("ignore")

import catboost  # noqa: E402
import lightgbm  # noqa: E402
import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import xgboost  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.ensemble import GradientBoostingClassifier  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: E402

ROWS = 300
random = np.random.default_rng(5)
table = pd.DataFrame(
    {
        "age": random.integers(18, 90, ROWS).astype(float),
        "income": random.gamma(2.0, 30.0, ROWS),
        "city": random.choice(["Köln", "Bonn", "Ulm"], ROWS),
    }
)
numbers = table[["age", "income"]]
price = 3.0 * table.age + table.income * (table.city == "Ulm") + random.normal(0, 5, ROWS)
dear = (price > price.median()).astype(int)
plan = np.where(price > price.quantile(0.7), "gold", np.where(price > price.quantile(0.3), "silver", "none"))


# What MLflow's default, skops, does not trust by itself is named, or the model pickled, as most are.
FORMATS = {
    "sklearn-linear": {"serialization_format": "skops", "skops_trusted_types": ["numpy.dtype"]},
    "sklearn-boosting": {"serialization_format": "cloudpickle"},
}


def pipeline(last):
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
            ("texts", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]
    )
    return make_pipeline(prepare, last)


def models():
    """Name, the module that logs it, the model, and its rows."""
    yield "xgboost-native", mlflow.xgboost, xgboost.XGBClassifier(n_estimators=20).fit(numbers, dear), numbers
    booster = xgboost.train({"max_depth": 4}, xgboost.DMatrix(numbers, price), 15)
    yield "xgboost-booster", mlflow.xgboost, booster, numbers
    booster = lightgbm.train({"verbose": -1}, lightgbm.Dataset(numbers, price), 15)
    yield "lightgbm-native", mlflow.lightgbm, booster, numbers
    classifier = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(numbers, plan)
    yield "lightgbm-classes", mlflow.lightgbm, classifier, numbers
    regressor = catboost.CatBoostRegressor(iterations=20, verbose=False, cat_features=["city"], allow_writing_files=False)
    yield "catboost-native", mlflow.catboost, regressor.fit(table, price), table
    yield "sklearn-linear", mlflow.sklearn, pipeline(LogisticRegression()).fit(table, plan), table
    yield "sklearn-boosting", mlflow.sklearn, pipeline(GradientBoostingClassifier(n_estimators=20)).fit(table, plan), table


def bodies(rows):
    """Requests of every form that a table has, some with missing values and categories that nobody has seen."""
    split = rows.head(7).to_dict(orient="split", index=False)
    yield {"dataframe_split": split}
    yield {"dataframe_records": rows.iloc[20:23].to_dict(orient="records")}
    yield {"inputs": rows.iloc[30:32].to_dict(orient="list")}
    yield {"instances": rows.iloc[40:41].to_dict(orient="records")}
    strange = rows.head(2).copy()
    strange.loc[0, "income"] = 1e9
    strange.loc[1, "age"] = -1.0
    if "city" in strange:
        strange.loc[0, "city"] = "Atlantis"
    yield {"dataframe_split": strange.to_dict(orient="split", index=False)}
    missing = json.loads(json.dumps(split))
    missing["data"][3][1] = None
    yield {"dataframe_split": missing}
    yield {"dataframe_split": {"columns": ["age"], "data": [[1.0]]}}


client = MlflowClient()
mlflow.set_experiment("native")
answer = []
for name, flavor, model, rows in models():
    with mlflow.start_run():
        flavor.log_model(
            model,
            name="model",
            registered_model_name=name,
            signature=infer_signature(rows, model.predict(xgboost.DMatrix(rows) if name == "xgboost-booster" else rows)),
            pip_requirements=[],
            **FORMATS.get(name, {}),
        )
    client.transition_model_version_stage(name, "1", "Production")
    answer.append({"name": name, "bodies": [json.dumps(body) for body in bodies(rows)]})
print(json.dumps(answer))
