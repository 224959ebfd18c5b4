"""Checks that the results of the eight analyses in Delta tables are those in Parquet files; says so in one sentence.

Usage: same_analyses.py <folder of Delta tables> <folder of Parquet files, or of folders of them>
"""

import sys
from pathlib import Path

import polars as pl
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from analyses_queries import queries


def ordered(frame: pl.DataFrame) -> pl.DataFrame:
    numbers = [pl.col(name).cast(pl.Float64) for name, kind in frame.schema.items() if kind.is_numeric()]
    return frame.with_columns(numbers).select(sorted(frame.columns)).sort(sorted(frame.columns))


def parquet(place: Path) -> pl.DataFrame:
    files = [place] if place.is_file() else sorted(place.glob("*.parquet"))
    return pl.concat([pl.read_parquet(file) for file in files])


def main() -> None:
    tables, results = map(Path, sys.argv[1:])
    rows = 0
    for name in list(queries())[1:]:
        ours, theirs = ordered(pl.from_arrow(DeltaTable(tables / name).to_pyarrow_table())), ordered(parquet(results / f"{name}.parquet"))
        try:
            assert_frame_equal(ours, theirs, check_exact=True)
        except AssertionError as differs:
            sys.exit(f"{name} differs: {differs}\n{ours}\n{theirs}")
        rows += ours.height
        if ours.height == 0:
            sys.exit(f"{name} has no rows")
    print(f"All {rows:,} rows of the results are the same.")


main()
