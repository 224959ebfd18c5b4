"""Prints the rows of a Delta table as JSON lines, read by the Python package `deltalake`: a reader that is not ours.

    python read_delta.py TABLE [--count] [--columns a,b] [--version N]

`--count` prints `{"rows": …, "files": …, "version": …}` instead of the rows.
Needs the packages deltalake and pyarrow.
"""

import argparse
import base64
import datetime
import decimal
import json
import math
import sys

from deltalake import DeltaTable


def plain(value):
    """A value as JSON can hold it: times in ISO 8601, decimals as text, bytes in base64, no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [list(map(plain, inner)) if isinstance(inner, tuple) else plain(inner) for inner in value]
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--columns")
    parser.add_argument("--version", type=int)
    arguments = parser.parse_args()

    table = DeltaTable(arguments.table, version=arguments.version)
    columns = arguments.columns.split(",") if arguments.columns else None
    dataset = table.to_pyarrow_dataset()
    if arguments.count:
        files = len(table.file_uris())
        print(json.dumps({"rows": dataset.count_rows(), "files": files, "version": table.version()}))
        return
    for batch in dataset.to_batches(columns=columns):
        for row in batch.to_pylist():
            sys.stdout.write(json.dumps(plain(row), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
