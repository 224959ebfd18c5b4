"""Whole rows of a table, as Spark reads its newest version."""

from pyspark.sql import SparkSession


def rows_of(spark: SparkSession, table: str) -> list[dict]:
    return [row.asDict() for row in spark.read.format("delta").load(table).collect()]


def by_number(rows: list[dict]) -> dict[int, dict]:
    """Rows by their number, each of which is there once."""
    found = {row["number"]: row for row in rows}
    assert len(found) == len(rows), f"{len(rows) - len(found)} rows are there again"
    return found
