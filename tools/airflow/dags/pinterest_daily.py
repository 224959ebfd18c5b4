"""Every day: loads the new raw rows of posts, places and people, cleans each table, runs the eight analyses over all cleaned rows and prints their results.

Copy this file into the folder of your DAGs. Three variables of the workers' environment say where things are:

- ``WASMILL_DAILY_FOLDER``: the folder with ``data/`` (raw rows) and ``out/`` (tables), and with the checkpoints; default: the worker's working directory.
- ``WASMILL_PIPELINES``: the folder ``pipelines`` of the repository or of the tarball; default: ``pipelines`` in that folder.
- ``WASMILL_BINARY``: the program; default: ``wasmill`` on the path.
"""

import os
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import DAG

from wasmill_airflow import WasmillOperator

FOLDER = os.environ.get("WASMILL_DAILY_FOLDER", ".")
PIPELINES = os.environ.get("WASMILL_PIPELINES", "pipelines")
BINARY = os.environ.get("WASMILL_BINARY", "wasmill")

# The analyses read raw files. Here they read the tables that the tasks before have cleaned: another source, and stages that let every row through.
CLEANED: dict[str, Any] = {"name": "daily-analyses"}
for source, table in (("pins", "pin"), ("geos", "geo"), ("users", "user")):
    CLEANED |= {
        f"sources.{source}.files": None,
        f"sources.{source}.delta.uri": f"out/daily/{table}",
        f"stages.clean_{source}.plugin": None,
        f"stages.clean_{source}.filter": "true",
    }


def pipeline(task_id: str, file: str, **arguments: Any) -> WasmillOperator:
    return WasmillOperator(task_id=task_id, pipeline=f"{PIPELINES}/{file}", working_directory=FOLDER, binary=BINARY, **arguments)


with DAG(
    dag_id="pinterest_daily",
    description=__doc__.splitlines()[0],
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    # A run reads what is new since the run before, whatever day that was: there is nothing to catch up with.
    catchup=False,
    # Two runs of one pipeline exclude each other.
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1), "retry_exponential_backoff": True},
    tags=["wasmill"],
) as dag:
    load = pipeline("load", "daily/load.yaml")
    clean = [pipeline(f"clean_{table}", f"daily/clean-{table}.yaml") for table in ("pin", "geo", "user")]
    # One pass over the three tables computes all eight.
    analyses = pipeline("eight_analyses", "analyses/analyses.yaml", sets=CLEANED)
    # The results as tables in the log of the task.
    print_results = pipeline("print_results", "daily/print-results.yaml", command="preview", limit=100_000)

    load >> clean >> analyses >> print_results
