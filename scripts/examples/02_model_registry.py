"""Takes two versions of a model through the registry: stages, aliases, tags and descriptions."""

import mlflow
from common import client, show
from iris_models import register
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

NAME = "example-iris-registry"


def main() -> None:
    server = client()
    mlflow.set_experiment("example-model-registry")
    stages = {}

    def move(version: str, stage: str) -> None:
        """Moves a version, the ones that were there before going to Archived, and notes where all are."""
        server.transition_model_version_stage(NAME, version, stage, archive_existing_versions=stage == "Production")
        note(f"{version} to {stage}")

    def note(step: str) -> None:
        stages[step] = {version: server.get_model_version(NAME, version).current_stage for version in versions}

    versions = [register(NAME, DecisionTreeClassifier(max_depth=2, random_state=0), "tree")]
    server.update_registered_model(NAME, description="Species of iris from four measurements.")
    server.set_registered_model_tag(NAME, "team", "examples")
    note("registered")
    move(versions[0], "Staging")
    move(versions[0], "Production")

    versions.append(register(NAME, LogisticRegression(max_iter=1000), "logistic regression"))
    first, second = versions
    server.update_model_version(NAME, second, description="Logistic regression instead of a tree.")
    server.set_model_version_tag(NAME, second, "reviewed", "yes")
    move(second, "Staging")
    server.set_registered_model_alias(NAME, "champion", first)
    server.set_registered_model_alias(NAME, "challenger", second)
    # The first goes to Archived.
    move(second, "Production")
    server.set_registered_model_alias(NAME, "champion", second)
    server.delete_registered_model_alias(NAME, "challenger")

    model = server.get_registered_model(NAME)
    show(
        name=NAME,
        versions=versions,
        stages=stages,
        aliases=model.aliases,
        description=model.description,
        tags=model.tags,
        description_of_second=server.get_model_version(NAME, second).description,
        champion=server.get_model_version_by_alias(NAME, "champion").version,
    )


if __name__ == "__main__":
    main()
