"""The eight analyses with DuckDB: cleaned posts, places and people in Parquet are freed of duplicates and joined; each result is a Parquet file.

Usage: analyses_duckdb.py <folder of pin_table, geo_table, user_table> <out folder>
"""

import sys

import duckdb

from analyses_queries import queries


def main() -> None:
    source, target = sys.argv[1:]
    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
    for table in ("pin", "geo", "user"):
        connection.execute(f"CREATE VIEW {table} AS SELECT DISTINCT ON (ind) * FROM read_parquet('{source}/{table}_table/*.parquet')")
    connection.execute('CREATE VIEW joined AS SELECT * FROM pin JOIN geo USING (ind) JOIN "user" USING (ind)')
    for name, query in queries().items():
        if name == "posts":
            connection.execute(f"CREATE TABLE posts AS {query}")
        else:
            connection.execute(f"COPY ({query}) TO '{target}/{name}.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")


main()
