"""Answers a query of Nexmark with DuckDB over the same events, and checks that a Delta table holds just these rows; prints their number.

Usage: nexmark_duckdb.py <query> <folder with person.parquet, auction.parquet, bid.parquet> <delta table>
"""

import sys

import duckdb
from deltalake import DeltaTable

# Windows are computed in whole microseconds since 1970, apart from any time zone: `at_us` and `expires_us` below.
WINDOW = 10_000_000
SLIDE = 2_000_000

QUERIES = {
    "q1": "SELECT auction, bidder, CAST(0.908 AS DECIMAL(3, 3)) * CAST(price AS DECIMAL(19, 0)) AS price, at_us AS date_time FROM bid",
    "q2": "SELECT auction, price FROM bid WHERE auction % 123 = 0",
    "q3": """
        SELECT person.name, person.city, person.state, auction.id AS auction FROM auction JOIN person ON auction.seller = person.id
        WHERE auction.category = 10 AND person.state IN ('OR', 'ID', 'CA')""",
    "q4": """
        WITH won AS (
            SELECT auction.id, auction.category, max(bid.price) AS final FROM auction JOIN bid ON bid.auction = auction.id
            WHERE bid.at_us BETWEEN auction.at_us AND auction.expires_us GROUP BY ALL
        )
        SELECT category, avg(final) AS average FROM won GROUP BY category""",
    # A bid is in the windows that end at the next five multiples of the slide.
    "q5": f"""
        WITH counts AS (
            SELECT auction, (at_us // {SLIDE} + n) * {SLIDE} AS window_end, count(*) AS bids FROM bid, range(1, {WINDOW // SLIDE + 1}) AS windows(n) GROUP BY ALL
        )
        SELECT auction, bids, window_end FROM counts
        WHERE (window_end, bids) IN (SELECT (window_end, max(bids)) FROM counts GROUP BY window_end)""",
    "q7": f"""
        WITH highest AS (SELECT at_us // {WINDOW} AS number, max(price) AS price FROM bid GROUP BY ALL)
        SELECT bid.auction, bid.price, bid.bidder, bid.at_us AS date_time
        FROM bid JOIN highest ON bid.at_us // {WINDOW} = highest.number AND bid.price = highest.price""",
    "q8": f"""
        SELECT DISTINCT person.id, person.name, person.at_us // {WINDOW} * {WINDOW} AS window_start
        FROM person JOIN auction ON auction.seller = person.id AND auction.at_us // {WINDOW} = person.at_us // {WINDOW}""",
    "bids-per-auction": f"""
        SELECT auction, at_us // {WINDOW} * {WINDOW} AS window_start, (at_us // {WINDOW} + 1) * {WINDOW} AS window_end, count(*) AS bids FROM bid GROUP BY ALL""",
}


def main() -> None:
    query, folder, table = sys.argv[1:]
    connection = duckdb.connect()
    for name in ("person", "auction", "bid"):
        expires = ", epoch_us(expires) AS expires_us" if name == "auction" else ""
        connection.execute(f"CREATE VIEW {name} AS SELECT *, epoch_us(date_time) AS at_us{expires} FROM '{folder}/{name}.parquet'")
    connection.execute(f"CREATE TABLE theirs AS {QUERIES[query]}")
    results = DeltaTable(table).to_pyarrow_table()  # named in the query below
    connection.execute("CREATE TABLE raw AS SELECT * FROM results")

    columns = [name for name, *_ in connection.sql("DESCRIBE theirs").fetchall()]
    found = {name: kind for name, kind, *_ in connection.sql("DESCRIBE raw").fetchall()}
    if set(columns) != set(found):
        sys.exit(f"{query}: the table has the columns {', '.join(found)}, and not {', '.join(columns)}")
    values = [f"epoch_us({name}) AS {name}" if found[name].startswith("TIMESTAMP") else name for name in columns]
    connection.execute(f"CREATE TABLE ours AS SELECT {', '.join(values)} FROM raw")
    listed = ", ".join(columns)
    for one, other, what in (("ours", "theirs", "Wasmill alone"), ("theirs", "ours", "DuckDB alone")):
        only = f"SELECT {listed} FROM {one} EXCEPT ALL SELECT {listed} FROM {other}"
        if (count := connection.sql(f"SELECT count(*) FROM ({only})").fetchall()[0][0]) > 0:
            sys.exit(f"{query}: {count} rows come from {what}, such as {connection.sql(f'{only} LIMIT 3').fetchall()}, with the columns {listed}")
    rows = connection.sql("SELECT count(*) FROM theirs").fetchall()[0][0]
    if rows == 0:
        sys.exit(f"{query}: both gave no rows, which compares nothing")
    print(rows)


main()
