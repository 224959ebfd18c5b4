"""Checks that Parquet files hold the same count, mean and median of the same keys; says so in one sentence.

Usage: same_keys.py <parquet files>… each a file or a folder of files
"""

import sys
from pathlib import Path

import polars as pl

# A mean is a sum in another order. A median of two values is rounded once, in one of two ways.
RELATIVE = {"n": 0.0, "mean": 1e-12, "median": 2.3e-16}


def read(place: str) -> pl.DataFrame:
    files = sorted(Path(place).glob("*.parquet")) if Path(place).is_dir() else [place]
    frame = pl.concat([pl.read_parquet(file).select("key", pl.col("n").cast(pl.Int64), "mean", "median") for file in files])
    return frame.sort("key")


def main() -> None:
    ours, *others = sys.argv[1:]
    expected = read(ours)
    for other in others:
        found = read(other)
        if not expected["key"].equals(found["key"]):
            sys.exit(f"{ours} has {expected.height} keys and {other} has {found.height}, or other ones")
        for column, relative in RELATIVE.items():
            apart = (expected[column] - found[column]).abs() > relative * found[column].abs()
            if apart.any() or expected[column].null_count() + found[column].null_count() > 0:
                row = apart.arg_true()[0] if apart.any() else 0
                sys.exit(f"{column} of the key {expected['key'][row]} is {expected[column][row]} in {ours} and {found[column][row]} in {other}")
    print(f"{expected.height:,} keys")


main()
