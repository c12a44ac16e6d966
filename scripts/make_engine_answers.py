#!/usr/bin/env python3
"""Records what onnxruntime in Python answers for ONNX graphs: `tests/golden/engines/`.

usage: .venv/bin/python scripts/make_engine_answers.py      (set up as scripts/make_models.py says; takes seconds)

Makes small graphs, one for each thing a graph can take or give (every element type, several inputs and outputs, maps,
lists, free extents, a default input), and runs them and all ONNX models of `tests/golden/models` and `models`.

`<model>.json` holds the model's path and its cases: what is fed, and the answer in the shape MLflow's wrapper gives it
(`mlflow/onnx/__init__.py`), or the sensible one where that fails. A tensor is `{"dtype", "shape", "data"}`, data
row-major; floats that JSON has not are the texts `nan`, `inf`, `-inf`.
"""

import json
import math
import os
import pathlib
import sys

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "golden" / "engines"
OPSET = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]

# === graphs ===

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
value = helper.make_tensor_value_info


def save(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=OPSET, producer_name="modelsd", ir_version=8)
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    return f"tests/golden/engines/{name}.onnx"


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs, outputs, **attributes)


# === tensors as JSON ===


def number(x):
    if isinstance(x, (bool, int, str)) or x is None:
        return x
    if isinstance(x, dict):
        return {str(key): number(item) for key, item in x.items()}
    if isinstance(x, np.ndarray):
        return tensor(x)
    x = float(x)
    return x if math.isfinite(x) else str(x)


def tensor(array, dtype=None):
    array = np.asarray(array)
    if dtype is None:
        dtype = {"O": "object", "U": "str", "T": "str"}.get(array.dtype.kind, array.dtype.name)
    if array.dtype.name in ("float16", "bfloat16"):
        data = array.astype(np.float32)
    else:
        data = array
    return {"dtype": dtype, "shape": list(array.shape), "data": [number(x) for x in data.reshape(-1).tolist()]}


# === cases ===


def answer(session, feeds, framed):
    """The outputs as MLflow shapes them."""
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(names, feeds)
    arrays = []
    for output in outputs:
        if isinstance(output, list):  # maps or tensors
            array = np.empty(len(output), dtype=object)
            array[:] = output
        else:
            array = np.asarray(output)
            if array.dtype == object:
                array = np.array([str(x) for x in array.reshape(-1)], dtype=object).reshape(array.shape)
        arrays.append((array, "str" if isinstance(output, np.ndarray) and output.dtype == object else None))
    if not framed:
        return {"named": [[name, tensor(array, kind)] for name, (array, kind) in zip(names, arrays)]}
    sizes = {array.size for array, _ in arrays}
    if len(sizes) == 1:
        columns = [array.reshape(-1) for array, _ in arrays]
    else:  # MLflow fails: rows are those of axis 0
        rows = {array.shape[0] for array, _ in arrays if array.ndim}
        assert len(rows) == 1, rows
        columns = [array if array.ndim else np.repeat(array, rows.copy().pop()) for array, _ in arrays]
    return {"frame": [[name, tensor(column, kind)] for name, column, (_, kind) in zip(names, columns, arrays)]}


class Cases:
    """The cases of one model."""

    def __init__(self, name, path):
        self.name, self.path, self.cases = name, path, []
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(ROOT / path), options, providers=["CPUExecutionProvider"])
        self.inputs = self.session.get_inputs()

    def add(self, case, feed, feeds, framed):
        self.cases.append({"case": case, "feed": feed, "answer": answer(self.session, feeds, framed)})

    def array(self, case, sent, fed=None):
        fed = sent if fed is None else fed
        self.add(case, {"array": tensor(sent)}, {self.inputs[0].name: fed}, False)

    def named(self, case, sent, fed=None):
        fed = sent if fed is None else fed
        self.add(case, {"named": [[name, tensor(array)] for name, array in sent.items()]}, fed, False)

    def matrix(self, case, names, sent, fed=None):
        fed = sent if fed is None else fed
        self.add(case, {"names": names, "matrix": tensor(sent)}, {self.inputs[0].name: fed}, True)

    def columns(self, case, sent, fed):
        feed = {"names": list(sent), "columns": [tensor(column) for column in sent.values()]}
        self.add(case, feed, fed, True)

    def write(self):
        text = json.dumps({"model": self.path, "cases": self.cases}, indent=None, ensure_ascii=False)
        text = text.replace('{"case"', '\n{"case"') + "\n"
        (OUT / f"{self.name}.json").write_text(text, encoding="utf-8")
        print(f"{self.name}: {len(self.cases)} cases")


