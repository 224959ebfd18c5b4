"""Prints the rows of a Delta table as JSON lines, read by the Python package `deltalake`."""

import json
import os
import sys

import pyarrow as pa
from deltalake import DeltaTable

table = pa.table(DeltaTable(sys.argv[1]).to_pyarrow_table())
for batch in table.to_batches():
    for row in batch.to_pylist():
        print(json.dumps(row, default=str))
sys.stdout.flush()
# Threads of the reader that are still there at the end may bring the process down.
os._exit(0)
