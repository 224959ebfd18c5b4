"""The operator: what it runs, what it logs, what it returns, what it raises, how it stops."""

import json
import logging
import os
import re
import signal
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from wasmill_airflow import EXITS, WasmillOperator, exit_of

PIPELINE = """
name: pins
sources: { pins: { emulator: { table: pin, rows: 500, dirt: real } } }
stages: { clean_pins: { from: pins, plugin: clean-pin } }
sinks: { pin_table: { from: clean_pins, delta: { uri: out/pins } } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
"""
ENDLESS = """
name: endless
mode: stream
sources: { pins: { emulator: { table: pin, rate: 100 } } }
sinks: { pins: { from: pins, files: { path: out/pins, format: jsonl } } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
epoch: { every: 200ms }
"""
CANARY = "hunter2-canary-0123456789"


def finished(**more: Any) -> str:
    summary = {"pipeline": "p", "mode": "batch", "stopped": False, "epochs": 1, "time": 1.5, "nodes": [], "notes": [], **more}
    return json.dumps({"event": "finished", "summary": summary})


@pytest.fixture
def task(tmp_path: Path, binary: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)

    def build(text: str = PIPELINE, **arguments: Any) -> WasmillOperator:
        (tmp_path / "pipeline.yaml").write_text(text)
        return WasmillOperator(**{"task_id": "t", "pipeline": "pipeline.yaml", "working_directory": str(tmp_path), "binary": binary, **arguments})

    return build


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]):
    """Everything that was logged, wherever Airflow's logging goes."""
    return lambda: "\n".join([*(record.getMessage() for record in caplog.records), *capfd.readouterr()])


def test_a_run_returns_the_rows_of_each_node_and_logs_its_events(task, lines) -> None:
    rows = task().execute({})
    assert (rows["pipeline"], rows["mode"], rows["stopped"], rows["epochs"]) == ("pins", "batch", False, 1)
    assert rows["sources"]["pins"]["rows_in"] == 500
    written, dead = rows["sinks"]["pin_table"]["rows_out"], rows["dead_letters"]["dead_letters"]["rows_out"]
    assert written + dead == 500 and written > 400
    assert json.loads(json.dumps(rows)) == rows, "it fits XCom"
    logged = lines()
    assert "epoch 1 committed: 500 rows" in logged and "sink pin_table:" in logged and "pins finished" in logged
    again = task().execute({})
    assert again["epochs"] == 0 and again["sinks"]["pin_table"]["rows_out"] == 0
    assert "resumes after epoch 1" in lines()


def test_a_check_returns_its_findings_and_touches_nothing(task, lines, tmp_path: Path) -> None:
    assert task(command="check").execute({}) == {"errors": 0, "warnings": 0, "not_checked": 0}
    assert not (tmp_path / "out").exists()
    with pytest.raises(AirflowFailException, match="configuration"):
        task(PIPELINE.replace("plugin: clean-pin", "plugin: clean-pim"), command="check").execute({})
    logged = lines()
    assert "error[plugin-not-found]" in logged and "did you mean `clean-pin`?" in logged
    offline = task(PIPELINE.replace("emulator: { table: pin, rows: 500, dirt: real }", 'kafka: { connection: { brokers: "b1:9092" }, topics: [x] }'))
    offline.command, offline.offline = "check", True
    assert offline.execute({})["not_checked"] > 0


def test_a_preview_logs_rows_and_writes_nothing(task, lines, tmp_path: Path) -> None:
    assert task(command="preview", limit=5).execute({}) is None
    assert "pin_table (" in lines()
    assert not (tmp_path / "out").exists()


def test_a_report_is_a_page_and_its_path(task, tmp_path: Path) -> None:
    task().execute({})
    page = task(command="report", page="page-{{ ds }}.html")
    page.render_template_fields({"ds": "2026-01-02"})
    assert page.execute({}) == str(tmp_path / "page-2026-01-02.html")
    text = (tmp_path / "page-2026-01-02.html").read_text()
    assert "pin_table" in text and "500" in text
    with pytest.raises(AirflowFailException, match="configuration"):
        task("name: x\nsauces: {}\n", command="report", page="page.html").execute({})