def numbers(rows, width, seed):
    """The same numbers everywhere: a small linear congruence, as generators change between versions of NumPy."""
    state, found = seed, []
    for _ in range(rows * width):
        state = (state * 1103515245 + 12345) % 2**31
        found.append(state / 2**31 * 8 - 1)
    return np.array(found, dtype=np.float64).reshape(rows, width)


# === small graphs ===

TYPES = {
    "bool": (TensorProto.BOOL, np.bool_, [True, False, True]),
    "int8": (TensorProto.INT8, np.int8, [-128, 0, 127]),
    "int16": (TensorProto.INT16, np.int16, [-32768, 0, 32767]),
    "int32": (TensorProto.INT32, np.int32, [-(2**31), 0, 2**31 - 1]),
    "int64": (INT64, np.int64, [-(2**63), 0, 2**63 - 1]),
    "uint8": (TensorProto.UINT8, np.uint8, [0, 1, 255]),
    "uint16": (TensorProto.UINT16, np.uint16, [0, 1, 65535]),
    "uint32": (TensorProto.UINT32, np.uint32, [0, 1, 2**32 - 1]),
    "uint64": (TensorProto.UINT64, np.uint64, [0, 1, 2**64 - 1]),
    "float16": (TensorProto.FLOAT16, np.float16, [0.1, -65504.0, math.inf]),
    "float": (FLOAT, np.float32, [0.1, -3.4e38, math.nan]),
    "double": (TensorProto.DOUBLE, np.float64, [0.1, -1.7e308, -math.inf]),
}


def element_types():
    for name, (kind, dtype, sample) in TYPES.items():
        path = save(
            f"identity_{name}", [node("Identity", ["x"], ["y"])], [value("x", kind, ["N"])], [value("y", kind, ["N"])]
        )
        cases = Cases(f"identity_{name}", path)
        sample = np.array(sample, dtype=dtype)
        cases.array("array", sample)
        cases.array("empty", sample[:0])
        cases.named("named", {"x": sample})
        if np.issubdtype(dtype, np.floating):
            whole = np.array([1, 2, -3], dtype=np.int64)
            cases.array("integers", whole, whole.astype(dtype))
            cases.array("booleans", np.array([True, False]), np.array([1, 0], dtype=dtype))
            double = np.array([0.1, 2.5, -7.0])
            cases.array("doubles", double, double.astype(dtype))
            cases.array("floats", double.astype(np.float32), double.astype(np.float32).astype(dtype))
        elif np.issubdtype(dtype, np.integer):
            small = np.array([0, 1, 100])
            cases.array("int64", small, small.astype(dtype))
            cases.array("uint8", small.astype(np.uint8), small.astype(dtype))
            cases.array("booleans", np.array([True, False]), np.array([1, 0], dtype=dtype))
        cases.write()

    path = save(
        "identity_string", [node("Identity", ["x"], ["y"])], [value("x", STRING, ["N"])], [value("y", STRING, ["N"])]
    )
    cases = Cases("identity_string", path)
    texts = np.array(["", "007", "pé", "日本"], dtype=object)
    as_text = {"dtype": "str", "shape": [4], "data": texts.tolist()}
    cases.add("array", {"array": as_text}, {"x": texts}, False)
    objects = np.array([None, 7, 2.5, math.nan, True, "x", 1e16, 1e-05, 2.0], dtype=object)
    cases.add("objects", {"array": tensor(objects)}, {"x": objects}, False)
    cases.write()

    # onnxruntime in Python takes no bfloat16 arrays, so the answers are rounded here.
    path = save(
        "identity_bfloat16",
        [node("Identity", ["x"], ["y"])],
        [value("x", TensorProto.BFLOAT16, ["N"])],
        [value("y", TensorProto.BFLOAT16, ["N"])],
    )
    cases = Cases("identity_bfloat16", path)
    for case, sent in {"doubles": np.array([0.1, -3.0, 1e30]), "integers": np.array([1, 257, -2])}.items():
        rounded = sent.astype(ml_dtypes.bfloat16).astype(np.float32)
        answered = {"named": [["y", tensor(rounded)]]}
        cases.cases.append({"case": case, "feed": {"array": tensor(sent)}, "answer": answered})
    cases.write()

    half = TensorProto.FLOAT16
    path = save(
        "half_sum",
        [node("Add", ["x", "one"], ["y"]), node("Cast", ["x"], ["z"], to=FLOAT)],
        [value("x", half, ["N", 3])],
        [value("y", half, ["N", 3]), value("z", FLOAT, ["N", 3])],
        [numpy_helper.from_array(np.ones(3, dtype=np.float16), "one")],
    )
    cases = Cases("half_sum", path)
    rows = numbers(4, 3, 5)
    cases.matrix("frame", ["a", "b", "c"], rows, rows.astype(np.float16))
    cases.write()


