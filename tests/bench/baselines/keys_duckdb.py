"""Count, mean and median of every key with DuckDB, into Parquet (zstd).

Usage: keys_duckdb.py <in.jsonl or in.parquet> <out.parquet>
"""

import sys

import duckdb


def main() -> None:
    source, target = sys.argv[1:]
    rows = repr(source)
    if not source.endswith(".parquet"):
        rows = f"read_json({rows}, format = 'newline_delimited', columns = {{key: 'BIGINT', value: 'DOUBLE'}})"
    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET preserve_insertion_order = false")
    results = f"SELECT key, count(*) AS n, avg(value) AS mean, median(value) AS median FROM {rows} GROUP BY key"
    connection.execute(f"COPY ({results}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")


main()
