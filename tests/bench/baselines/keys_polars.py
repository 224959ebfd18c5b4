"""Count, mean and median of every key with Polars, into Parquet (zstd).

Usage: keys_polars.py <in.jsonl or in.parquet> <out.parquet>
"""

import os
import sys

os.environ["POLARS_MAX_THREADS"] = "2"

import polars as pl


def main() -> None:
    source, target = sys.argv[1:]
    rows = pl.scan_parquet(source) if source.endswith(".parquet") else pl.scan_ndjson(source, schema={"key": pl.Int64, "value": pl.Float64})
    value = pl.col("value")
    results = rows.group_by("key").agg(pl.len().alias("n"), value.mean().alias("mean"), value.median().alias("median"))
    results.sink_parquet(target, compression="zstd", compression_level=1)


main()
