"""Prints the rows of a Delta table as JSON lines, read by the Python package `deltalake`."""

import json
import sys

import pyarrow as pa
from deltalake import DeltaTable

table = pa.table(DeltaTable(sys.argv[1]).to_pyarrow_table())
for batch in table.to_batches():
    for row in batch.to_pylist():
        print(json.dumps(row, default=str))
