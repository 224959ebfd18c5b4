"""Writes one input of the tests of values: `inputs.py NAME FOLDER`."""

import datetime
import json
import math
import os
import sys
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

name, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)


def write(table, file="a", **options):
    os.makedirs(os.path.dirname(f"{folder}/{file}"), exist_ok=True)
    pq.write_table(table, f"{folder}/{file}.parquet", **options)


def column(values, data_type):
    write(pa.table({"id": pa.array(range(1, len(values) + 1), pa.int64()), "v": pa.array(values, data_type)}))


def field(name, data_type):
    return {"name": name, "type": data_type, "nullable": True, "metadata": {}}


def write_log(folder, file, fields):
    """The first entry of a Delta table's log, with one data file."""
    schema = json.dumps({"type": "struct", "fields": [field(*of) for of in fields]})
    actions = [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema, "partitionColumns": [], "configuration": {}}},
        {"add": {"path": file, "partitionValues": {}, "size": os.path.getsize(f"{folder}/{file}"), "modificationTime": 0, "dataChange": True}},
    ]
    os.makedirs(f"{folder}/_delta_log")
    with open(f"{folder}/_delta_log/{0:020}.json", "w") as log:
        log.writelines(json.dumps(action) + "\n" for action in actions)


place = pa.struct([("lat", pa.float64()), ("lon", pa.float64())])
# Julian days hold years that a nanosecond in 64 bits does not reach.
times = pa.array([datetime.datetime(1, 1, 1), datetime.datetime(2022, 7, 7, 0, 18, 41, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999)], pa.timestamp("us"))
match name:
    case "struct":
        write(pa.table({"id": [1, 2], "c": pa.array([{"lat": 1.0, "lon": 2.0}, None], place)}))
    case "struct-list":
        write(pa.table({"id": [1], "c": pa.array([[{"lat": 1.0, "lon": 2.0}]], pa.list_(place))}))
    case "structs-of-files":
        a, b, c = ("a", pa.int64()), ("b", pa.string()), ("c", pa.bool_())
        for number, (fields, value) in enumerate(
            [((a, b), {"a": 1, "b": "x"}), ((b, a, c), {"b": "y", "a": 2, "c": True}), ((b,), {"b": "z"})], 1
        ):
            write(pa.table({"id": [number], "s": pa.array([value], pa.struct(fields))}), str(number))
    case "delta":
        table = pa.table({"id": [1, 2], "c": pa.array([{"lat": 1.0, "lon": 2.0}, {"lat": 3.0, "lon": 4.0}], place), "f": [2.75, 3.0]})
        write_deltalake(folder, table)
    case "int96":
        write(pa.table({"id": [1, 2, 3], "ts": times}), use_deprecated_int96_timestamps=True)
        nanos = pa.array([1_657_153_121_000_001_500], pa.timestamp("ns"))
        write(pa.table({"id": [4], "ts": nanos}), "b", use_deprecated_int96_timestamps=True)
    case "int96-nested":
        rows = pa.array([[{"ts": times[2].as_py()}, {"ts": None}]], pa.list_(pa.struct([("ts", pa.timestamp("us"))])))
        write(pa.table({"id": [1], "c": rows}), use_deprecated_int96_timestamps=True)
    case "delta-int96":
        # As Spark writes a table unless it is told otherwise.
        zoned = pa.array(times.cast(pa.timestamp("us", "UTC")))
        columns = {"ts": zoned, "nested": pa.array([[{"ts": time}] for time in zoned.to_pylist()], pa.list_(pa.struct([("ts", pa.timestamp("us", "UTC"))])))}
        write(pa.table({"id": [1, 2, 3], **columns}), use_deprecated_int96_timestamps=True)
        write_log(folder, "a.parquet", [
            ("id", "long"), ("ts", "timestamp"),
            ("nested", {"type": "array", "containsNull": True, "elementType": {"type": "struct", "fields": [field("ts", "timestamp")]}}),
        ])
    case "float-later":
        for number, (value, data_type) in enumerate([(1, pa.int64()), (2.75, pa.float64()), (3.0, pa.float64())], 1):
            write(pa.table({"id": [number], "v": pa.array([value], data_type)}), str(number))
    case "int64-later":
        for number, (value, data_type) in enumerate([(1, pa.int32()), (2**40, pa.int64()), (3, pa.int64())], 1):
            write(pa.table({"id": pa.array([value], data_type)}), str(number))
    case "hive":
        write(pa.table({"id": [1, 2]}), "year=2024/month=07/a", row_group_size=1)
        write(pa.table({"id": [3]}), "year=2025/month=__HIVE_DEFAULT_PARTITION__/a")
        # These have one of the columns themselves.
        write(pa.table({"id": [4, 5], "month": ["12", None]}), "year=2026/month=01/a")
        write(pa.table({"year": pa.array([1999], pa.int32()), "id": [6]}), "year=2026/month=02/a")
    case "late-folder":
        write(pa.table({"id": [1]}))
        write(pa.table({"id": [2, 3]}), "day=2/b")
    case "late-column":
        for number, columns in enumerate([{}, {"late": ["x", None]}, {"later": [1.5, 2.5], "late": ["y", "z"]}]):
            ids = pa.array([2 * number + 1, 2 * number + 2], pa.int64())
            write(pa.table({"id": ids, **columns}), str(number + 1), row_group_size=1)
    case "late-field":
        inner = pa.struct([("a", pa.int64()), ("c", pa.bool_())])
        types = [("s", inner), ("l", pa.list_(inner)), ("m", pa.map_(pa.string(), inner))]
        values = {"s": {"a": 1, "c": True}, "l": [{"a": 2, "c": False}], "m": [("k", {"a": 3, "c": None})]}
        late = pa.table({"id": [2, 3], **{name: pa.array([values[name]] * 2, data_type) for name, data_type in types}})
        first = pa.struct([("a", pa.int64())])
        types = [("s", first), ("l", pa.list_(first)), ("m", pa.map_(pa.string(), first))]
        write(pa.table({"id": [1], **{name: pa.array([None], data_type) for name, data_type in types}}), "1")
        write(late, "2")
    case "every-kind":
        # What a way through CSV and JSON may lose: signs of zero, the ends of the calendar, empty texts and binaries beside nulls, quotes.
        struct = pa.struct([("k", pa.string()), ("n", pa.list_(pa.int64()))])
        utc = datetime.timezone.utc
        columns = {
            "s": pa.array(["", None, " lead ", "\"", "null", "\r\n"]),
            "l": pa.array([["a", "b,c"], [], None, ["", None], ['""', "\n"], ["null"]], pa.list_(pa.string())),
            "o": pa.array([{"k": 'v"q', "n": [1]}, None, {"k": None, "n": None}, {"k": "", "n": []}, {"k": "é😀", "n": [None]}, {"k": "null", "n": [2]}], struct),
            "f": pa.array([1.0, 1e300, -0.0, 5e-324, 0.1, None]),
            "b": pa.array([True, False, None, True, False, None]),
            "ts": pa.array(
                [
                    datetime.datetime(2022, 7, 7, 0, 18, 41, 500_000, utc),
                    datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, utc),
                    datetime.datetime(1, 1, 1, tzinfo=utc),
                    None,
                    datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, utc),
                    datetime.datetime(1970, 1, 1, tzinfo=utc),
                ],
                pa.timestamp("us", "UTC"),
            ),
            "d": pa.array([datetime.date(2022, 7, 7), datetime.date(1, 1, 1), datetime.date(9999, 12, 31), None, datetime.date(1969, 12, 31), datetime.date(1970, 1, 1)]),
            "bin": pa.array([b"\0\1\2", b"", None, b"\xff", b"\0", b"a"], pa.binary()),
        }
        write(pa.table({"id": range(1, 7), **columns}))
    case "no-numbers":
        write(pa.table({"id": range(1, 4), "f": [math.nan, math.inf, -math.inf]}))
    case "pins":
        texts = ["title", "unique_id", "description", "poster_name", "tag_list", "is_image_or_video", "image_src", "save_location", "category"]
        columns = {text: ["x", "y", "z"] for text in texts}
        write(pa.table({"index": [7.0, 8.5, None], "follower_count": ["5k", "1", "3"], "downloaded": [1.0, 1.0, 1.0], **columns}))
    case "binary":
        column([b"a", b"\xff"], pa.binary())
    case "date":
        column([datetime.date(2024, 1, 1), datetime.date(1970, 1, 2)], pa.date32())
    case "decimal":
        column([Decimal("1.55"), Decimal("2.00")], pa.decimal128(10, 2))
    case "int64":
        column([2**53 + 1, 3], pa.int64())
    case "timestamp":
        column([datetime.datetime(2024, 1, 1, 1, 2, 3, 456_789), datetime.datetime(2024, 1, 1)], pa.timestamp("us"))
    case "text":
        column(["True", "1e2"], pa.string())
    case "texts":
        column(["1,5", "inf", " 7 ", "007", "yes", "off", "1.5", "-12", "FALSE"], pa.string())
    case "int64-beyond-float32":
        column([16_777_217, 16_777_216], pa.int64())
    case _:
        sys.exit(f"no input {name}")
sys.stdout.flush()
os._exit(0)
