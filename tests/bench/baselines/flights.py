"""Flights like those of nycflights13: `make FOLDER` writes them as Parquet and CSV, `deltalake FILE TABLE` writes a file's rows into a Delta table,
partitioned by destination, and prints the seconds from the file to the commit (imports are left out), `count TABLE` prints what a table holds."""

import json
import sys
import time
from pathlib import Path

# A few destinations have most of the flights, and some have a handful; about one flight in 40 is cancelled. `r(i, n)` stands for chance.
FLIGHTS = """
CREATE MACRO r(i, salt, n) AS (hash(i * 1000003 + salt) % n)::BIGINT;
CREATE TABLE flights AS
WITH drawn AS (
    SELECT i, i * 525599 // 336776 AS minute_of_year, r(i, 1, 40) = 0 AS cancelled,
        CASE WHEN i < 105 THEN i ELSE (105 * pow(r(i, 2, 1000000) / 1000000.0, 2.5))::BIGINT % 105 END AS destination,
        (r(i, 3, 60) * r(i, 4, 60) // 60) - 10 AS delay
    FROM range(336776) AS t(i)
), timed AS (
    SELECT *, TIMESTAMP '2013-01-01 00:00:00' + to_minutes(minute_of_year) AS moment, minute_of_year % 1440 // 60 AS hour, minute_of_year % 60 AS minute FROM drawn
)
SELECT 2013::BIGINT AS year, month(moment) AS month, day(moment) AS day,
    CASE WHEN NOT cancelled THEN (hour * 100 + minute + 3) % 2400 END AS dep_time, hour * 100 + minute AS sched_dep_time, CASE WHEN NOT cancelled THEN delay END AS dep_delay,
    CASE WHEN NOT cancelled THEN (hour * 100 + 230) % 2400 END AS arr_time, (hour * 100 + 215) % 2400 AS sched_arr_time, CASE WHEN NOT cancelled THEN delay - 5 END AS arr_delay,
    ['UA', 'B6', 'EV', 'DL', 'AA', 'MQ', 'US', '9E', 'WN', 'VX'][1 + r(i, 5, 10)] AS carrier, 1 + r(i, 6, 8500) AS flight,
    CASE WHEN r(i, 7, 140) > 0 THEN 'N' || (100 + r(i, 8, 899)) || chr((65 + r(i, 9, 26))::INT) || chr((65 + r(i, 10, 4))::INT) END AS tailnum,
    ['EWR', 'JFK', 'LGA'][1 + r(i, 11, 3)] AS origin,
    chr((65 + destination % 26)::INT) || chr((65 + destination // 26)::INT) || chr((65 + destination * 7 % 26)::INT) AS dest,
    CASE WHEN NOT cancelled THEN 60 + destination * 3 END AS air_time, 80 + destination * 45 AS distance, hour, minute, date_trunc('hour', moment) AS time_hour
FROM timed ORDER BY i;
"""


def make(folder: str) -> None:
    import duckdb

    Path(folder).mkdir(parents=True, exist_ok=True)
    duckdb.execute(FLIGHTS)
    duckdb.sql(f"COPY flights TO '{folder}/flights.csv' (HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%SZ')")
    duckdb.sql(f"COPY flights TO '{folder}/flights.parquet' (ROW_GROUP_SIZE 65536, COMPRESSION snappy)")


def deltalake(file: str, table: str) -> None:
    import pyarrow.csv
    import pyarrow.parquet
    from deltalake import DeltaTable, write_deltalake

    begun = time.perf_counter()
    flights = pyarrow.parquet.read_table(file) if file.endswith(".parquet") else pyarrow.csv.read_csv(file)
    write_deltalake(table, flights, partition_by=["dest"])
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "files": len(DeltaTable(table).file_uris())}))


def count(table: str) -> None:
    from deltalake import DeltaTable

    found = DeltaTable(table)
    rows = sum(value.as_py() for value in found.get_add_actions(flatten=True).column("num_records"))
    print(json.dumps({"files": len(found.file_uris()), "rows": rows, "versions": found.version() + 1}))


{"make": make, "deltalake": deltalake, "count": count}[sys.argv[1]](*sys.argv[2:])
