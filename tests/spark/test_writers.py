"""Spark and a stream at one table: its history, and MERGE, DELETE, UPDATE and OPTIMIZE while rows are being added."""

from delta_rows import by_number, rows_of
from conftest import until

SCHEMA = {"number": "int64", "text": "text", "part": "text"}


def rows(numbers: range, part: str | None = None) -> list[dict]:
    return [{"number": number, "text": f"text {number}", "part": part or "ab"[number % 2]} for number in numbers]


def retried(operation) -> int:
    """Does what Spark's documentation asks for where an operation read partitions that somebody added to meanwhile. Returns how often it was done again."""
    for again in range(20):
        try:
            operation()
            return again
        except Exception as error:
            if "DELTA_CONCURRENT" not in str(error):
                raise
    raise AssertionError("it conflicts for ever")


def test_the_history_shows_what_was_written(spark, mill):
    mill.pipeline({"partition_by": ["part"]}, SCHEMA)
    for numbers in [range(100), range(100, 140)]:
        mill.rows(f"data/{numbers.start}.jsonl", rows(numbers))
        mill.run()
    history = spark.sql(f"DESCRIBE HISTORY delta.`{mill.table}`").collect()
    written = sorted((entry for entry in history if entry.operationMetrics.get("numOutputRows", "0") != "0"), key=lambda entry: entry.version)
    shown = [(entry.operation, entry.operationMetrics["numOutputRows"], entry.operationMetrics["numFiles"], entry.isBlindAppend) for entry in written]
    assert shown == [("WRITE", "100", "2", True), ("WRITE", "40", "2", True)], history
    for entry in written:
        sizes = sum(action["add"]["size"] for action in mill.log() if "add" in action)
        assert 0 < int(entry.operationMetrics["numOutputBytes"]) <= sizes
        assert entry.engineInfo.startswith("wasmill"), entry.engineInfo
    # What did not come from a process is not said of it.
    assert all(entry.isBlindAppend is not None for entry in history), history


def test_spark_changes_a_table_while_a_stream_adds_to_it(spark, mill):
    mill.pipeline({"partition_by": ["part"], "checkpoint_every": 5}, SCHEMA, epoch={"every": "100ms"}, lanes=2)
    mill.rows("data/0.jsonl", rows(range(200), "old"))
    stream = mill.stream()
    try:
        until("the table is there", lambda: (mill.folder / "table/_delta_log/00000000000000000000.json").exists() or stream.poll() is not None)
        assert stream.poll() is None, (mill.folder / "stream.log").read_text()
        until("its first rows are there", lambda: len(rows_of(spark, mill.table)) == 200)
        wanted, posts = {row["number"]: row for row in rows(range(200), "old")}, 200
        target = f"delta.`{mill.table}`"

        def add(count: int) -> None:
            nonlocal posts
            new = rows(range(posts, posts + count))
            mill.rows(f"data/{posts}.jsonl", new)
            wanted.update((row["number"], row) for row in new)
            posts += count

        for turn in range(4):
            # Every operation begins while the stream has something to write. In a partition that nobody adds to, none of them conflicts; Spark's own isolation
            # (Serializable, the only one outside of Databricks) leaves no more room.
            low = turn * 40
            add(50)
            spark.sql(
                f"MERGE INTO {target} AS t USING (SELECT id AS number FROM range({low}, {low + 10})) AS s ON t.part = 'old' AND t.number = s.number "
                f"WHEN MATCHED THEN UPDATE SET t.text = concat('merged ', t.number)"
            )
            wanted.update({number: {**wanted[number], "text": f"merged {number}"} for number in range(low, low + 10)})
            add(50)
            spark.sql(f"DELETE FROM {target} WHERE part = 'old' AND number >= {low + 10} AND number < {low + 20}")
            for number in range(low + 10, low + 20):
                del wanted[number]
            add(50)
            spark.sql(f"UPDATE {target} SET text = 'updated' WHERE part = 'old' AND number >= {low + 20} AND number < {low + 30}")
            wanted.update({number: {**wanted[number], "text": "updated"} for number in range(low + 20, low + 30)})
            add(50)
            spark.sql(f"OPTIMIZE {target}")
            assert stream.poll() is None, (mill.folder / "stream.log").read_text()
        # Where rows are being added, it may have to be done again, and loses none of them.
        late = range(200, 210)
        for number in late:
            add(20)
            retried(lambda: spark.sql(f"DELETE FROM {target} WHERE number = {number}"))
            del wanted[number]
        until("all rows have come", lambda: len(rows_of(spark, mill.table)) == len(wanted))
    finally:
        if stream.poll() is None:
            mill.stop(stream)
    assert by_number(rows_of(spark, mill.table)) == wanted
    # A later run of ours resumes on what Spark left.
    mill.rows(f"data/{posts}.jsonl", rows(range(posts, posts + 10)))
    mill.run()
    wanted.update((row["number"], row) for row in rows(range(posts, posts + 10)))
    assert by_number(rows_of(spark, mill.table)) == wanted
    operations = {entry.operation for entry in spark.sql(f"DESCRIBE HISTORY {target}").collect()}
    assert {"MERGE", "DELETE", "UPDATE", "OPTIMIZE"} <= operations, operations


def test_spark_adds_rows_while_a_stream_does(spark, mill):
    mill.pipeline({}, SCHEMA, epoch={"every": "100ms"})
    mill.rows("data/0.jsonl", rows(range(100)))
    stream = mill.stream()
    try:
        until("its first rows are there", lambda: (mill.folder / "table/_delta_log").exists() and len(rows_of(spark, mill.table)) == 100)
        for turn in range(5):
            mill.rows(f"data/{turn + 1}.jsonl", rows(range(1_000 + turn * 100, 1_100 + turn * 100)))
            new = spark.createDataFrame(rows(range(5_000 + turn * 10, 5_010 + turn * 10)), "number long, text string, part string")
            new.write.format("delta").mode("append").save(mill.table)
        until("all rows have come", lambda: len(rows_of(spark, mill.table)) == 650)
    finally:
        if stream.poll() is None:
            mill.stop(stream)
    wanted = [*rows(range(100)), *rows(range(1_000, 1_500)), *rows(range(5_000, 5_050))]
    assert by_number(rows_of(spark, mill.table)) == {row["number"]: row for row in wanted}
