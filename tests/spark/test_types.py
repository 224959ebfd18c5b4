"""Values of every type, as columns and as partitions, read by Spark in a session time zone that is not UTC: whole rows, and filters by each value."""

import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, getcontext

import pytest
from conftest import files_read

UTC = timezone.utc
# Decimals of a table have up to 38 digits.
getcontext().prec = 60
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def iso(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


TIMES = [
    EPOCH,
    datetime(2022, 7, 7, 0, 18, 41, 123456, tzinfo=UTC),
    datetime(2022, 7, 7, 0, 18, 41, tzinfo=UTC),
    # An hour that New York has twice, and one that it does not have.
    datetime(2024, 11, 3, 5, 30, tzinfo=UTC),
    datetime(2024, 11, 3, 6, 30, tzinfo=UTC),
    datetime(2024, 3, 10, 2, 30, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(1883, 11, 18, 12, 0, tzinfo=UTC),
    datetime(2262, 4, 12, tzinfo=UTC),
]
DATES = [date(1970, 1, 1), date(2022, 7, 7), date(2024, 2, 29), date(1900, 1, 1), date(9999, 12, 31)]

# Of each type: its name in a pipeline, values, how JSON lines write one, how Spark's SQL does, and how a value of a column is compared.
TYPES = {
    "boolean": (["boolean", [True, False]], str, lambda v: str(v).lower(), "{}"),
    "int8": (["int8", [0, -128, 127]], int, str, "{}"),
    "int16": (["int16", [0, -32768, 32767]], int, str, "{}"),
    "int32": (["int32", [0, -2147483648, 2147483647]], int, str, "{}"),
    "int64": (["int64", [0, -9223372036854775807, 9223372036854775807]], int, str, "{}"),
    "float32": (["float32", [0.5, -1.5, 16777216.0]], float, lambda v: f"cast('{v}' as float)", "{}"),
    "float64": (["float64", [0.1, -1e15, 9007199254740992.0]], float, lambda v: f"cast('{v}' as double)", "{}"),
    "decimal": (["decimal(38, 10)", [Decimal("0.0000000001"), Decimal("-1234567890123456789012345678.9012345678"), Decimal("12.5")]],
                str, lambda v: f"cast('{v}' as decimal(38, 10))", "{}"),
    "date": (["date", DATES], str, lambda v: f"date'{v}'", "{}"),
    "timestamp": (["timestamp(us, UTC)", TIMES], iso, lambda v: f"timestamp'{iso(v)}'", "unix_micros({})"),
    # The table's times have a zone: those without one are taken as UTC.
    "zoneless": (["timestamp(us)", TIMES], lambda v: iso(v).rstrip("Z"), lambda v: f"timestamp'{iso(v)}'", "unix_micros({})"),
    "text": (["text", ["plain", "a/b=c%41", "é 😀", "it's \"so\"", "back\\slash", " blank ", "#?&+", "2022-07-07"]],
             str, lambda v: "'" + v.replace("\\", "\\\\").replace("'", "\\'") + "'", "{}"),
}


def expected(name: str, value):
    if value is None:
        return None
    return {"timestamp": micros, "zoneless": micros, "float32": float, "decimal": lambda v: v.quantize(Decimal("1e-10"))}.get(name, lambda v: v)(value)


@pytest.mark.parametrize("partitioned", [True, False], ids=["partition", "column"])
@pytest.mark.parametrize("name", TYPES)
def test_every_value_of_a_type_is_read_and_found(spark, mill, name, partitioned):
    (kind, values), write, sql, shown = TYPES[name]
    values = [*values, None]
    # Two rows of each value, in files of their own where it is a partition.
    rows = [(number, value) for number, value in enumerate(values * 2)]
    json_of = lambda value: None if value is None else (value if isinstance(value, bool) else write(value))
    mill.rows("data/a.jsonl", [{"number": number, "value": json_of(value)} for number, value in rows])
    mill.pipeline({"partition_by": ["value"]} if partitioned else {}, {"number": "int64", "value": kind})
    mill.run()

    table = spark.read.format("delta").load(mill.table)
    found = table.selectExpr("number", f"{shown.format('value')} as value").collect()
    assert sorted((row.number, row.value) for row in found) == [(number, expected(name, value)) for number, value in rows]
    for value in values:
        where = "value is null" if value is None else f"value = {sql(value)}"
        numbers = sorted(row.number for row in table.where(where).collect())
        assert numbers == [number for number, other in rows if other == value], where
        if partitioned:
            assert files_read(table.where(where)) <= 2, f"{where} reads partitions of other values"


# Of each type that is no partition: its name in a pipeline, values as JSON lines write them, and as Spark reads them. A value of None is a row without one.
INSIDE = {
    "binary": ("binary", ["AP+A", "", "aGVsbG8=", None], [b"\x00\xff\x80", b"", b"hello", None]),
    "array": ("list<int64>", [[1, None, -9223372036854775807], [], [None], None], None),
    "array of arrays": ("list<list<text>>", [[["é 😀", ""], [], None, [None]], [], None], None),
    "map": ("map<text, int64>", [{"a/b=c%41": 1, "": None, "é 😀": -1}, {}, None], None),
    "struct": ("struct<a: int64, b: text>", [{"a": 1, "b": "x"}, {"a": None, "b": ""}, {"a": None, "b": None}, None], None),
    "all in another": (
        "list<struct<at: timestamp(us, UTC), of: map<text, list<decimal(38, 10)>>, in: struct<day: date, raw: binary>>>",
        [
            [
                {"at": iso(time), "of": {"k": ["0.0000000001", None], "none": None}, "in": {"day": str(day), "raw": "AP+A"}}
                for time, day in [(TIMES[6], DATES[3]), (TIMES[8], DATES[4])]
            ],
            [{"at": None, "of": {}, "in": None}, None],
            [],
            None,
        ],
        [
            [
                {"at": micros(time), "of": {"k": [Decimal("1e-10"), None], "none": None}, "in": {"day": day, "raw": b"\x00\xff\x80"}}
                for time, day in [(TIMES[6], DATES[3]), (TIMES[8], DATES[4])]
            ],
            [{"at": None, "of": {}, "in": None}, None],
            [],
            None,
        ],
    ),
}
# Python's times of Spark depend on the process's own zone.
WITH_MICROS = "transform(value, one -> if(one is null, null, struct(unix_micros(one.at) as at, one.of as of, one.`in` as `in`)))"


@pytest.mark.parametrize("name", INSIDE)
def test_bytes_and_nested_values_are_read_as_whole_rows(spark, mill, name):
    kind, written, read = INSIDE[name]
    rows = list(enumerate(written * 2))
    mill.rows("data/a.jsonl", [{"number": number, "value": value} for number, value in rows])
    mill.pipeline({}, {"number": "int64", "value": kind})
    mill.run()
    table = spark.read.format("delta").load(mill.table)
    value = WITH_MICROS if name == "all in another" else "value"
    found = sorted((row.asDict(recursive=True) for row in table.selectExpr("number", f"{value} as value").collect()), key=lambda row: row["number"])
    assert [(row["number"], row["value"]) for row in found] == list(enumerate((read or written) * 2))
    nulls = sorted(row.number for row in table.where("value is null").collect())
    assert nulls == [number for number, value in rows if value is None]
    if name == "binary":
        assert sorted(row.number for row in table.where("value = X'00ff80'").collect()) == [0, 4]
        assert sorted(row.number for row in table.where("value = X''").collect()) == [1, 5]


def test_a_partition_of_bytes_is_refused(mill):
    mill.rows("data/a.jsonl", [{"number": 1, "value": "AP+A"}])
    mill.pipeline({"partition_by": ["value"]}, {"number": "int64", "value": "binary"})
    said = mill.refused()
    assert "value" in said and "inary" in said, said


def test_timestamps_as_partitions_have_a_zone_in_the_log(spark, mill):
    mill.rows("data/a.jsonl", [{"number": number, "value": iso(value)} for number, value in enumerate(TIMES)])
    mill.pipeline({"partition_by": ["value"]}, {"number": "int64", "value": "timestamp(us, UTC)"})
    mill.run()
    texts = [action["add"]["partitionValues"]["value"] for action in mill.log() if "add" in action]
    assert len(texts) == len(TIMES) and all(text.endswith("Z") and "T" in text for text in texts), texts


def test_not_a_number_is_found_and_hides_nothing(spark, mill):
    """A maximum says nothing about a NaN, which Spark orders above all others."""
    sets = [["NaN", 1.0, 2.0], ["NaN"], [5.0, "Infinity"], ["-Infinity", -0.0, 0.0], [None, None], [3.0]]
    for at, values in enumerate(sets):
        mill.rows(f"data/{at}.jsonl", [{"file": at, "x": value, "y": value} for value in values])
    mill.pipeline({}, {"file": "int64", "x": "float64", "y": "float32"}, epoch={"rows": 1}, batch_rows=1, lanes=1)
    mill.run()
    table = spark.read.format("delta").load(mill.table)
    flat = [(at, math.nan if value == "NaN" else value if value is None else float(value)) for at, values in enumerate(sets) for value in values]
    greater = lambda value, than: value is not None and (math.isnan(value) or value > than)
    for column in ["x", "y"]:
        whole = sorted((row.file, str(row[column])) for row in table.collect())
        assert whole == sorted((at, str(value)) for at, value in flat)
        count = lambda where: table.where(where.format(column)).count()
        assert count("isnan({})") == 2
        assert count("{} = cast('NaN' as double)") == 2
        for than in [-1.0, 0.5, 2.0, 4.0, 1e30]:
            assert count(f"{{}} > {than}") == sum(greater(value, than) for _, value in flat), than
            assert count(f"{{}} <= {than}") == sum(value is not None and not greater(value, than) for _, value in flat), than
        # By the table's statistics alone: Spark's own filter of a file's dictionary takes the two zeros for different ones.
        spark.conf.set("spark.sql.parquet.filterPushdown", "false")
        assert count("{} = 0.0") == 2, "zero has two signs and one value"
        spark.conf.unset("spark.sql.parquet.filterPushdown")
        assert count("{} is null") == 2
        assert count("{} = cast('Infinity' as double)") == 1


def test_filters_that_use_statistics_find_every_row_and_open_few_files(spark, mill):
    """Each epoch is a file of its own range; what lies at a range's very edge is what a rounded or cut statistic would lose."""
    decimal = lambda at: Decimal(at) * 10**9 + Decimal("0.000000001")
    moment = lambda at: EPOCH + timedelta(days=365 * at, microseconds=999_999)
    long = lambda at: f"{'x' * 40}{at:03}\U0010ffff"
    kinds = {"number": "int64", "price": "decimal(38, 9)", "day": "date", "moment": "timestamp(us, UTC)", "text": "text", "share": "float64"}
    for file in range(8):
        rows = [
            {"number": at, "price": str(decimal(at)), "day": str(date(2000, 1, 1) + timedelta(days=at)), "moment": iso(moment(at)), "text": long(at), "share": at / 7}
            for at in range(file * 10, file * 10 + 10)
        ]
        mill.rows(f"data/{file}.jsonl", rows)
        mill.pipeline({}, kinds)
        mill.run()
    table = spark.read.format("delta").load(mill.table)
    assert files_read(table) == 8
    for at in [0, 9, 10, 45, 79]:
        literals = {
            "number": str(at),
            "price": f"cast('{decimal(at)}' as decimal(38, 9))",
            "day": f"date'{date(2000, 1, 1) + timedelta(days=at)}'",
            "moment": f"timestamp'{iso(moment(at))}'",
            "text": f"'{long(at)}'",
            "share": f"{at}D / 7D",
        }
        for column, literal in literals.items():
            for comparison, wanted in [("=", [at]), (">=", list(range(at, 80))), ("<=", list(range(at + 1)))]:
                rows = table.where(f"{column} {comparison} {literal}")
                assert sorted(row.number for row in rows.collect()) == wanted, f"{column} {comparison} {literal}"
                most = {"=": 2 if column in ("text", "moment") else 1, ">=": 8 - at // 10, "<=": at // 10 + 1}[comparison]
                slack = 1 if column in ("text", "moment") else 0
                assert files_read(rows) <= most + slack, f"{column} {comparison} {literal} opens {files_read(rows)} files"
