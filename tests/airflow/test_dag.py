"""The DAG in tools/airflow/dags under real Airflow: its shape, two days of it over real rows, and its results beside those of another pipeline."""

import csv
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, Airflow, variable

CLEAN = ["clean_geo", "clean_pin", "clean_user"]
# The eight analyses of the documents.
ANALYSES = [
    f"analyses.{name}"
    for name in (
        "category_per_age_group", "category_per_country", "category_per_year", "followers_per_age_group", "followers_per_age_group_and_joining_year",
        "followers_per_country", "followers_per_joining_year", "users_per_joining_year",
    )
]  # fmt: skip
# `wasmill report` shows the rows of tables of at most so many.
MOST_ROWS_OF_A_PAGE = 200
TASKS = ["load", *CLEAN, "posts", *ANALYSES, "results", "report"]
# The results: the file of the other pipeline, our table, and the columns that it calls otherwise.
RESULTS = [
    ("q1_top_category_per_country", "category_per_country", {}),
    ("q2_top_category_per_year", "category_per_year", {}),
    ("q3a_followers_per_country_poster", "followers_per_poster", {}),
    ("q4_top_category_per_age_group", "category_per_age", {}),
    ("q5_median_followers_per_age_group", "followers_per_age", {}),
    ("q6_users_joined_per_year", "users_per_joining_year", {"post_year": "joining_year"}),
    ("q7_median_followers_per_joining_year", "followers_per_joining_year", {"post_year": "joining_year"}),
    ("q8_median_followers_per_age_group_and_joining_year", "followers_per_age_and_joining_year", {"post_year": "joining_year"}),
]


def golden() -> Path:
    return Path(variable("WASMILL_REAL_DATA")) / "golden"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mill")


