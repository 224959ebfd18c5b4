"""Cleans posts with Polars: JSON lines in, Parquet (zstd) out, by the rules of the plugin clean-pin.

Usage: clean_polars.py <in.jsonl> <out.parquet>
"""

import sys

import polars as pl

SCHEMA = {
    "index": pl.Int64, "unique_id": pl.String, "title": pl.String, "description": pl.String, "poster_name": pl.String,
    "follower_count": pl.String, "tag_list": pl.String, "is_image_or_video": pl.String, "image_src": pl.String,
    "save_location": pl.String, "category": pl.String,
}
USUAL = ["", "None"]
NULLS = {
    "title": [*USUAL, "No Title Data Available"],
    "description": [*USUAL, "No description available Story format", "No description available", "Untitled"],
    "poster_name": [*USUAL, "User Info Error"],
    "tag_list": [*USUAL, "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"],
    "image_src": [*USUAL, "Image src error."],
    "unique_id": USUAL, "is_image_or_video": USUAL, "category": USUAL,
}
ORDER = ["ind", "unique_id", "title", "description", "follower_count", "poster_name", "tag_list", "is_image_or_video", "image_src",
         "save_location", "category"]


def clean(pins: pl.LazyFrame) -> pl.LazyFrame:
    count = pl.col("follower_count")
    factor = pl.when(count.str.ends_with("k")).then(1_000).when(count.str.ends_with("M")).then(1_000_000).otherwise(1)
    place = pl.col("save_location").str.strip_prefix("Local save in ")
    return pins.filter(pl.col("index").is_not_null()).with_columns(
        *(pl.when(~pl.col(name).is_in(texts)).then(pl.col(name)).alias(name) for name, texts in NULLS.items()),
        (count.str.strip_chars_end("kM").cast(pl.Int64, strict=False) * factor).alias("follower_count"),
        pl.when(~place.is_in(USUAL)).then(place).alias("save_location"),
        pl.col("index").alias("ind"),
    ).select(ORDER)


def main() -> None:
    source, target = sys.argv[1:]
    clean(pl.scan_ndjson(source, schema=SCHEMA)).sink_parquet(target, compression="zstd", compression_level=1)


main()