@pytest.mark.parametrize(
    ("status", "error"),
    [(2, AirflowFailException), (3, AirflowFailException), (4, AirflowFailException), (5, AirflowException), (6, AirflowFailException),
     (70, AirflowException), (130, AirflowException), (99, AirflowException)],
)  # fmt: skip
def test_who_has_to_act_decides_whether_airflow_retries(task, script, status: int, error: type[Exception]) -> None:
    failed = json.dumps({"event": "failed", "class": "x", "code": "delta/conflict", "message": "it is so", "details": [], "hint": None})
    with pytest.raises(error, match=f"exit status {status}") as raised:
        task(binary=script(f"echo '{failed}'; exit {status}")).execute({})
    assert type(raised.value) is error
    assert "[delta/conflict] it is so" in str(raised.value)


def test_the_statuses_are_those_of_the_program(binary: str) -> None:
    text = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout
    listed = {int(status) for status in re.findall(r"^  (\d+) +\S", text.split("Exit status:")[1], re.MULTILINE)}
    # 0 is no failure, and 1 the answer of commands that this package does not run.
    assert listed - {0, 1} == set(EXITS)
    assert exit_of(-9).is_retried and exit_of(-9).name == "ended by signal 9"


def test_a_status_0_without_a_word_is_no_success(task, script) -> None:
    with pytest.raises(AirflowException, match="no summary"):
        task(binary=script("exit 0")).execute({})
    with pytest.raises(AirflowException, match="stopped from outside"):
        task(binary=script(f"echo '{finished(stopped=True)}'")).execute({})
    assert task(binary=script(f"echo '{finished(stopped=True, mode='stream')}'")).execute({})["stopped"]
    with pytest.raises(AirflowException, match="signal 9"):
        task(binary=script(f"echo '{finished()}'; kill -9 $$")).execute({})


def test_a_program_that_is_not_there_is_said(task) -> None:
    with pytest.raises(AirflowException, match="cannot start /nowhere/wasmill"):
        task(binary="/nowhere/wasmill").execute({})


def test_what_is_printed_beside_events_is_logged_and_an_unknown_event_breaks_nothing(task, script, lines) -> None:
    task(binary=script(f"echo '| a row |'; echo '{{\"event\":\"new-kind\",\"a\":1}}'; echo '{{not json'; echo trouble >&2; echo '{finished()}'")).execute({})
    logged = lines()
    assert all(text in logged for text in ["| a row |", '"new-kind"', "{not json", "trouble"])


def test_much_output_is_taken_without_waiting(task, script) -> None:
    big = script(f"i=0; while [ $i -lt 20000 ]; do echo line $i; echo more $i >&2; i=$((i+1)); done; echo '{finished()}'")
    assert task(binary=big).execute({})["epochs"] == 1


def test_the_command_line_has_what_was_asked_for(task) -> None:
    operator = task(
        sets={"sources.pins.files": None, "lanes": 2, "name": "a b", "on": True, "sources.x.topics": ["é", "b"]},
        mode="stream", drain=True, limit=7, state="/var/state", plugins=["p", "q"],
    )  # fmt: skip
    assert operator.command_line()[1:] == [
        "run", "pipeline.yaml",
        "--set", "sources.pins.files=", "--set", "lanes=2", "--set", 'name="a b"', "--set", "on=true", "--set", 'sources.x.topics=["é", "b"]',
        "--mode", "stream", "--state", "/var/state", "--limit", "7", "--plugins", "p", "--plugins", "q", "--drain", "--json",
    ]  # fmt: skip
    for wrong in ({"command": "list"}, {"offline": True}, {"command": "check", "limit": 1}, {"command": "preview", "drain": True}, {"command": "report"}, {"page": "x"},
                  {"command": "report", "page": "x", "limit": 1}):  # fmt: skip
        with pytest.raises(ValueError):
            task(**wrong)