def run(airflow: Airflow, folder: Path, day: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return airflow.run(
        "dags", "test", "pinterest_daily", day, check=check,
        WASMILL_DAILY_FOLDER=str(folder), WASMILL_PIPELINES=str(ROOT / "pipelines"), WASMILL_BINARY=variable("WASMILL_BINARY"),
        WASMILL_PLUGINS=variable("WASMILL_PLUGIN_FOLDER"),
    )  # fmt: skip


def states(airflow: Airflow, day: str) -> dict[str, str]:
    """The states of the day's tasks, from Airflow's database."""
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        query = "SELECT task_id, task_instance.state FROM task_instance JOIN dag_run USING (dag_id, run_id) WHERE logical_date LIKE ?"
        return dict(database.execute(query, (f"{day}%",)).fetchall())


def returned(airflow: Airflow, task: str) -> dict | str:
    """What a task has returned in the latest run."""
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        query = "SELECT value FROM xcom WHERE task_id = ? AND key = 'return_value' ORDER BY timestamp DESC LIMIT 1"
        value = database.execute(query, (task,)).fetchone()[0]
    while isinstance(value, (str, bytes)):
        try:
            value = json.loads(value)
        except ValueError:
            # A text, and no more JSON.
            return value
    return value


def rows(folder: Path, table: str) -> list[dict]:
    """The rows of a table, by a reader that shares no code with its writer."""
    command = [sys.executable, str(ROOT / "tests/foreign/duckdb_delta.py"), str(folder / "out/daily/analyses" / table)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    return [json.loads(line) for line in printed.splitlines()]


def alike(value: object) -> object:
    """Numbers of any type as floats, and texts that look like numbers, too."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value or None


def in_order(table: list[dict], names: dict[str, str]) -> list[str]:
    renamed = ({names.get(name, name): alike(value) for name, value in row.items()} for row in table)
    return sorted(json.dumps(row, sort_keys=True) for row in renamed)


def assert_results(folder: Path) -> None:
    for file, table, names in RESULTS:
        with (golden() / f"{file}.csv").open() as theirs:
            expected = in_order(list(csv.DictReader(theirs)), names)
        assert expected
        assert in_order(rows(folder, table), {}) == expected, table
    # That pipeline kept one of the countries that tie.
    with (golden() / "q3b_country_of_top_user.csv").open() as theirs:
        kept = {json.dumps({name: alike(value) for name, value in row.items()}, sort_keys=True) for row in csv.DictReader(theirs)}
    assert kept <= set(in_order(rows(folder, "country_of_top_poster"), {}))


def assert_page(returned: Path, page: Path, folder: Path) -> None:
    """One page that loads nothing from anywhere has the rows of each result, and charts of them."""
    assert returned == page and (folder / "out/daily/report-2026-01-02.html").exists(), "each day has a page of its own"
    printed = subprocess.run([sys.executable, str(ROOT / "tests/foreign/read_page.py"), str(page)], capture_output=True, text=True, check=True, timeout=60).stdout
    read = json.loads(printed)
    assert read["loads"] == []
    small = 0
    for table in [*(table for _, table, _ in RESULTS), "country_of_top_poster"]:
        expected = in_order(rows(folder, table), {})
        shown = read["sections"][f"{table}_csv"]
        # Of a large table only the columns are shown.
        if len(expected) <= MOST_ROWS_OF_A_PAGE:
            header, *found = shown[0]
            found = [dict(zip(header, (None if cell == "null" else cell for cell in row), strict=True)) for row in found]
            assert in_order(found, {}) == expected, table
            small += 1
    assert small >= 6
    assert page.read_text().count("<svg") >= 5


def test_the_dag_is_that_of_the_documents(airflow: Airflow) -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "tools/airflow/dags"))
    assert not bag.import_errors, bag.import_errors
    dag = bag.dags["pinterest_daily"]
    assert not dag.catchup and dag.max_active_runs == 1
    assert dag.schedule == "@daily"
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} == {
        "load": CLEAN,
        **{task: ["posts"] for task in CLEAN},
        "posts": ANALYSES,
        **{task: ["results"] for task in ANALYSES},
        "results": ["report"],
        "report": [],
    }
    assert all(task.retries == 2 for task in dag.tasks)


# The DAGs of the scenarios: each task with those behind it.
SCENARIOS = {
    "legacy-and-stream/legacy_daily": {**{task: ["eight_analyses"] for task in CLEAN}, "eight_analyses": []},
    "lambda-on-aws/lambda_daily": {"land": ["batch"], "batch": []},
    "local/local_daily": {"land": ["clean"], "clean": []},
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_dags_of_the_scenarios_are_read_and_name_pipelines_that_are_there(airflow: Airflow, name: str) -> None:
    from airflow.dag_processing.dagbag import DagBag

    folder, dag_id = (ROOT / "pipelines/scenarios" / name).parent, name.rpartition("/")[2]
    bag = DagBag(str(folder / f"{dag_id}.py"))
    assert not bag.import_errors, bag.import_errors
    dag = bag.dags[dag_id]
    assert not dag.catchup and dag.max_active_runs == 1 and dag.schedule == "@daily"
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} == SCENARIOS[name]
    assert all(task.retries == 2 and (ROOT / task.pipeline).is_file() for task in dag.tasks)


def test_every_dag_of_a_scenario_is_tested() -> None:
    assert {str(path.relative_to(ROOT / "pipelines/scenarios").with_suffix("")) for path in (ROOT / "pipelines/scenarios").glob("*/*_daily.py")} == set(SCENARIOS)


def test_two_days_of_real_rows_give_the_results_of_another_pipeline(airflow: Airflow, folder: Path) -> None:
    """The rows arrive on two days. On each the DAG runs whole; after the second the results are those over all rows."""
    lines = {table: (golden() / f"raw_{table}.jsonl").read_text().splitlines(keepends=True) for table in ("pin", "geo", "user")}
    for table, of_table in lines.items():
        (folder / "data" / table).mkdir(parents=True)
        (folder / "data" / table / "day-1.jsonl").write_text("".join(of_table[: math.ceil(len(of_table) / 2)]))
    first = run(airflow, folder, "2026-01-02")
    assert states(airflow, "2026-01-02") == dict.fromkeys(TASKS, "success"), first.stdout + first.stderr
    before = {table: returned(airflow, f"clean_{table}")["sinks"][f"{table}_table"]["rows_out"] for table in lines}
    for table, of_table in lines.items():
        (folder / "data" / table / "day-2.jsonl").write_text("".join(of_table[math.ceil(len(of_table) / 2) :]))
    second = run(airflow, folder, "2026-01-03")
    for table, of_table in lines.items():
        after = returned(airflow, f"clean_{table}")["sinks"][f"{table}_table"]["rows_out"]
        assert before[table] + after == len(of_table), f"{table}: each row was cleaned once"
    assert_results(folder)
    assert states(airflow, "2026-01-03") == dict.fromkeys(TASKS, "success"), second.stdout + second.stderr
    sinks = returned(airflow, "analyses.category_per_country")["sinks"]
    assert sinks["category_per_country_table"]["rows_out"] == len(rows(folder, "category_per_country"))
    assert "print_category_per_country" in second.stdout + second.stderr
    assert_page(Path(returned(airflow, "report")), folder / "out/daily/report-2026-01-03.html", folder)


def test_a_mistake_fails_the_dag_without_a_retry(airflow: Airflow, folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "pipelines"
    shutil.copytree(ROOT / "pipelines", broken)
    (broken / "daily/load.yaml").write_text("name: daily-load\nsauces: {}\n")
    ended = airflow.run(
        "dags", "test", "pinterest_daily", "2026-01-04", check=False,
        WASMILL_DAILY_FOLDER=str(folder), WASMILL_PIPELINES=str(broken), WASMILL_BINARY=variable("WASMILL_BINARY"),
    )  # fmt: skip
    found = states(airflow, "2026-01-04")
    assert found["load"] == "failed" and set(found.values()) <= {"failed", "upstream_failed", None}, found
    assert "unknown key `sauces`" in ended.stdout + ended.stderr
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        tries = database.execute("SELECT max(try_number) FROM task_instance WHERE task_id = 'load' AND state = 'failed'").fetchone()[0]
    assert tries <= 1, "a mistake of the file is not tried again"


def test_the_package_is_typed() -> None:
    package = ROOT / "tools/airflow"
    environment = {**os.environ, "MYPY_CACHE_DIR": os.environ.get("MYPY_CACHE_DIR", str(Path(os.environ["AIRFLOW_HOME"]) / "mypy"))}
    command = [sys.executable, "-m", "mypy", "--config-file", str(package / "pyproject.toml"), str(package / "src")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr
