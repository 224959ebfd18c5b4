"""The package in tools/airflow under real Airflow, with the real binary. `make test-airflow` sets everything up and runs it.

Nothing is skipped: what is missing fails.
"""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Airflow reads these when it is imported.
HOME = tempfile.mkdtemp(prefix="wasmill-airflow-")
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "tools/airflow/dags"),
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__SDK__MASK_SECRETS": "True",
    "NO_COLOR": "1",
}


def variable(name: str) -> str:
    value = os.environ.get(name)
    if not value or not Path(value).exists():
        pytest.exit(f"{name} names nothing that is there ({value!r}): run the suite by `make test-airflow`", returncode=1)
    return value


@pytest.fixture(scope="session")
def binary() -> str:
    return variable("WASMILL_BINARY")


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WASMILL_PLUGINS", variable("WASMILL_PLUGIN_FOLDER"))


@pytest.fixture(scope="session")
def airflow() -> "Airflow":
    """A database of Airflow's own, and its command line."""
    airflow = Airflow()
    airflow.run("db", "migrate", timeout=300)
    return airflow


class Airflow:
    """The command line of the Airflow that runs the suite."""

    home = Path(HOME)

    def run(self, *arguments: str, timeout: float = 600, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).parent / "airflow"
        command = [str(program), *arguments]
        ended = subprocess.run(command, env={**os.environ, **environment}, cwd=HOME, capture_output=True, text=True, timeout=timeout)
        assert not check or ended.returncode == 0, ended.stdout + ended.stderr
        return ended


@pytest.fixture
def script(tmp_path: Path):
    """A program that stands in for the binary: a script of the shell."""

    def write(text: str) -> str:
        path = tmp_path / "stand-in"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write
