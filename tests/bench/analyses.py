"""The eight analyses of pipelines/analyses against DuckDB and Spark, from the same cleaned tables."""

import os
import statistics
from pathlib import Path

from measure import Failed, Sample, compare, once
from scenarios import Bench, finished, rows_of, section, verdict

TABLES = {"pins": "pin", "geos": "geo", "users": "user"}
SINKS = {
    "q1_table": "category_per_country",
    "q2_table": "category_per_year",
    "q3a_table": "followers_per_poster",
    "q3b_table": "country_of_top_poster",
    "q4_table": "category_per_age",
    "q5_table": "followers_per_age",
    "q6_table": "users_per_joining_year",
    "q7_table": "followers_per_joining_year",
    "q8_table": "followers_per_age_and_joining_year",
}


def sets(settings: list[str]) -> list[str]:
    return [argument for setting in settings for argument in ("--set", setting)]


def cleaned(bench: Bench) -> Path:
    """Generated posts, places and people, cleaned, in Parquet files; made once."""
    folder = bench.scratch / f"cleaned-{bench.rows}"
    if not (folder / "ready").exists():
        raw = bench.scratch / "raw"
        once([str(bench.wasmill), "emulate", "--out", str(raw), "--rows", str(bench.rows), "--seed", "1"], bench.root, bench.log)
        settings = [f"dead_letters.files.path={folder}/dead_letters"]
        for name, table in TABLES.items():
            settings += [f"sources.{name}.files.path={raw}/{table}/*.jsonl", f"sinks.{table}_table.delta.uri={folder}/{table}_table"]
        once([str(bench.wasmill), "run", "pipelines/pinterest-to-delta.yaml", "--quiet", "--state", f"{folder}/state", *sets(settings)], bench.root, bench.log)
        (folder / "ready").touch()
    return folder


def wasmill(bench: Bench, source: Path, how: str = "--quiet") -> Sample:
    """Runs the pipeline from cleaned tables: the stages that clean pass every row, and nothing is printed or written as CSV."""
    out = bench.fresh("analyses")
    settings = ["lanes=2", f"dead_letters.files.path={out}/dead_letters"]
    for name, table in TABLES.items():
        settings += [f"sources.{name}.files.path={source}/{table}_table/*.parquet", f"stages.clean_{name}.plugin=", f'stages.clean_{name}.filter="true"']
    for sink, result in SINKS.items():
        settings += [f"sinks.{sink}.delta.uri={out}/{result}", f"sinks.{sink.replace('_table', '_csv')}=", f"sinks.print_{result}="]
    return once([str(bench.wasmill), "run", "pipelines/analyses/analyses.yaml", how, "--state", f"{out}/state", *sets(settings)], bench.root, bench.log)


def same(bench: Bench, other: str) -> str:
    once(bench.python("same_analyses.py", bench.scratch / "out/analyses", bench.scratch / "out" / other), bench.root, bench.log)
    return bench.log.read_text().strip()


def against_duckdb(bench: Bench, _: Path) -> str:
    source = cleaned(bench)

    def duckdb() -> Sample:
        return once(bench.python("analyses_duckdb.py", source, bench.fresh("analyses-duckdb")), bench.root, bench.log)

    result = compare({"Wasmill": lambda: wasmill(bench, source), "DuckDB": duckdb}, max(1, bench.runs // 2))
    alike = same(bench, "analyses-duckdb")
    wasmill(bench, source, "--json")
    nodes = sorted(finished(bench)["nodes"], key=lambda node: -node["counts"]["time"])[:6]
    most = ", ".join(f"`{node['name']}` {node['counts']['time']:.2f} s" for node in nodes)
    ratio = result.ratio("Wasmill", "DuckDB")
    return section(
        "The eight analyses",
        f"`pipelines/analyses/analyses.yaml` over {bench.rows:,} posts, places and people each, duplicates among them. Both programs read the same cleaned tables in Parquet, drop duplicates, join "
        "the three and compute the eight results on two cores. Wasmill writes nine Delta tables in one exactly-once epoch, DuckDB nine Parquet files. The most "
        "frequent values are from the sandboxed plugin `mode`. Whole processes, start included.",
        rows_of("program", result),
        f"Goal: at most 2 × the time of DuckDB: {verdict(ratio <= 2)} ({ratio:.2f}). {alike}\n\nWhere the time goes, over both lanes: {most}.",
    )


def spark_python() -> str:
    cache = Path(os.environ.get("WASMILL_BUILD_CACHE", Path.home() / ".cache/wasmill-build"))
    python = cache / "spark/venv/bin/python"
    if not python.exists():
        raise Failed(f"{python} does not exist: this scenario needs Spark; `make bench` installs it")
    return str(python)


def against_spark(bench: Bench, _: Path) -> str:
    source, python, work = cleaned(bench), spark_python(), []

    def spark() -> Sample:
        script = bench.root / "tests/bench/baselines/analyses_spark.py"
        sample = once([python, str(script), str(source), str(bench.fresh("analyses-spark"))], bench.root, bench.log)
        work.append(float(bench.log.read_text().splitlines()[-1]))
        return sample

    result = compare({"Wasmill": lambda: wasmill(bench, source), "Spark": spark}, max(1, bench.runs // 2))
    alike = same(bench, "analyses-spark")
    faster = 1 / result.ratio("Wasmill", "Spark")
    started = statistics.median(work[1:])
    return section(
        "The eight analyses with Spark",
        "The same from the same tables, with Spark as `local[2]`, two shuffle partitions and 4 GB; it writes nine Parquet files. Whole processes, start included.",
        rows_of("program", result),
        f"Goal: 5 times as fast: {verdict(faster >= 5)} ({faster:.1f}). Without its start, Spark works for {started:.2f} s: {started / result.seconds('Wasmill'):.1f} × the whole "
        f"process of Wasmill. {alike}",
    )


ANALYSES = {"analyses": against_duckdb, "analyses-spark": against_spark}
