"""Prints json.jsonl: generated JSON requests for signatures of many kinds, and what MLflow 3.18 makes of them.

usage: PYTHONHASHSEED=0 make_json.py [DIR]
DIR is where the wheel of mlflow 3.18.0 is unpacked, if an older MLflow is installed: two of its modules are used then.
Left out are answers that hang on an accident: the order of a Python set, and NumPy's arrays without axes in cells.
"""
import importlib.util
import json
import logging
import random
import re
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
import mlflow.models
import mlflow.pyfunc as pyfunc
import mlflow.pyfunc.scoring_server as server
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.types import ParamSchema, Schema

if len(sys.argv) > 1:
    def module(name, path):
        spec = importlib.util.spec_from_file_location(name, f"{sys.argv[1]}/{path}")
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded
        spec.loader.exec_module(loaded)
        return loaded
    utils = mlflow.models.utils = module("mlflow.models.utils", "mlflow/models/utils.py")
    casts = module("mlflow.utils.proto_json_utils", "mlflow/utils/proto_json_utils.py")
    for name in ("dataframe_from_parsed_json", "parse_tf_serving_input", "MlflowInvalidInputException"):
        setattr(server, name, getattr(casts, name))
    pyfunc._enforce_schema = utils._enforce_schema
    pyfunc._enforce_params_schema = utils._enforce_params_schema

random.seed(20261121)
PAIRS = 900


def describe(x):
    if isinstance(x, pd.DataFrame):
        columns = [{"name": c if isinstance(c, str) else int(c), "dtype": str(x[c].dtype),
                    "values": [repr(v) for v in x[c]]} for c in x.columns]
        return {"type": "DataFrame", "index": [str(i) for i in range(len(x.index))], "columns": columns}
    if isinstance(x, np.ndarray):
        return {"type": "ndarray", "dtype": re.sub(r"<U\d+", "<U", str(x.dtype)), "shape": list(x.shape),
                "values": repr(x.tolist())}
    if isinstance(x, dict):
        return {"type": "dict", "items": {str(k): describe(v) for k, v in x.items()}}
    if isinstance(x, list):
        return {"type": "list", "items": [describe(v) for v in x]}
    return {"type": type(x).__name__, "value": repr(x)}


def core(m):
    if "Failed to enforce schema of data" in m and "' with schema '" in m:
        return m.split("'. Error: ", 1)[-1] if "Hint" in m else m.rsplit("Error: ", 1)[-1]
    if m.startswith("Failed to predict data"):
        return m.split("\nError: ", 1)[-1]
    return m.split("\nInput: \n")[0].split(". IMPORTANT: The MLflow Model scoring protocol")[0]


class Metadata:
    def __init__(self, params):
        self.params = params

    def get_params_schema(self):
        return self.params


def answer(body, inputs, params):
    schema = Schema.from_json(inputs) if inputs else None
    params = ParamSchema.from_json(params) if params else None
    try:
        parsed = server._parse_json_data(body.encode(), Metadata(params), schema)
        try:
            data, used = pyfunc._validate_prediction_input(parsed.data, parsed.params, schema, params)
        except MlflowException as e:
            e.message = f"Failed to predict data '{parsed.data}'. \nError: {e.message}"
            raise
    except MlflowException as e:
        told = json.loads(e.serialize_as_json())
        return {"error": {"error_code": told["error_code"], "error_class": told["error_class"],
                          "message_core": core(told["message"])}}
    found = {"ok": describe(data), "bare": parsed.is_unified_llm_input}
    return {**found, "used": sorted(f"{k}={v!r}" for k, v in used.items())} if params else found


def column(kind, name="", required=True, **more):
    return {"type": kind, **({"name": name} if name else {}), "required": required, **more}


def tensor(dtype, *shape, name=None):
    spec = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}
    return {"name": name, **spec} if name else spec


NESTED = [column("array", "a", False, items={"type": "double"}), column("any", "b", False),
          column("map", "c", False, values={"type": "long"}),
          column("object", "d", False, properties={"k": {"type": "string", "required": False},
                                                   "v": {"type": "double", "required": False}})]
