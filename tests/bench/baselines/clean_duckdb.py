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
       CASE WHEN unique_id NOT IN ('', 'None') THEN unique_id END AS unique_id,
       CASE WHEN title NOT IN ('', 'None', 'No Title Data Available') THEN title END AS title,
       CASE WHEN description NOT IN ('', 'None', 'No description available Story format', 'No description available', 'Untitled')
            THEN description END AS description,
       TRY_CAST(rtrim(follower_count, 'kM') AS BIGINT)
         * CASE right(follower_count, 1) WHEN 'k' THEN 1000 WHEN 'M' THEN 1000000 ELSE 1 END AS follower_count,
       CASE WHEN poster_name NOT IN ('', 'None', 'User Info Error') THEN poster_name END AS poster_name,
       CASE WHEN tag_list NOT IN ('', 'None', 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e') THEN tag_list END AS tag_list,
       CASE WHEN is_image_or_video NOT IN ('', 'None') THEN is_image_or_video END AS is_image_or_video,
       CASE WHEN image_src NOT IN ('', 'None', 'Image src error.') THEN image_src END AS image_src,
       CASE WHEN place NOT IN ('', 'None') THEN place END AS save_location,
       CASE WHEN category NOT IN ('', 'None') THEN category END AS category
FROM (SELECT *, CASE WHEN starts_with(save_location, 'Local save in ') THEN save_location[15:] ELSE save_location END AS place
      FROM read_json($source, format = 'newline_delimited', columns = $columns))
WHERE index IS NOT NULL
"""


def main() -> None:
    source, target = sys.argv[1:]
    query = CLEAN.replace("$source", repr(source)).replace("$columns", str(COLUMNS))
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")


main()
