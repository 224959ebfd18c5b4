"""Prints the column `n` of a Delta table in the tests' S3 store, read by the Python package `deltalake`."""

import json
import os
import sys

import pyarrow as pa
from deltalake import DeltaTable

options = {
    "AWS_ENDPOINT_URL": os.environ["WASMILL_TEST_S3"],
    "AWS_ALLOW_HTTP": "true",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": os.environ["WASMILL_TEST_S3_ACCESS_KEY"],
    "AWS_SECRET_ACCESS_KEY": os.environ["WASMILL_TEST_S3_SECRET_KEY"],
}
numbers = pa.table(DeltaTable(sys.argv[1], storage_options=options).to_pyarrow_table())["n"].to_pylist()
print(json.dumps(numbers), flush=True)
# Threads of the reader that are still there at the end may bring the process down.
os._exit(0)