SIGNATURES = [None, [column("double", "a"), column("double", "b")],
              [column("boolean", "a", False), column("integer", "b", False), column("string", "c", False),
               column("float", "d", False)],
              [column("long", "a"), column("binary", "b", False), column("datetime", "c", False)],
              [column("string", "a")], [column("double", "a")], [column("boolean", "a")], [column("datetime", "a")],
              NESTED, [column("double"), column("long")], [column("double"), column("double")],
              [tensor("float32", -1, 2)], [tensor("int64", -1)], [tensor("str", -1, 1)], [tensor("object", -1)],
              [tensor("bool", -1, -1)], [tensor("uint8", -1, 2)], [tensor("float64", -1, 2, name="a")],
              [tensor("int32", -1, name="a"), tensor("float32", -1, 2, name="b")]]
PARAMS = json.dumps([{"name": "n", "default": 2, "shape": None, "type": "long"},
                     {"name": "f", "default": 0.5, "shape": None, "type": "float"},
                     {"name": "s", "default": "x", "shape": None, "type": "string"},
                     {"name": "l", "default": [1.0], "shape": [-1], "type": "double"}])
CELLS = """1 2 0 -3 1.5 2.0 -0.0 true false null "x" "7" "1.5" "true" "" "aGk=" "2024-01-02" "2024-01-02T03:04:05"
    3000000000 9223372036854775808 1e300 NaN Infinity [1,2] [1.5] ["p"] [] {"k":"a"} {"k":1} {"x":1} {} [[1,2]] [null] "é"
    1e-7 123456789012345680000000""".split()
KINDS = [["1", "2", "-3", "0"], ["1", "1.5", "3000000000", "16777217"], ["1", "2.5", "null"], ["true", "false"],
         ["true", "false", "null"], ['"x"', '"7"', '""'], ['"x"', "null"], ["[1.5, 2]", "[3, 4]", "[5, 6.5]"],
         ['"2024-01-02"', '"2024-03-04"', "null"], CELLS, CELLS]


def listed(items):
    return f"[{', '.join(items)}]"


def request():
    rows, width = random.choice([0, 1, 2, 2, 3]), random.choice([1, 1, 2, 2, 3, 4])
    names = random.choice(["abcd", "dcba", "axbc"])
    columns = [[random.choice(kind) for _ in range(rows)] for kind in (random.choice(KINDS) for _ in range(width))]
    cells = [[column[row] for column in columns] for row in range(rows)]

    def record(row):
        members = [f'"{name}": {cell}' for name, cell in zip(names, row)]
        if random.random() < 0.15:
            members.pop(random.randrange(len(members)))
        return "{" + ", ".join(members) + "}"

    lists, records = listed(listed(row) for row in cells), listed(record(row) for row in cells)
    by_name = "{" + ", ".join(f'"{name}": {listed(column)}' for name, column in zip(names, columns)) + "}"
    labels = listed(f'"{name}"' for name in names[:width])
    body = random.choice([f'"dataframe_split": {{"columns": {labels}, "data": {lists}}}'] * 3
                         + [f'"dataframe_split": {{"data": {lists}}}', f'"inputs": {lists}', f'"inputs": {by_name}',
                            f'"inputs": {records}', f'"inputs": {listed(columns[0])}', f'"inputs": {random.choice(CELLS)}',
                            f'"instances": {lists}', f'"instances": {records}', f'"prompt": {random.choice(CELLS)}',
                            f'"dataframe_records": {records}', f'"dataframe_records": {records}'])
    if random.random() < 0.3:
        cell = random.choice(CELLS)
        body += ', "params": ' + random.choice(["null", "[1]", f'{{"n": {cell}}}', f'{{"f": {cell}}}', f'{{"s": {cell}}}',
                                                f'{{"l": {cell}}}'])
    return "{" + body + "}"


def accident(found, signature):
    text = json.dumps(found)
    unnamed = signature and "tensor-spec" in signature[0] and "name" not in signature[0]
    # The columns of a table are a set where one tensor stands for all of them.
    if unnamed and "Failed to convert column" in text:
        return True
    extra = re.search(r"extra inputs: \[([^\]]*)\]", text)
    return (extra and "," in extra[1]) or "array(" in text or "unsized object" in text or "properties" in text


made = 0
while made < PAIRS:
    signature, params, body = random.choice(SIGNATURES), PARAMS if random.random() < 0.3 else None, request()
    inputs = json.dumps(signature) if signature else None
    found = answer(body, inputs, params)
    if "error" in found and random.random() < 0.6:
        continue
    if not accident(found, signature):
        made += 1
        print(json.dumps({"id": made, "inputs": inputs, "params": params, "body": body, **found}))
