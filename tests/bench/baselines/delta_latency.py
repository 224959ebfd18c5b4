"""How long after the moment in `ind` (microseconds since 1970) each row of a Delta table became visible: when the log entry that adds its file was
put. Prints rows, p50 and p99 in milliseconds, without the rows of the first seconds."""

import json
import os
import sys
from pathlib import Path

import pyarrow as arrow
from pyarrow import compute, parquet

table, skip = Path(sys.argv[1]), float(sys.argv[2])
moments, late = [], []
for entry in sorted((table / "_delta_log").glob("*.json")):
    added = [action["add"]["path"] for action in map(json.loads, entry.read_text().splitlines()) if "add" in action]
    visible = arrow.scalar(entry.stat().st_mtime_ns // 1000, arrow.int64())
    for path in added:
        column = parquet.read_table(table / path, columns=["ind"])["ind"].combine_chunks()
        moments.append(column)
        late.append(compute.subtract(visible, column))
moments, late = arrow.chunked_array(moments), arrow.chunked_array(late)
begun = compute.min(moments).as_py()
steady = late.filter(compute.greater_equal(moments, begun + int(skip * 1e6)))
p50, p99 = (value.as_py() / 1000 for value in compute.quantile(steady, q=[0.5, 0.99]))
print(json.dumps([len(moments), p50, p99]), flush=True)
os._exit(0)
