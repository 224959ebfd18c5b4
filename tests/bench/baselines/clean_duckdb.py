"""Cleans posts with DuckDB: JSON lines in, Parquet (zstd) out, by the rules of the plugin clean-pin.

Usage: clean_duckdb.py <in.jsonl> <out.parquet>
"""

import sys

import duckdb

COLUMNS = {
    "index": "BIGINT", "unique_id": "VARCHAR", "title": "VARCHAR", "description": "VARCHAR", "poster_name": "VARCHAR",
    "follower_count": "VARCHAR", "tag_list": "VARCHAR", "is_image_or_video": "VARCHAR", "image_src": "VARCHAR",
    "save_location": "VARCHAR", "category": "VARCHAR",
}
CLEAN = """
SELECT index AS ind,
       nullif(unique_id, '') AS unique_id,
       CASE WHEN title NOT IN ('', 'No Title Data Available') THEN title END AS title,
       CASE WHEN description NOT IN ('', 'No description available Story format', 'No description available', 'Untitled')
            THEN description END AS description,
       TRY_CAST(rtrim(follower_count, 'kM') AS BIGINT)
         * CASE right(follower_count, 1) WHEN 'k' THEN 1000 WHEN 'M' THEN 1000000 ELSE 1 END AS follower_count,
       CASE WHEN poster_name NOT IN ('', 'User Info Error') THEN poster_name END AS poster_name,
       CASE WHEN tag_list NOT IN ('', 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e') THEN tag_list END AS tag_list,
       nullif(is_image_or_video, '') AS is_image_or_video,
       CASE WHEN image_src NOT IN ('', 'Image src error.') THEN image_src END AS image_src,
       nullif(CASE WHEN starts_with(save_location, 'Local save in ') THEN save_location[15:] ELSE save_location END, '') AS save_location,
       nullif(category, '') AS category
FROM read_json($source, format = 'newline_delimited', columns = $columns)
WHERE index IS NOT NULL
"""


def main() -> None:
    source, target = sys.argv[1:]
    query = CLEAN.replace("$source", repr(source)).replace("$columns", str(COLUMNS))
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")


main()
