"""Real Spark with Delta Lake beside the real binary: what one writes, the other reads. `make test-spark` sets everything up and runs it.

Nothing is skipped: what is missing fails.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

# Five hours or four behind UTC: whatever takes a local time for one of UTC shows.
ZONE = "America/New_York"


def variable(name: str) -> str:
    value = os.environ.get(name)
    if not value or not Path(value).exists():
        pytest.exit(f"{name} names nothing that is there ({value!r}): run the suite by `make test-spark`", returncode=1)
    return value


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    jars = sorted(str(jar) for jar in Path(variable("WASMILL_SPARK_JARS")).glob("*.jar"))
    assert any("delta-spark" in jar for jar in jars), f"no Delta Lake in {jars}"
    builder = SparkSession.builder.master("local[2]").appName("wasmill")
    settings = {
        "spark.jars": ",".join(jars),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": ZONE,
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        # One tier of compiled code brings a small room for it, which the suite fills; then the JVM compiles nothing more.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "1",
        # The plan that ran is the plan that is looked at.
        "spark.sql.adaptive.enabled": "false",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


class Mill:
    """Runs pipelines in a folder of their own."""

    def __init__(self, folder: Path):
        self.folder, self.binary = folder, variable("WASMILL_BINARY")
        self.environment = {**os.environ, "NO_COLOR": "1", "WASMILL_PLUGINS": variable("WASMILL_PLUGIN_FOLDER")}

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "incoming"
        partial.write_text(text)
        partial.rename(path)

    def rows(self, name: str, rows: list[dict]) -> None:
        """A file of JSON lines, complete when it is seen."""
        self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def pipeline(self, delta: dict, schema: dict[str, str] | None, **more) -> None:
        """Files of JSON lines in `data` into the table `table`, by way of pipeline.yaml (JSON is YAML)."""
        source = {"files": {"path": "data/*.jsonl", "follow": "100ms"}, **({"schema": schema} if schema else {})}
        sink = {"from": "rows", "delta": {"uri": "table", **delta}}
        dead = {"files": {"path": "dead", "format": "jsonl"}}
        whole = {"name": "spark", "sources": {"rows": source}, "sinks": {"table": sink}, "dead_letters": dead, **more}
        self.write("pipeline.yaml", json.dumps(whole, indent=2))

    def run(self) -> None:
        self.command("run", "pipeline.yaml")
        dead = [path for path in (self.folder / "dead").glob("*.jsonl")]
        assert not dead, dead[0].read_text()

    def refused(self) -> str:
        """What a run says that can't be."""
        ended = self.ended("run", "pipeline.yaml")
        assert ended.returncode != 0, ended.stdout
        return ended.stderr

    def command(self, *arguments: str) -> None:
        ended = self.ended(*arguments)
        assert ended.returncode == 0, ended.stderr

    def ended(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.binary, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=180)

    def stream(self) -> subprocess.Popen:
        command = [self.binary, "run", "pipeline.yaml", "--mode", "stream"]
        with open(self.folder / "stream.log", "w") as log:
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def stop(self, stream: subprocess.Popen) -> None:
        stream.send_signal(signal.SIGTERM)
        try:
            code = stream.wait(timeout=120)
        except subprocess.TimeoutExpired:
            stream.kill()
            raise
        assert code == 0, (self.folder / "stream.log").read_text()

    @property
    def table(self) -> str:
        return str(self.folder / "table")

    def log(self) -> list[dict]:
        """All actions of the table's log."""
        entries = sorted((self.folder / "table/_delta_log").glob("*.json"))
        return [json.loads(line) for entry in entries for line in entry.read_text().splitlines()]


@pytest.fixture
def mill(tmp_path):
    return Mill(tmp_path)


def until(what: str, is_so, patience: float = 120) -> None:
    """Waits until something is so, and fails when it is not in time."""
    deadline = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < deadline, f"within {patience} s it did not happen that {what}"
        time.sleep(0.05)


def files_read(rows: DataFrame) -> int:
    """How many files Spark opened for a query: those that partition values and statistics did not rule out."""
    rows.collect()
    leaves = rows._jdf.queryExecution().executedPlan().collectLeaves()
    return leaves.apply(0).metrics().apply("numFiles").value()
