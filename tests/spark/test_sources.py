"""Tables that Spark wrote: read by the source `delta` into another table, and rewritten by `wasmill table optimize`. Whole rows, as Spark reads them from both."""

from datetime import datetime, timezone

import pytest
from delta_rows import by_number
from test_types import TIMES, micros

# The first and the last moment that Spark and Delta Lake hold, and others that nanoseconds in 64 bits do not reach.
YEARS = [
    datetime(1, 1, 1, tzinfo=timezone.utc),
    datetime(1816, 3, 4, 5, 6, 7, 8, tzinfo=timezone.utc),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc),
    datetime(2262, 4, 11, 23, 47, 16, 854_776, tzinfo=timezone.utc),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc),
]
# Those, and some 20,000 more between them: more than one batch of a reader.
MOMENTS = [micros(time) for time in [*YEARS, *TIMES]]
MOMENTS += [MOMENTS[0] + step * ((MOMENTS[4] - MOMENTS[0]) // 20_000) for step in range(20_000)]

# A time at the top, and inside of structs of an array that may be missing, empty, and have holes of both kinds.
COLUMNS = [
    "number",
    "if(number % 7 = 6, null, timestamp_micros(micros)) as at",
    """case number % 5 when 0 then array() when 1 then null
    else array(named_struct('at', timestamp_micros(micros), 'n', number), null, named_struct('at', cast(null as timestamp), 'n', -number)) end as nested""",
]
SHOWN = ["number", "unix_micros(at) as at", "transform(nested, one -> if(one is null, null, struct(unix_micros(one.at) as at, one.n as n))) as nested"]


def expected(number: int) -> dict:
    nested = {0: [], 1: None}.get(number % 5, [{"at": MOMENTS[number], "n": number}, None, {"at": None, "n": -number}])
    return {"number": number, "at": None if number % 7 == 6 else MOMENTS[number], "nested": nested}


def written(spark, table: str, files: int = 3, columns: list[str] = COLUMNS, **options) -> None:
    moments = spark.createDataFrame(list(enumerate(MOMENTS)), "number long, micros long")
    moments.selectExpr(*columns).repartition(files).write.format("delta").options(**options).save(table)


def shown(spark, table: str, columns: list[str] = SHOWN) -> dict[int, dict]:
    rows = spark.read.format("delta").load(table).selectExpr(*columns).collect()
    return by_number([row.asDict(recursive=True) for row in rows])


def physical(spark, table: str, name: str) -> set[str]:
    """The types that a column, or a field inside of one, has in the files of a table: what Spark was told is not yet what it did."""
    jvm, found = spark._jvm, set()
    for file in spark.read.format("delta").load(table).inputFiles():
        input_file = jvm.org.apache.parquet.hadoop.util.HadoopInputFile.fromPath(jvm.org.apache.hadoop.fs.Path(file), spark._jsc.hadoopConfiguration())
        reader = jvm.org.apache.parquet.hadoop.ParquetFileReader.open(input_file)
        try:
            for column in reader.getFileMetaData().getSchema().getColumns():
                if column.getPath()[-1] == name:
                    found.add(column.getPrimitiveType().getPrimitiveTypeName().name())
        finally:
            reader.close()
    return found


@pytest.fixture
def time_type(spark):
    """Sets what Spark writes times as, for one test."""
    name = "spark.sql.parquet.outputTimestampType"
    yield lambda kind: spark.conf.set(name, kind)
    spark.conf.unset(name)


def read_by_us(mill, **source) -> None:
    mill.pipeline({}, None, sources={"rows": {"delta": {"uri": "spark", **source}}})
    mill.run()


@pytest.mark.parametrize("kind", [None, "INT96", "TIMESTAMP_MICROS"])
def test_times_of_every_year_come_over(spark, mill, time_type, kind):
    """With Spark's defaults (`None`) they are INT96."""
    if kind:
        time_type(kind)
    table = str(mill.folder / "spark")
    written(spark, table)
    assert physical(spark, table, "at") == {"INT64" if kind == "TIMESTAMP_MICROS" else "INT96"}
    wanted = {number: expected(number) for number in range(len(MOMENTS))}
    assert shown(spark, table) == wanted
    read_by_us(mill)
    assert shown(spark, mill.table) == wanted


def test_rewritten_files_hold_the_same_times(spark, mill, time_type):
    time_type("INT96")
    table = str(mill.folder / "spark")
    written(spark, table, files=6)
    mill.command("table", "optimize", "spark")
    frame = spark.read.format("delta").load(table)
    assert len(frame.inputFiles()) == 1
    assert physical(spark, table, "at") == {"INT64"}
    assert shown(spark, table) == {number: expected(number) for number in range(len(MOMENTS))}
    # What Spark does next stands on the rewritten files.
    spark.sql(f"DELETE FROM delta.`{table}` WHERE at = timestamp'9999-12-31T23:59:59.999999Z' OR number > 10")
    assert shown(spark, table) == {number: expected(number) for number in range(11) if number != 4}


def test_times_come_over_from_tables_with_features(spark, mill, time_type):
    """Deletion vectors, a renamed column and one that older files lack, in files of INT96 with a partition of times."""
    time_type("INT96")
    table = str(mill.folder / "spark")
    target = f"delta.`{table}`"
    moments = [(of + number, MOMENTS[number]) for of in (0, 100) for number in range(len(YEARS))]
    frame = spark.createDataFrame(moments, "number long, micros long")
    frame = frame.selectExpr("number", "timestamp_micros(micros) as first_name", "timestamp_micros(micros) as part").repartition(1)
    settings = {"delta.enableDeletionVectors": "true", "delta.columnMapping.mode": "name"}
    frame.write.format("delta").partitionBy("part").options(**settings).save(table)
    spark.sql(f"ALTER TABLE {target} RENAME COLUMN first_name TO at")
    spark.sql(f"ALTER TABLE {target} ADD COLUMN late timestamp")
    spark.sql(f"DELETE FROM {target} WHERE number IN (1, 3, 104)")
    spark.sql(f"INSERT INTO {target} SELECT 500, timestamp_micros({MOMENTS[1]}), timestamp_micros({MOMENTS[0]}), timestamp_micros({MOMENTS[4]})")
    assert any("deletionVector" in entry.read_text() for entry in (mill.folder / "spark/_delta_log").glob("*.json"))
    columns = ["number", "unix_micros(at) as at", "unix_micros(part) as part", "unix_micros(late) as late"]
    wanted = {number: {"number": number, "at": micros, "part": micros, "late": None} for number, micros in moments if number not in (1, 3, 104)}
    wanted[500] = {"number": 500, "at": MOMENTS[1], "part": MOMENTS[0], "late": MOMENTS[4]}
    assert shown(spark, table, columns) == wanted
    read_by_us(mill)
    assert shown(spark, mill.table, columns) == wanted


def test_times_without_a_zone_are_taken_as_utc(spark, mill):
    """Spark's `timestamp_ntz` needs a feature of the table. Our source reads it; our sink writes such times as `timestamp`, and so adds none to such a table."""
    table = str(mill.folder / "spark")
    times = [*TIMES, *YEARS]
    values = (f"SELECT {number}L AS number, timestamp_ntz'{time.replace(tzinfo=None).isoformat()}' AS at" for number, time in enumerate(times))
    spark.sql(" UNION ALL ".join(values)).repartition(1).write.format("delta").save(table)
    plain = {number: {"number": number, "at": str(time.replace(tzinfo=None))} for number, time in enumerate(times)}
    assert shown(spark, table, ["number", "cast(at as string) as at"]) == plain
    read_by_us(mill)
    wanted = {number: {"number": number, "at": micros(time)} for number, time in enumerate(times)}
    assert shown(spark, mill.table, ["number", "unix_micros(at) as at"]) == wanted
    mill.rows("data/a.jsonl", [{"number": 1, "at": "2022-07-07T00:18:41"}])
    mill.pipeline({"uri": "spark"}, {"number": "int64", "at": "timestamp(us)"}, name="other")
    said = mill.refused()
    assert "`at` is timestamp in the table and timestamp(us, UTC) in the pipeline" in said, said
    assert shown(spark, table, ["number", "cast(at as string) as at"]) == plain