def shapes():
    path = save(
        "columns",
        [node("Concat", ["a", "b", "c"], ["joined"], axis=1), node("ReduceSum", ["joined", "one"], ["sum"], keepdims=0)],
        [value(name, FLOAT, [None, 1]) for name in "abc"],
        [value("joined", FLOAT, [None, 3]), value("sum", FLOAT, [None])],
        [numpy_helper.from_array(np.array([1], dtype=np.int64), "one")],
    )
    cases = Cases("columns", path)
    rows = numbers(3, 3, 1)
    fed = {name: rows[:, [at]].astype(np.float32) for at, name in enumerate("abc")}
    cases.columns("frame of columns", {name: rows[:, at] for at, name in enumerate("abc")}, fed)
    cases.add("frame of a matrix", {"names": list("cab"), "matrix": tensor(rows[:, [2, 0, 1]])}, fed, True)
    mixed = {"a": np.array([1, 2]), "b": np.array([True, False]), "c": np.array([0.5, 1.5])}
    cases.columns("mixed", mixed, {name: x.astype(np.float32).reshape(-1, 1) for name, x in mixed.items()})
    cases.named("named", {name: x for name, x in fed.items()})
    cases.write()

    path = save(
        "one_input",
        [node("ReduceSum", ["x", "one"], ["y"], keepdims=0)],
        [value("x", FLOAT, ["N", 3])],
        [value("y", FLOAT, ["N"])],
        [numpy_helper.from_array(np.array([1], dtype=np.int64), "one")],
    )
    cases = Cases("one_input", path)
    mixed = {"p": np.array([1, 2]), "q": np.array([True, False]), "r": np.array([0.5, 1.5])}
    cases.columns("mixed columns", mixed, {"x": np.array([[1, 1, 0.5], [2, 0, 1.5]], dtype=np.float32)})
    whole = np.array([[1, 2, 3]])
    cases.array("whole numbers", whole, whole.astype(np.float32))
    cases.matrix("no rows", ["p", "q", "r"], np.zeros((0, 3)), np.zeros((0, 3), dtype=np.float32))
    cases.write()

    path = save(
        "scalar_and_rows",
        [node("ReduceSum", ["x"], ["total"], keepdims=0), node("Identity", ["x"], ["rows"])],
        [value("x", FLOAT, ["N", 2])],
        [value("total", FLOAT, []), value("rows", FLOAT, ["N", 2])],
    )
    cases = Cases("scalar_and_rows", path)
    rows = numbers(2, 2, 3).astype(np.float32)
    cases.matrix("frame", ["a", "b"], rows)
    cases.array("array", rows)
    cases.write()

    path = save(
        "free_extents",
        [node("ReduceMean", ["x"], ["y"], axes=[2], keepdims=0)],
        [value("x", FLOAT, ["N", 2, "M"])],
        [value("y", FLOAT, ["N", 2])],
    )
    cases = Cases("free_extents", path)
    for rows, extent in ((1, 1), (3, 5), (2, 7)):
        cases.array(f"{rows} by {extent}", numbers(rows, 2 * extent, 9).astype(np.float32).reshape(rows, 2, extent))
    cases.write()

    default = helper.make_tensor("scale", FLOAT, [1], [2.0])
    path = save(
        "default_input",
        [node("Mul", ["x", "scale"], ["y"])],
        [value("x", FLOAT, ["N"]), value("scale", FLOAT, [1])],
        [value("y", FLOAT, ["N"])],
        [default],
    )
    cases = Cases("default_input", path)
    cases.array("array", np.array([1.5, -2.0], dtype=np.float32))
    cases.write()

    sequence = helper.make_tensor_sequence_value_info("parts", FLOAT, None)
    path = save(
        "list_of_tensors",
        [node("SplitToSequence", ["x", "one"], ["parts"], axis=0)],
        [value("x", FLOAT, ["N", 2])],
        [sequence],
        [numpy_helper.from_array(np.array(1, dtype=np.int64), "one")],
    )
    cases = Cases("list_of_tensors", path)
    cases.array("array", numbers(3, 2, 4).astype(np.float32))
    cases.write()

    maps = helper.make_value_info(
        "scores",
        helper.make_sequence_type_proto(
            helper.make_map_type_proto(STRING, helper.make_tensor_type_proto(FLOAT, None))
        ),
    )
    path = save(
        "text_maps",
        [node("ZipMap", ["x"], ["scores"], domain="ai.onnx.ml", classlabels_strings=["no", "é", "yes"])],
        [value("x", FLOAT, ["N", 3])],
        [maps],
    )
    cases = Cases("text_maps", path)
    rows = numbers(2, 3, 6).astype(np.float32)
    cases.matrix("frame", ["a", "b", "c"], rows)
    cases.array("array", rows)
    cases.write()

    # A contrib operator whose name tract knows from elsewhere: it must refuse, not compute something else.
    graph = helper.make_graph(
        [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")],
        "contrib",
        [value("x", FLOAT, ["N"])],
        [value("y", FLOAT, ["N"])],
    )
    opsets = [*OPSET, helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="modelsd", ir_version=8)
    (OUT / "contrib.onnx").write_bytes(model.SerializeToString(deterministic=True))
    cases = Cases("contrib", "tests/golden/engines/contrib.onnx")
    cases.array("array", np.array([-1.0, 0.0, 2.0], dtype=np.float32))
    cases.write()


# === whole models ===


def whole_models():
    found = sorted((ROOT / "tests/golden/models").glob("onnx_*/model.onnx")) + sorted(ROOT.glob("models/*/*/model.onnx"))
    for path in found:
        relative = path.relative_to(ROOT)
        bundled = relative.parts[0] == "models"
        name = "_".join(relative.parts[1:3]) if bundled else relative.parts[3]
        cases = Cases(name, str(relative))
        if name == "onnx_multi":
            sent = {
                "x": np.array([1.5, 2.5], dtype=np.float32),
                "n": np.array([2, 3]),
                "s": np.array(["p", "q é"], dtype=object),
                "b": np.array([True, False]),
                "d": np.array([0.1, math.nan]),
            }
            cases.columns("frame", sent, dict(sent))
            sent["s"] = np.array([7, None], dtype=object)
            cases.columns("objects", sent, dict(sent))
        elif name == "onnx_two_tensors":
            a, b = numbers(2, 6, 2).astype(np.float32).reshape(2, 2, 3), numbers(3, 2, 8).astype(np.float32)
            cases.named("named", {"A": a, "B": b})
            cases.named("doubles", {"B": b.astype(np.float64), "A": a.astype(np.float64)}, {"A": a, "B": b})
        else:
            shape = [extent for extent in cases.inputs[0].shape[1:]]
            width = math.prod(shape)
            for rows in (1, 2, 7, 32):
                sent = np.abs(numbers(rows, width, rows)).reshape([rows, *shape])
                fed = sent.astype(np.float32)
                cases.array(f"{rows} rows, array", sent, fed)
                if len(shape) == 1:
                    names = [f"c{at}" for at in range(width)]
                    cases.matrix(f"{rows} rows, frame", names, sent, fed)
            if len(shape) == 1:
                cases.matrix("float32 frame", [f"c{at}" for at in range(width)], fed)
                cases.matrix("no rows", [f"c{at}" for at in range(width)], sent[:0], fed[:0])
                whole = np.arange(width).reshape(1, width)
                cases.array("whole numbers", whole, whole.astype(np.float32))
        cases.write()


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in [*OUT.glob("*.json"), *OUT.glob("*.onnx")]:
        old.unlink()
    element_types()
    shapes()
    whole_models()
    print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
