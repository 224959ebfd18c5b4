"""Prints the rows of the CSV files of a folder and its partitions as JSON lines, read by DuckDB: every value is a text, or null where nothing is written."""

import json
import os
import sys

import duckdb

folder = sys.argv[1]
files = []
for place, folders, names in os.walk(folder):
    folders[:] = [name for name in folders if not name.startswith((".", "_"))]
    files += [os.path.join(place, name) for name in names if name.endswith(".csv")]
if files:
    options = "header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, hive_partitioning = false"
    cursor = duckdb.connect(":memory:").execute(f"SELECT * FROM read_csv(?, {options})", [sorted(files)])
    names = [column[0] for column in cursor.description]
    for row in cursor.fetchall():
        print(json.dumps(dict(zip(names, row))))
