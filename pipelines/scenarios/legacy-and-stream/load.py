#!/usr/bin/env python3
"""Fills the emulator's database, for those who have none: load.py mysql://user:password@host:port/database FOLDER

Creates the tables of tables.sql and inserts the rows in FOLDER/pin, FOLDER/geo and FOLDER/user. A row whose number is there already is left as it is.
"""

import json
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pymysql

TABLES = {"pin": "pinterest_data", "geo": "geolocation_data", "user": "user_data"}

url, folder = urlsplit(sys.argv[1]), Path(sys.argv[2])
database = pymysql.connect(
    host=url.hostname, port=url.port or 3306, user=unquote(url.username or "root"), password=unquote(url.password or ""),
    database=url.path.lstrip("/"), charset="utf8mb4",
)
with database, database.cursor() as cursor:
    for statement in Path(__file__).with_name("tables.sql").read_text().split(";"):
        if statement.strip():
            cursor.execute(statement)
    for name, table in TABLES.items():
        rows = [json.loads(line) for path in sorted((folder / name).glob("*.jsonl")) for line in path.open(encoding="utf-8")]
        columns = list(rows[0])
        names, values = ", ".join(f"`{column}`" for column in columns), ", ".join(["%s"] * len(columns))
        count = cursor.executemany(f"INSERT IGNORE INTO {table} ({names}) VALUES ({values})", [[row[column] for column in columns] for row in rows])
        print(f"{table}: {count} rows")
    database.commit()
