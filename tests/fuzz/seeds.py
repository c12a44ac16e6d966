#!/usr/bin/env python3
"""Writes what the fuzz targets begin with, from tests/golden and models, into tests/fuzz/corpus/<target>."""

import base64
import gzip
import hashlib
import itertools
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"
MODELS = HERE.parents[1] / "models"
BETWEEN = b"\xff"  # two answers of a server; see src/lib.rs


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def body(entry):
    if "body_b64" in entry:
        return base64.b64decode(entry["body_b64"])
    return (entry.get("body") or "").encode()


def save(target, seeds, most=500):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for seed in itertools.islice(seeds, most):
        (folder / f"seed-{hashlib.sha1(seed).hexdigest()[:16]}").write_bytes(seed)


def answers(path, ids):
    """The bodies of captured answers, marked as src/lib.rs reads them."""
    found = {entry["id"]: entry["response"] for entry in lines(GOLDEN / "registry" / path)}
    return [{404: b"?", 500: b"!"}.get(found[id]["status"], b"") + body(found[id]) for id in ids]


def registry_answers():
    question = {"version": 0, "stage": 1, "alias": 2, "latest": 3, "logged": 4, "run": 5, "all": 6}
    version = ["rm-get-before", "mv-get", "mv-download-uri", "lm-get"]
    moved = ["rm-get-after-alias", "mv-get", "mv-download-uri", "lm-get"]
    run = ["run-get", "lm-search", "run-get", "lm-search"]
    follow = ["rm-get-before", "mv-get", "mv-get", "mv-get-mid-uri", *run[:2]]
    for kind, ids in [
        ("version", version),
        ("version", ["rm-get-before", "mv-get", *version[1:]]),
        ("stage", ["rm-get-after-transition", *version[1:]]),
        ("alias", moved),
        ("latest", version),
        ("latest", follow),
        ("logged", ["lm-get", "lm-get"]),
        ("logged", ["lm-get-missing"]),
        ("run", run),
        ("run", ["run-get", "unknown-route", "run-get", "unknown-route"]),
        ("run", ["run-get-missing"]),
        ("all", ["rm-search", "rm-search"]),
        ("version", ["rm-get-missing", "rm-search"]),
        ("version", ["workspace-header"]),
        ("version", ["rm-get-before", "mv-get-missing"]),
    ]:
        yield bytes([question[kind]]) + BETWEEN.join(answers("server.jsonl", ids))
    # Texts that show up in errors.
    alias = {"alias": "a\nb\u001b[2J", "version": "1"}
    model = {"registered_model": {"name": "reg", "aliases": [alias]}}
    yield bytes([question["stage"]]) + json.dumps(model).encode()
    model["registered_model"]["latest_versions"] = [{"version": 2, "status": "READY"}]
    version = {"model_version": {"version": "2", "status": "a\nb"}}
    yield bytes([question["version"]]) + BETWEEN.join(json.dumps(said).encode() for said in (model, version))
    ready = {"model_version": {"version": "2"}}
    for place in ["", "models:/a\nb", "runs:/x\u0007/y", "models:/reg/2", "models:/reg/3", "file:///etc"]:
        said = (model, ready, {"artifact_uri": place})
        yield bytes([question["version"]]) + BETWEEN.join(json.dumps(part).encode() for part in said)


def artifact_listing():
    mlmodel = (GOLDEN / "models" / "onnx_tensor" / "MLmodel").read_bytes()

    def listing(*files):
        return json.dumps({"files": [dict(zip(("path", "is_dir", "file_size"), file)) for file in files]}).encode()

    small = b"flavors: {}\n"
    yield BETWEEN.join([listing(("MLmodel", False, len(small))), small])
    yield BETWEEN.join(
        [
            listing(("MLmodel", False, len(mlmodel)), ("model.onnx", False, 3), ("more", True)),
            listing(("a", False, 1), ("b", True)),
            listing(("c", False)),
            mlmodel,
            b"abc",
            b"x",
            b"",
        ]
    )
    for path in ["../x", "/etc/passwd", "a/b", ".", "..", "", "a\\b", "a\u0000b", "C:", "x" * 256]:
        yield BETWEEN.join([listing(("MLmodel", False, len(small)), (path, False, 1)), small, b"x"])
        yield BETWEEN.join([listing(("MLmodel", False, len(small)), (path, True)), listing(("x", False, 1)), small])
    for got in [small[:3], small + b"more"]:
        yield BETWEEN.join([listing(("MLmodel", False, len(small))), got])
    yield from answers("server.jsonl", ["art-list", "art-list-root", "art-list-missing", "art-list-escape"])


def compressed():
    """Of one and several gzip members, and zstd frames as they stand in a file, since Python writes none before 3.14."""
    plain = [b"", b"x", b'{"inputs": [[1, 2, 3, 4]]}' * 100, bytes(5000)]
    for text in plain:
        yield gzip.compress(text, mtime=0)
        yield gzip.compress(gzip.compress(text, mtime=0), mtime=0)
    yield b"".join(gzip.compress(text, mtime=0) for text in plain)
    empty = bytes.fromhex("28b52ffd240001000099e9d851")
    for frame in [empty, bytes.fromhex("28b52ffd04480900007823110483"), bytes.fromhex("502a4d1803000000616263")]:
        yield frame
        yield frame + empty
        yield gzip.compress(frame, mtime=0)


def model_uris():
    for text in ["models:/n/3", "models:/n/Production", "models:/n@a", "models:/n/latest", "models:/m-0123", "runs:/r/p/q"]:
        yield text.encode()


def native(*names):
    """Artifacts of small models, and of hostile ones, each as every entry of MLmodel that its target knows."""
    for name in names:
        for path in sorted((GOLDEN / "native").glob(f"**/{name}")):
            if path.stat().st_size < 60_000:
                for choice in range(3):
                    yield bytes([choice]) + path.read_bytes()


save("decode_json", (body(line) for line in lines(GOLDEN / "json.jsonl")))
save("decode_csv", (body(line) for line in lines(GOLDEN / "csv.jsonl")))
save("decode_parquet", (body(line) for line in lines(GOLDEN / "parquet.jsonl")))
save("expand", compressed())
save("mlmodel", (path.read_bytes() for path in sorted(GOLDEN.glob("models/*/MLmodel"))))
save("model_uri", model_uris())
save("onnx_walk", (path.read_bytes() for path in sorted(GOLDEN.glob("engines/*.onnx"))))
save("registry_answers", registry_answers())
save("artifact_listing", artifact_listing())
save("registry_yaml", (path.read_bytes() for path in sorted(MODELS.glob("*/registry.yaml"))))
save("native_xgboost", native("model.ubj", "model.json", "model.xgb"))
save("native_lightgbm", native("model.lgb", "model.skops"))
save("native_catboost", native("model.cb"))
save("native_sklearn", native("model.pkl", "model.skops"))
save(
    "native_onnx",
    (
        bytes([0]) + path.read_bytes()
        for folder in (GOLDEN / "native", GOLDEN / "engines", MODELS)
        for path in sorted(folder.glob("**/*.onnx"))
        if path.stat().st_size < 60_000
    ),
)
