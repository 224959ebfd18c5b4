"""Checks that a Delta table and Parquet files hold the same cleaned posts; says so in one sentence.

Usage: same_rows.py <delta table> <parquet file>…
"""

import sys

import polars as pl
from deltalake import DeltaTable


def ordered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(sorted(frame.columns)).with_columns(pl.col("ind").cast(pl.Int64)).sort("ind", "unique_id")


def main() -> None:
    table, *files = sys.argv[1:]
    ours = ordered(pl.from_arrow(DeltaTable(table).to_pyarrow_table()))
    for file in files:
        theirs = ordered(pl.read_parquet(file))
        if not ours.equals(theirs):
            differing = [name for name in ours.columns if name not in theirs.columns or ours.height != theirs.height or not ours[name].equals(theirs[name])]
            sys.exit(f"{table} has {ours.height} rows and {file} has {theirs.height}; columns that differ: {', '.join(differing)}")
    print(f"All programs gave the same {ours.height:,} rows, compared value by value with a foreign Delta reader.")


main()
