"""Reads the record of predictions that tests/it/live/records.rs wrote, and compares it with what that made.

Usage: records.py DIR ROWS. Says `same`, or fails with what differs.
"""

import json
import sys
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

folder, count = sys.argv[1], int(sys.argv[2])
BATCH = 10

# Folders that are partitions become columns, as every reader of such folders has them.
table = ds.dataset(folder, format="parquet", partitioning="hive").to_table()
table = table.sort_by([("time", "ascending"), ("row", "ascending")])
assert table.num_rows == count, table.num_rows

types = {
    "row": pa.int32(),
    "time": pa.timestamp("us", tz="UTC"),
    "route": pa.string(),
    "variant": pa.string(),
    "shadow": pa.bool_(),
    "rows": pa.int32(),
    "routing_key": pa.string(),
    "total_us": pa.float64(),
    "in.bool": pa.bool_(),
    "in.i8": pa.int8(),
    "in.u8": pa.uint8(),
    "in.i16": pa.int16(),
    "in.u16": pa.uint16(),
    "in.i32": pa.int32(),
    "in.u32": pa.uint32(),
    "in.i64": pa.int64(),
    "in.u64": pa.uint64(),
    "in.f32": pa.float32(),
    "in.f64": pa.float64(),
    "in.text é": pa.string(),
    "in.moment": pa.timestamp("ns"),
    "in.list": pa.list_(pa.field("element", pa.float32())),
    "out": pa.float64(),
}
for name, wanted in types.items():
    found = table.schema.field(name).type
    assert found == wanted, f"{name}: {found} for {wanted}"

row = np.arange(count, dtype=np.int64)
prediction = row // BATCH


def same(name, wanted):
    """Compares a column with an array of NumPy: its values and its missing ones."""
    column = table.column(name).combine_chunks()
    wanted = pa.array(wanted, type=column.type) if not isinstance(wanted, pa.Array) else wanted
    assert column.null_count == wanted.null_count, f"{name}: {column.null_count} nulls for {wanted.null_count}"
    got, wanted = column.to_numpy(zero_copy_only=False), wanted.to_numpy(zero_copy_only=False)
    np.testing.assert_array_equal(got, wanted, err_msg=name)


same("row", row % BATCH)
same("time", 1_700_000_000_000_000 + prediction * 1_001)
same("shadow", prediction % 10 == 0)
same("variant", np.where(prediction % 2 == 0, "a", "b").tolist())
same("routing_key", [f"user {p}" if p % 4 == 0 else None for p in prediction])
same("total_us", prediction / 1e3)
same("in.bool", row % 3 == 0)
same("in.i8", (row % 256).astype(np.uint8).view(np.int8))
same("in.u8", (row % 256).astype(np.uint8))
same("in.i16", (row % 65_536).astype(np.uint16).view(np.int16))
same("in.u16", (row % 65_536).astype(np.uint16))
same("in.i32", (row - 50_000).astype(np.int32))
same("in.u32", (2**32 - 1 - row).astype(np.uint32))
same("in.i64", np.iinfo(np.int64).min + row)
same("in.u64", np.uint64(2**64 - 1) - row.astype(np.uint64))
same("in.f32", row.astype(np.float32) / np.float32(3))
thirds = row / 3.0
thirds[row % 7 == 0] = np.nan
same("in.f64", pa.array(thirds, from_pandas=False))
same("in.text é", [f"käse {r}" for r in row])
moments = np.where(row % 5 == 0, np.datetime64("NaT", "ns"), (1_700_000_000_123_456_789 + row).astype("datetime64[ns]"))
same("in.moment", pa.array(moments, type=pa.timestamp("ns")))
same("out", row * 0.1)

lists = np.stack([row.astype(np.float32) / 4, -row.astype(np.float32), np.full(count, np.nan, np.float32)], axis=1)
found = table.column("in.list").combine_chunks()
assert (np.diff(found.offsets.to_numpy()) == 3).all()
np.testing.assert_array_equal(found.values.to_numpy(zero_copy_only=False).reshape(-1, 3), lists)

for r, text in zip(row.tolist(), table.column("in.object").to_pylist(), strict=True):
    wanted = (None, f"t{r}", [r, None])[r % 3]
    assert (text if text is None else json.loads(text)) == wanted, (r, text)

ids = table.column("prediction_id").to_pylist()
for p, found in zip(prediction.tolist(), ids, strict=True):
    number = found.int if isinstance(found, uuid.UUID) else int.from_bytes(found, "big")
    assert number == p << 64 | 7, (p, found)

# The whole folder at once, as people read it: partitions are columns too.
frame = pd.read_parquet(folder)
assert len(frame) == count and set(frame["model"]) == {"my model"}, frame
assert [str(version) for version in set(frame["version"])] == ["12"]

feedback = pd.read_parquet(f"{folder}/_feedback")
assert feedback.loc[0, "kind"] == "reward" and json.loads(feedback.loc[0, "value"]) == 0.5, feedback
print("same")