def test_templates_are_filled_in(task) -> None:
    operator = task(sets={"sources.pins.files.path": "data/{{ ds }}/*.jsonl"}, secrets={"KEY": "{{ params.key }}"})
    operator.render_template_fields({"ds": "2026-01-02", "params": {"key": CANARY}})
    assert operator.sets == {"sources.pins.files.path": "data/2026-01-02/*.jsonl"}
    assert operator.secrets == {"KEY": CANARY}


def test_secrets_reach_the_pipeline_and_no_log(task, script, lines, tmp_path: Path) -> None:
    text = PIPELINE.replace("delta: { uri: out/pins }", 'postgres: { connection: { url: "postgres://u:${secret:KEY}@127.0.0.1:1/x" }, retry: { for: 0s }, table: t }')
    with pytest.raises(AirflowException) as raised:
        task(text, secrets={"KEY": CANARY}).execute({})
    assert CANARY not in str(raised.value) + lines()
    # A program that prints whatever it has, everywhere.
    leak = script(f'echo "env: $KEY"; echo "$KEY" >&2; echo "{{\\"event\\":\\"failed\\",\\"code\\":null,\\"message\\":\\"no $KEY\\"}}"; exit 5')
    with pytest.raises(AirflowException) as raised:
        task(binary=leak, secrets={"KEY": CANARY}).execute({})
    logged = lines()
    assert CANARY not in str(raised.value) + logged and "env: ***" in logged


def test_airflow_masks_secrets_among_rendered_templates() -> None:
    from airflow.sdk._shared.secrets_masker import redact

    assert CANARY not in str(redact({"KEY": CANARY}, "secrets"))


def test_a_kill_lets_the_run_finish_its_epoch(task, tmp_path: Path) -> None:
    operator = task(ENDLESS)
    begun = tmp_path / "out/pins"

    def kill() -> None:
        wait_until(lambda: any(begun.glob("*.jsonl")))
        operator.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(AirflowException, match="killed"):
        operator.execute({})
    killer.join(60)
    assert not killer.is_alive()
    state = (tmp_path / ".wasmill/state/endless/lock").read_text()
    assert not Path(f"/proc/{state.strip()}").exists(), "it runs on"


def test_a_run_that_does_not_end_is_ended_with_what_it_started(task, script, tmp_path: Path) -> None:
    stubborn = script(f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/pid; wait; wait; wait")
    operator = task(binary=stubborn, stop_within=timedelta(seconds=1))
    threading.Thread(target=lambda: (wait_until((tmp_path / "pid").exists), operator.on_kill())).start()
    with pytest.raises(AirflowException, match="killed"):
        operator.execute({})
    for file in ("pid", "child"):
        wait_until(lambda: not alive(int((tmp_path / file).read_text())))


def test_an_exception_from_outside_stops_the_run(task, tmp_path: Path) -> None:
    operator = task(ENDLESS)

    def alarm(*_: object) -> None:
        raise TimeoutError("the task took too long")

    before = signal.signal(signal.SIGALRM, alarm)
    try:
        signal.alarm(3)
        with pytest.raises(TimeoutError):
            operator.execute({})
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    pid = int((tmp_path / ".wasmill/state/endless/lock").read_text())
    assert not alive(pid)


def alive(pid: int) -> bool:
    try:
        # A zombie has ended, too.
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def wait_until(is_so, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.05)


def test_nobody_but_the_child_gets_the_secrets(task, script) -> None:
    task(binary=script(f"test \"$KEY\" = {CANARY} && echo '{finished()}'"), secrets={"KEY": CANARY}, environment={"OTHER": "x"}).execute({})
    assert "KEY" not in os.environ and "OTHER" not in os.environ
