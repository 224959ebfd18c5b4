"""Prints the rows of a Delta table on disk as JSON lines, read by nothing that our writer has in it: the log with Python's own JSON and by the protocol's text, the files with
DuckDB's own reader of Parquet.

Values are written so that they can be compared: timestamps as microseconds since 1970, dates and decimals as texts, binary in hex, NaN and infinity as texts.
"""

import json
import math
import os
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import unquote

import duckdb

table = sys.argv[1]
log = os.path.join(table, "_delta_log")
connection = duckdb.connect(":memory:")


def actions():
    """All actions of the newest version: those of the newest checkpoint, then those of the entries behind it, in order."""
    names = sorted(os.listdir(log))
    versions = {int(name[:20]): name for name in names if name.endswith(".json") and name[:20].isdigit()}
    checkpoints = [int(name[:20]) for name in names if name.endswith(".checkpoint.parquet")]
    begin = -1
    if checkpoints:
        begin = max(checkpoints)
        path = os.path.join(log, f"{begin:020}.checkpoint.parquet")
        kinds = [column[0] for column in connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()]
        for kind in [kind for kind in ("protocol", "metaData", "add") if kind in kinds]:
            for (action,) in connection.execute(f'SELECT "{kind}" FROM read_parquet(?) WHERE "{kind}" IS NOT NULL', [path]).fetchall():
                yield kind, action
    for version in range(begin + 1, max(versions, default=begin) + 1):
        for line in open(os.path.join(log, versions[version])):
            yield from json.loads(line).items()


def newest():
    schema, files = None, {}
    for kind, action in actions():
        if kind == "protocol":
            assert action["minReaderVersion"] == 1, f"this reader knows version 1, not {action}"
        elif kind == "metaData":
            schema = json.loads(action["schemaString"]), list(action["partitionColumns"])
        elif kind == "add":
            assert not action.get("deletionVector"), action
            files[action["path"]] = action
        elif kind == "remove":
            files.pop(action["path"], None)
    assert schema, "the log has no schema"
    return schema, files.values()


def micros(time):
    return (time.replace(tzinfo=time.tzinfo or timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


def from_text(text, kind):
    """A partition value as the log writes it."""
    if text is None or text == "":
        return None
    if kind == "boolean":
        return {"true": True, "false": False}[text]
    if kind in ("byte", "short", "integer", "long"):
        return int(text)
    if kind in ("float", "double"):
        return shown(float(text))
    if kind == "timestamp":
        return micros(datetime.fromisoformat(text.replace("Z", "+00:00")))
    return text


def shown(value):
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[str(value)]
    if isinstance(value, datetime):
        return micros(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: shown(value) for name, value in value.items()}
    if isinstance(value, list):
        return [shown(value) for value in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def selected(field):
    """A column as DuckDB hands it out without a package for time zones."""
    name = '"' + field["name"].replace('"', '""') + '"'
    return f"epoch_us({name}) AS {name}" if field["type"] == "timestamp" else name


(schema, partition_columns), files = newest()
fields = {field["name"]: field for field in schema["fields"]}
for file in files:
    path = os.path.join(table, unquote(file["path"]))
    assert os.path.getsize(path) == file["size"], f"{path} has another size than the log says"
    there = [column[0] for column in connection.execute("DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)", [path]).fetchall()]
    # Some writers put partition columns into files, too; the log's values count.
    there = [name for name in there if name not in partition_columns]
    partition = {name: from_text(file["partitionValues"][name], fields[name]["type"]) for name in partition_columns}
    columns = ", ".join(selected(fields[name]) for name in there)
    found = connection.execute(f"SELECT {columns} FROM read_parquet(?, hive_partitioning = false)", [path]).fetchall()
    if file.get("stats"):
        assert json.loads(file["stats"])["numRecords"] == len(found), "the log counts other rows"
    for values in found:
        row = {**dict.fromkeys(fields), **dict(zip(there, map(shown, values))), **partition}
        print(json.dumps(row))
sys.stdout.flush()
