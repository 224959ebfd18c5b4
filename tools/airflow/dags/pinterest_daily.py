"""Every day: loads the new raw rows of posts, places and people, cleans each table, runs the eight analyses over all cleaned rows and writes a page of their results.

Copy this file into the folder of your DAGs. Three variables of the workers' environment say where things are:

- ``WASMILL_DAILY_FOLDER``: the folder with ``data/`` (raw rows) and ``out/`` (tables), and with the checkpoints; default: the worker's working directory.
- ``WASMILL_PIPELINES``: the folder ``pipelines`` of the repository or of the tarball; default: ``pipelines`` in that folder.
- ``WASMILL_BINARY``: the program; default: ``wasmill`` on the path.
"""

import os
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import DAG, TaskGroup

from wasmill_airflow import WasmillOperator

FOLDER = os.environ.get("WASMILL_DAILY_FOLDER", ".")
PIPELINES = os.environ.get("WASMILL_PIPELINES", "pipelines")
BINARY = os.environ.get("WASMILL_BINARY", "wasmill")

# Each has a pipeline of its own, in the order of their numbers.
ANALYSES = (
    "category_per_country",
    "category_per_year",
    "followers_per_country",
    "category_per_age_group",
    "followers_per_age_group",
    "users_per_joining_year",
    "followers_per_joining_year",
    "followers_per_age_group_and_joining_year",
)
# The page of the day's run; Airflow fills in the day.
PAGE = "out/daily/report-{{ ds }}.html"


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
    # Posts with their places and people: what all analyses read.
    posts = pipeline("posts", "daily/posts.yaml")
    with TaskGroup("analyses") as analyses:
        for name in ANALYSES:
            pipeline(name, f"daily/analyses/{name.replace('_', '-')}.yaml")
    # The results as CSV, and in the log of the task.
    results = pipeline("results", "daily/results.yaml")
    # All of them on one page, with charts.
    report = pipeline("report", "daily/results.yaml", command="report", page=PAGE)

    load >> clean >> posts >> analyses >> results >> report
