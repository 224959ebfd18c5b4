"""Every day: lands the new posts of the topic in the bucket, and cleans the new objects into a Delta table.

Copy this file into the folder of your DAGs. Variables of the workers' environment say where things are:

- ``WASMILL_FOLDER``: the folder with ``out/`` and the state of the pipelines; default: the worker's working directory.
- ``WASMILL_PIPELINES``: the folder ``pipelines`` of the repository or of the tarball; default: ``pipelines`` in that folder.
- ``WASMILL_BINARY``: the program; default: ``wasmill`` on the path.
- What the pipelines name: ``KAFKA_BROKERS``, ``PINTEREST_ID``, ``PINTEREST_BUCKET``.
"""

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG

from wasmill_airflow import WasmillOperator

FOLDER = os.environ.get("WASMILL_FOLDER", ".")
PIPELINES = os.environ.get("WASMILL_PIPELINES", "pipelines")
BINARY = os.environ.get("WASMILL_BINARY", "wasmill")


def pipeline(task_id: str, file: str) -> WasmillOperator:
    return WasmillOperator(task_id=task_id, pipeline=f"{PIPELINES}/{file}", working_directory=FOLDER, binary=BINARY)


with DAG(
    dag_id="local_daily",
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
    land = pipeline("land", "scenarios/local/land.yaml")
    clean = pipeline("clean", "scenarios/local/clean.yaml")

    land >> clean
