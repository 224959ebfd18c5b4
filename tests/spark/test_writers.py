"""Spark and a stream at one table: its history, and MERGE, DELETE, UPDATE and OPTIMIZE while rows are being added. Every conflict is asserted: nothing is retried in silence."""

import json
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Mill, until
from delta_rows import by_number, rows_of
from meanwhile import Meanwhile

SCHEMA = {"number": "int64", "text": "text", "part": "text"}
SPARK_SCHEMA = "number long, text string, part string"


def rows(numbers: range, part: str | None = None) -> list[dict]:
    return [{"number": number, "text": f"text {number}", "part": part or "ab"[number % 2]} for number in numbers]


def commits(mill: Mill) -> dict[int, dict]:
    """What the log says of each version."""
    found = {}
    for entry in (mill.folder / "table/_delta_log").glob("*.json"):
        for action in map(json.loads, entry.read_text().splitlines()):
            if "commitInfo" in action:
                found[int(entry.stem)] = action["commitInfo"]
    return found


def newest_of_spark(mill: Mill) -> tuple[int, str, list[str]]:
    """The newest version that Spark committed, by which operation, and who committed between the version that it had read and its own."""
    infos = commits(mill)
    own = max((version for version, info in infos.items() if info["engineInfo"].startswith("Apache-Spark")), default=-1)
    if own < 0:
        return own, "", []
    return own, infos[own]["operation"], [infos[version]["engineInfo"] for version in range(infos[own]["readVersion"] + 1, own)]


class Stream:
    """A pipeline that follows its folder, and the rows that it was given."""

    def __init__(self, mill: Mill, process: subprocess.Popen):
        self.mill, self.process, self.given, self.lock = mill, process, {}, threading.Lock()

    def add(self, new: list[dict]) -> None:
        with self.lock:
            self.mill.rows(f"data/{new[0]['number']:08}.jsonl", new)
            self.given.update((row["number"], row) for row in new)

    def written(self) -> bool:
        """Whether all of them are in the table's log."""
        assert self.process.poll() is None, (self.mill.folder / "stream.log").read_text()
        ours = (info for info in commits(self.mill).values() if info["engineInfo"].startswith("wasmill"))
        return sum(int(info["operationMetrics"]["numOutputRows"]) for info in ours) == len(self.given)

    def add_and_wait(self, new: list[dict]) -> None:
        self.add(new)
        until("new rows are in the table", self.written, 60)

    @contextmanager
    def growing(self, first: int):
        """A file of ten rows four times a second, until the end."""
        stop = threading.Event()

        def grow() -> None:
            for start in range(first, first + 10_000_000, 10):
                if stop.wait(0.25):
                    return
                self.add(rows(range(start, start + 10)))

        thread = threading.Thread(target=grow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)


@contextmanager
def streaming(mill: Mill):
    process = mill.stream()
    try:
        yield Stream(mill, process)
    finally:
        if process.poll() is None:
            mill.stop(process)


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


def test_what_spark_does_in_partitions_that_a_stream_leaves_alone_never_conflicts(spark, mill):
    """Rows come in while each operation is between its read and its commit, and none is retried. OPTIMIZE moves the stream's own files."""
    mill.pipeline({"partition_by": ["part"], "checkpoint_every": 5}, SCHEMA, epoch={"every": "100ms"}, lanes=2)
    target = f"delta.`{mill.table}`"
    operations = {
        "MERGE": (
            f"MERGE INTO {target} AS t USING (SELECT meanwhile(id) AS number FROM range(0, 10)) AS s ON t.part = 'MERGE' AND t.number = s.number "
            f"WHEN MATCHED THEN UPDATE SET t.text = concat('merged ', t.number)"
        ),
        "DELETE": f"DELETE FROM {target} WHERE part = 'DELETE' AND meanwhile(number) < 110",
        "UPDATE": f"UPDATE {target} SET text = 'updated' WHERE part = 'UPDATE' AND meanwhile(number) < 210",
    }
    with streaming(mill) as stream:
        for at, operation in enumerate(operations):
            stream.add_and_wait(rows(range(at * 100, at * 100 + 50), operation))
        wanted = dict(stream.given)
        for at, (operation, statement) in enumerate(operations.items()):
            start = 1_000 + at * 100
            with Meanwhile(spark, mill.folder, lambda: stream.add_and_wait(rows(range(start, start + 50)))):
                spark.sql(statement)
            _, newest, between = newest_of_spark(mill)
            assert newest == operation and between and all(engine.startswith("wasmill") for engine in between), (newest, between)
        wanted.update({number: {**wanted[number], "text": f"merged {number}"} for number in range(10)})
        for number in range(100, 110):
            del wanted[number]
        wanted.update({number: {**wanted[number], "text": "updated"} for number in range(200, 210)})
        with stream.growing(10_000):
            for statement in [f"OPTIMIZE {target}", f"OPTIMIZE {target} ZORDER BY (number)"]:
                deadline = time.monotonic() + 120
                before = newest_of_spark(mill)[0]
                while True:
                    spark.sql(statement)
                    version, newest, between = newest_of_spark(mill)
                    if version > before and newest == "OPTIMIZE" and between:
                        break
                    assert time.monotonic() < deadline, f"no row came in while Spark did {statement}"
        until("all rows have come", stream.written)
        wanted.update((number, row) for number, row in stream.given.items() if number >= 1_000)
    assert by_number(rows_of(spark, mill.table)) == wanted
    # A later run of ours resumes on what Spark left.
    mill.rows("data/last.jsonl", rows(range(900, 910)))
    mill.run()
    wanted.update((row["number"], row) for row in rows(range(900, 910)))
    assert by_number(rows_of(spark, mill.table)) == wanted


