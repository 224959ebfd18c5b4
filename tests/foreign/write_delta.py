"""Writes JSON lines from standard input into a Delta table by the Python package `deltalake`: the table, `append` or `overwrite`, then partition columns.

With `update` or `delete` instead it changes the rows for which the last argument holds; `update` takes a column and an SQL expression before it.
"""

import json
import os
import sys

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

place, mode, *rest = sys.argv[1:]
if mode == "update":
    column, value, predicate = rest
    DeltaTable(place).update(updates={column: value}, predicate=predicate)
elif mode == "delete":
    DeltaTable(place).delete(rest[0])
elif mode == "optimize":
    DeltaTable(place).optimize.compact()
elif mode == "vacuum":
    DeltaTable(place).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
else:
    rows = pa.Table.from_pylist([json.loads(line) for line in sys.stdin])
    evolve = {"schema_mode": "merge"} if mode == "append" else {"schema_mode": "overwrite"}
    write_deltalake(place, rows, mode=mode, partition_by=rest or None, **evolve)
sys.stdout.flush()
os._exit(0)
