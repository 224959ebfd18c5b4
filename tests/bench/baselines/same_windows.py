"""Checks the counts and sums of windows in a Delta table against DuckDB over the lines that were sent, and that another table has these lines.

Usage: same_windows.py <in.jsonl> <table of windows> <table of rows>
"""

import sys

import duckdb
from deltalake import DeltaTable

EXPECTED = """
SELECT key, time_bucket(INTERVAL 10 SECONDS, time) + INTERVAL 10 SECONDS AS window_end, count(*) AS n, sum(value) AS total
FROM rows GROUP BY ALL
"""


def main() -> None:
    lines, windows, rows = sys.argv[1:]
    connection = duckdb.connect()

    def only(query: str) -> tuple:
        return connection.execute(query).fetchall()[0]

    connection.execute("SET TimeZone = 'UTC'")
    connection.register("windows_table", DeltaTable(windows).to_pyarrow_table())
    connection.register("rows_table", DeltaTable(rows).to_pyarrow_table())
    columns = "{key: 'BIGINT', value: 'DOUBLE', time: 'TIMESTAMP'}"
    connection.execute(f"CREATE TABLE rows AS SELECT * FROM read_json('{lines}', format = 'newline_delimited', columns = {columns})")
    connection.execute("CREATE TABLE windows AS SELECT key, window_end::TIMESTAMP AS window_end, n, total FROM windows_table")
    connection.execute(f"CREATE TABLE expected AS SELECT * FROM ({EXPECTED}) WHERE window_end <= (SELECT max(window_end) FROM windows)")
    found, expected, all_rows = only("SELECT (SELECT count(*) FROM windows), (SELECT count(*) FROM expected), (SELECT sum(n) FROM expected)")
    same = "SELECT count(*) FROM windows w JOIN expected e USING (key, window_end) WHERE w.n = e.n AND abs(w.total - e.total) <= 1e-12 * abs(e.total)"
    if not only(same)[0] == found == expected:
        sys.exit(f"{windows} has {found} windows of keys and {expected} are expected, or some differ")
    sent = only("SELECT count(*), sum(key) FROM rows")
    if only("SELECT count(*), sum(key) FROM rows_table") != sent:
        sys.exit(f"{rows} has other rows than the {sent[0]} that were sent")
    if all_rows < sent[0] / 2:
        sys.exit(f"only {all_rows} of {sent[0]} rows are in closed windows")
    print(f"{found:,} results of {all_rows:,} rows in closed windows are those that DuckDB computes from the lines; the others are in windows that are still open.")


main()
