"""Changes the registry of a real MLflow server, as its users do, for the tests.

Reads one command a line from standard input, `{"do": "log", ...}`, and writes one answer a line: `{"ok": ...}` or
`{"error": ...}`. Started once a test, for importing MLflow takes seconds. The server is MLFLOW_TRACKING_URI's.
"""

import datetime
import ipaddress
import json
import os
import sqlite3
import sys

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from mlflow import MlflowClient  # noqa: E402

client = MlflowClient()


def experiment():
    found = client.get_experiment_by_name("live")
    return found.experiment_id if found else client.create_experiment("live")


def register(name, source, run_id=None, model_id=None):
    if not [model for model in client.search_registered_models() if model.name == name]:
        client.create_registered_model(name)
    # Clients of MLflow 2 know no logged models.
    of_logged = {"model_id": model_id} if model_id else {}
    return int(client.create_model_version(name, source, run_id=run_id, **of_logged).version)


def log(name, folder, path="model", register_as=None):
    """Logs a model directory as MLflow 3 does, and registers it."""
    run = client.create_run(experiment())
    logged = client.create_logged_model(experiment(), name=path, source_run_id=run.info.run_id)
    client.log_model_artifacts(logged.model_id, folder)
    client.finalize_logged_model(logged.model_id, "READY")
    client.set_terminated(run.info.run_id)
    answer = {"model_id": logged.model_id, "run_id": run.info.run_id}
    if name:
        answer["version"] = register(name, f"models:/{logged.model_id}", run.info.run_id, logged.model_id)
    return answer


def log_as_2(name, folder, source="{artifacts}/model"):
    """Logs a model directory as MLflow 2 does, among the artifacts of a run, and registers it."""
    run = client.create_run(experiment())
    client.log_artifacts(run.info.run_id, folder, "model")
    client.set_terminated(run.info.run_id)
    source = source.format(artifacts=run.info.artifact_uri, run=run.info.run_id)
    return {"run_id": run.info.run_id, "version": register(name, source, run.info.run_id)}


def upload(folder, uri):
    """Puts files where no server says, as MLflow's own client does."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(uri).log_artifacts(folder)


def azure(container):
    """Makes a container in the account of the connection string; a signature that may read it for an hour."""
    from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

    service = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
    service.create_container(container)
    return generate_container_sas(
        service.account_name,
        container,
        account_key=service.credential.account_key,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1),
    )


def google(bucket):
    from google.cloud import storage

    storage.Client(project="test").create_bucket(bucket)


def service_account(path):
    """Writes the key file of an account that nobody knows."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {"type": "service_account", "private_key_id": "1", "client_email": "test@test.iam.gserviceaccount.com"}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**account, "private_key": key.decode()}, file)


def underlying(uri):
    """Where MLflow's own client says the files are."""
    from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
    from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

    if uri.startswith("models:"):
        while uri.startswith("models:"):
            uri = ModelsArtifactRepository.get_underlying_uri(uri)
        return uri
    run, path = RunsArtifactRepository.parse_runs_uri(uri)
    repository = RunsArtifactRepository(uri)
    logged = repository._get_logged_model_artifact_repo(run, path.split("/")[0])
    if logged:
        return ModelsArtifactRepository.get_underlying_uri(logged.artifact_uri)
    return RunsArtifactRepository.get_underlying_uri(uri)


def wanted(uri):
    """The version MLflow's own client takes."""
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    return int(get_model_name_and_version(client, uri)[1])


def stage(name, version, stage, archive=False):
    client.transition_model_version_stage(name, str(version), stage, archive_existing_versions=archive)


def alias(name, alias, version):
    client.set_registered_model_alias(name, alias, str(version))


def delete_alias(name, alias):
    client.delete_registered_model_alias(name, alias)


def delete_version(name, version):
    client.delete_model_version(name, str(version))


def delete_model(name):
    client.delete_registered_model(name)


def tag(name, version, key, value):
    client.set_model_version_tag(name, str(version), key, value)
    client.update_model_version(name, str(version), description=f"tagged {key}")


def tags(name, version):
    return client.get_model_version(name, str(version)).tags


def prompt(name):
    client.register_prompt(name, "say {{ word }}")


def webhook(name, url, events, secret):
    from mlflow.entities.webhook import WebhookEvent

    events = [WebhookEvent(entity, action) for entity, action in events]
    return client.create_webhook(name, url, events, secret=secret).webhook_id


def execute(database, statement, values):
    """Changes what no client can: a registration that is under way, a location that leads in a circle."""
    with sqlite3.connect(database) as store:
        return store.execute(statement, values).rowcount


def runs(experiment, filter=""):
    """The runs of an experiment that a filter finds, the oldest first, with every step of their metrics."""
    import mlflow

    found = mlflow.search_runs(
        experiment_names=[experiment], filter_string=filter, order_by=["start_time ASC"], output_format="list"
    )
    steps = lambda run, key: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, key)]  # noqa: E731
    return [
        {
            "name": run.info.run_name,
            "status": run.info.status,
            "took": run.info.end_time - run.info.start_time,
            "params": run.data.params,
            "metrics": {key: steps(run, key) for key in run.data.metrics},
            "tags": run.data.tags,
        }
        for run in found
    ]


def traces(experiment, filter=None):
    """The traces of an experiment that a filter finds, the oldest first."""
    import mlflow

    found = mlflow.search_traces(
        locations=[client.get_experiment_by_name(experiment).experiment_id],
        filter_string=filter,
        order_by=["timestamp_ms ASC"],
        return_type="list",
    )
    return [
        {
            "id": trace.info.trace_id,
            "state": trace.info.state.value,
            "request": trace.info.request_preview,
            "response": trace.info.response_preview,
            "tags": trace.info.tags,
            "inputs": trace.data.spans[0].inputs,
            "outputs": trace.data.spans[0].outputs,
            "spans": [[span.name, span.parent_id is None, span.end_time_ns - span.start_time_ns] for span in trace.data.spans],
        }
        for trace in found
    ]


def create_experiment(name):
    return client.create_experiment(name)


def delete_experiment(name):
    client.delete_experiment(client.get_experiment_by_name(name).experiment_id)


def user(name, password):
    from mlflow.server import get_app_client

    get_app_client("basic-auth", os.environ["MLFLOW_TRACKING_URI"]).create_user(name, password)


def certificates(folder):
    """Writes an authority, and below it the certificates of a server at 127.0.0.1 and of a client, each with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def make(common_name, issuer=None, issuer_key=None, names=()):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(issuer_key or key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for suffix, text in (("crt", pem), ("key", key_pem), ("pem", pem + key_pem)):
            with open(os.path.join(folder, f"{common_name}.{suffix}"), "wb") as file:
                file.write(text)
        return subject, key

    subject, key = make("authority")
    make("server", subject, key, [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    make("client", subject, key)


def main():
    # MLflow prints what it likes; the answers have the pipe for themselves.
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"ok": "ready"}), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"ok": globals()[command.pop("do")](**command)}
        except Exception as error:  # noqa: BLE001 - the test that asked says what to make of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
