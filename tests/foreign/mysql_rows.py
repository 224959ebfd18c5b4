"""Prints the rows of a query of MySQL as JSON lines, read by the Python package `pymysql`: `mysql_rows.py URL SQL`."""

import datetime
import json
import sys
from decimal import Decimal
from urllib.parse import urlsplit

import pymysql


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    return str(value)


url, sql = sys.argv[1:]
parts = urlsplit(url)
connection = pymysql.connect(
    host=parts.hostname, port=parts.port, user=parts.username, password=parts.password or "", database=parts.path[1:], charset="utf8mb4",
    init_command="SET time_zone = '+00:00'",
)
with connection.cursor(pymysql.cursors.DictCursor) as cursor:
    cursor.execute(sql)
    for row in cursor.fetchall():
        print(json.dumps(row, default=plain, ensure_ascii=False))
