"""Every day: cleans the new objects of the three topics in parallel, and runs the eight analyses over the cleaned tables.

Copy this file into the folder of your DAGs. Variables of the workers' environment say where things are:

- ``WASMILL_FOLDER``: the folder with ``out/`` and the state of the pipelines; default: the worker's working directory.
- ``WASMILL_PIPELINES``: the folder ``pipelines`` of the repository or of the tarball; default: ``pipelines`` in that folder.
- ``WASMILL_BINARY``: the program; default: ``wasmill`` on the path.
- What the pipelines name: ``PINTEREST_ID``, ``PINTEREST_BUCKET``.
"""

import os
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import DAG

from wasmill_airflow import WasmillOperator

FOLDER = os.environ.get("WASMILL_FOLDER", ".")
PIPELINES = os.environ.get("WASMILL_PIPELINES", "pipelines")
BINARY = os.environ.get("WASMILL_BINARY", "wasmill")

# The shipped analyses read raw files. Here they read tables that are clean: other sources, and stages that let every row through.
CLEANED: dict[str, Any] = {"name": "legacy-analyses"}
for source, table in (("pins", "pin"), ("geos", "geo"), ("users", "user")):
    CLEANED |= {
        f"sources.{source}.files": None,
        f"sources.{source}.delta.uri": f"out/legacy/{table}",
        f"stages.clean_{source}.plugin": None,
        f"stages.clean_{source}.filter": "true",
    }


def pipeline(task_id: str, file: str, **arguments: Any) -> WasmillOperator:
    return WasmillOperator(task_id=task_id, pipeline=f"{PIPELINES}/{file}", working_directory=FOLDER, binary=BINARY, **arguments)


with DAG(
    dag_id="legacy_daily",
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
    # The topics land by a stream that runs all the time: land.yaml.
    clean = [pipeline(f"clean_{table}", f"scenarios/legacy-and-stream/clean-{table}.yaml") for table in ("pin", "geo", "user")]
    # One pass over the three tables computes all eight.
    analyses = pipeline("eight_analyses", "analyses/analyses.yaml", sets=CLEANED)

    clean >> analyses
