"""The eight analyses with Spark on two cores: as analyses_duckdb.py. Prints the seconds of the work without the start of Spark.

Usage: analyses_spark.py <folder of pin_table, geo_table, user_table> <out folder>
"""

import sys
import time

from pyspark.sql import SparkSession

from analyses_queries import queries

SETTINGS = {
    "spark.driver.memory": "4g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.session.timeZone": "UTC",
    # Two cores: more parts are only overhead.
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def main() -> None:
    source, target = sys.argv[1:]
    builder = SparkSession.builder.master("local[2]").appName("analyses")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    begun = time.perf_counter()
    pin, geo, user = (spark.read.parquet(f"{source}/{table}_table/*.parquet").dropDuplicates(["ind"]) for table in ("pin", "geo", "user"))
    pin.join(geo, "ind").join(user, "ind").createOrReplaceTempView("joined")
    for name, query in queries().items():
        if name == "posts":
            spark.sql(query).cache().createOrReplaceTempView("posts")
        else:
            spark.sql(query).write.parquet(f"{target}/{name}.parquet")
    print(time.perf_counter() - begun, flush=True)
    # The virtual machine ends with this program, and not beside the next one that is measured.
    gateway = spark.sparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()


main()