def set_isolation(mill: Mill, level: str) -> None:
    """As Databricks leaves it in a table: its own default is `WriteSerializable`. Delta Lake outside of it honours that and lets nobody set it."""
    metadata = next(action["metaData"] for action in mill.log() if "metaData" in action)
    metadata["configuration"]["delta.isolationLevel"] = level
    info = {"timestamp": int(time.time() * 1000), "operation": "SET TBLPROPERTIES", "operationParameters": {}, "isBlindAppend": False, "engineInfo": "Databricks"}
    append_entry(mill, [{"commitInfo": info}, {"metaData": metadata}])


def append_entry(mill: Mill, actions: list[dict]) -> None:
    log = mill.folder / "table/_delta_log"
    with open(log / f"{max(commits(mill)) + 1:020}.json", "x") as entry:
        entry.writelines(json.dumps(action) + "\n" for action in actions)


def append_unmarked(mill: Mill) -> None:
    """Adds the first file again under another name, as a writer does that does not say whether its append is blind."""
    add = next(action["add"] for action in mill.log() if "add" in action)
    name = "copy.parquet"
    shutil.copy(mill.folder / "table" / add["path"], mill.folder / "table" / name)
    append_entry(mill, [{"commitInfo": {"timestamp": 0, "operation": "WRITE", "engineInfo": "another"}}, {"add": {**add, "path": name}}])


# An operation on the row of number 1, and what becomes of that row.
READS_ALL = {
    "DELETE": ("DELETE FROM {target} WHERE {number} = 1", lambda row: None),
    "UPDATE": ("UPDATE {target} SET text = 'updated' WHERE {number} = 1", lambda row: {**row, "text": "updated"}),
    "MERGE": (
        "MERGE INTO {target} AS t USING (SELECT {id} AS number FROM range(1, 2)) AS s ON t.number = s.number WHEN MATCHED THEN UPDATE SET t.text = 'merged'",
        lambda row: {**row, "text": "merged"},
    ),
}


@pytest.mark.parametrize("level", ["Serializable", "WriteSerializable"])
@pytest.mark.parametrize("writer", ["stream", "spark", "another"])
@pytest.mark.parametrize("operation", READS_ALL)
def test_where_spark_reads_what_is_added_its_isolation_decides(spark, mill, level, writer, operation):
    """An operation without a condition on partitions reads all of them. Spark's level `Serializable`, the default of Delta Lake and the only one that it lets be set
    (`delta.isolationLevel must be Serializable`), takes every file that is added meanwhile for one that should have been read, its own blind appends included:
    `ConcurrentAppendException`, whoever appends. Under `WriteSerializable`, the default of Databricks, appends that say that they are blind do not conflict, ours as little as Spark's;
    those of writers that say nothing do.
    """
    mill.pipeline({}, SCHEMA, epoch={"every": "100ms"}, lanes=1)
    target = f"delta.`{mill.table}`"
    statement, change = READS_ALL[operation]
    mill.rows("data/first.jsonl", rows(range(10)))
    mill.run()
    with pytest.raises(Exception, match="delta.isolationLevel must be Serializable"):
        spark.sql(f"ALTER TABLE {target} SET TBLPROPERTIES ('delta.isolationLevel' = 'WriteSerializable')")
    if level == "WriteSerializable":
        set_isolation(mill, level)

    def append() -> None:
        match writer:
            case "stream":
                with streaming(mill) as stream:
                    stream.given.update((row["number"], row) for row in rows(range(10)))
                    stream.add_and_wait(new)
            case "spark":
                spark.createDataFrame(new, SPARK_SCHEMA).coalesce(1).write.format("delta").mode("append").save(mill.table)
            case "another":
                append_unmarked(mill)

    new = rows(range(10)) if writer == "another" else rows(range(100, 110))
    refused = None
    try:
        with Meanwhile(spark, mill.folder, append):
            spark.sql(statement.format(target=target, number="meanwhile(number)", id="meanwhile(id)"))
    except Exception as error:
        refused = error
    changed = lambda all: [done for row in all if (done := change(row) if row["number"] == 1 else row)]
    if level == "WriteSerializable" and writer != "another":
        assert refused is None, refused
        _, newest, between = newest_of_spark(mill)
        assert newest == operation and between, (newest, between)
        assert whole(spark, mill) == sorted(map(key, changed(rows(range(10))) + new))
        return
    text = str(refused)
    assert "io.delta.exceptions.ConcurrentAppendException" in text and "DELTA_CONCURRENT_APPEND" in text, refused
    assert whole(spark, mill) == sorted(map(key, rows(range(10)) + new)), "an operation that conflicts changes nothing"
    # Nobody adds anything now.
    spark.sql(statement.format(target=target, number="number", id="id"))
    assert whole(spark, mill) == sorted(map(key, changed(rows(range(10)) + new)))


def whole(spark, mill: Mill) -> list[tuple]:
    return sorted(map(key, rows_of(spark, mill.table)))


def key(row: dict) -> tuple:
    return (row["number"], row["text"], row["part"])


def test_spark_adds_rows_while_a_stream_does(spark, mill):
    mill.pipeline({}, SCHEMA, epoch={"every": "100ms"})
    with streaming(mill) as stream:
        stream.add_and_wait(rows(range(100)))
        for turn in range(5):
            stream.add(rows(range(1_000 + turn * 100, 1_100 + turn * 100)))
            new = spark.createDataFrame(rows(range(5_000 + turn * 10, 5_010 + turn * 10)), SPARK_SCHEMA)
            new.write.format("delta").mode("append").save(mill.table)
        until("all rows have come", stream.written)
    wanted = [*rows(range(100)), *rows(range(1_000, 1_500)), *rows(range(5_000, 5_050))]
    assert by_number(rows_of(spark, mill.table)) == {row["number"]: row for row in wanted}
