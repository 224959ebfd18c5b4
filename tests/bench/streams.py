"""The scenarios that need servers: Kafka, S3 and Postgres. `make bench` starts them."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import Failed, Sample, compare, once
from scenarios import Bench, section, verdict

PARTITIONS = 4
SMALL_OBJECTS = 5_000
# The Kinesis server of the tests takes some hundreds a second.
KINESIS_POSTS = 20_000
KINESIS_SHARDS = 4
LOAD_SECONDS = 20
# What is produced while the first epochs are young is not steady load.
WARM_UP_SECONDS = 3
# How the full load is found: so many rates, each for so long, and by when all rows have to be there.
PROBES = 4
PROBE_SECONDS = 8
BEHIND_SECONDS = 1.5


class TooFast(Failed):
    """The machine does not produce so many posts a second."""


def variable(name: str) -> str:
    if name not in os.environ:
        raise Failed(f"{name} is not set: these scenarios need the servers; `make bench` starts them")
    return os.environ[name]


def topic(bench: Bench, source: Path, copies: int) -> str:
    """A topic of its own, filled with the posts so many times over."""
    name = f"bench-{uuid.uuid4().hex}"
    where = ["--brokers", variable("WASMILL_TEST_KAFKA"), "--topic", name]
    once(bench.micro_command("fill", *where, "--partitions", PARTITIONS, "--copies", copies, "--input", source), bench.root, bench.log)
    return name


def command(bench: Bench, pipeline: str, out: Path, settings: list[str], *more: str) -> list[str]:
    sets = [f"dead_letters.files.path={out}/dead_letters", *settings]
    arguments = [argument for setting in sets for argument in ("--set", setting)]
    return [str(bench.wasmill), "run", f"tests/bench/pipelines/{pipeline}.yaml", "--state", f"{out}/state", *more, *arguments]


def from_topic(name: str) -> list[str]:
    return [f"sources.pins.kafka.connection.brokers={variable('WASMILL_TEST_KAFKA')}", f"sources.pins.kafka.topics=[{name}]"]


def into_delta(bench: Bench, name: str, folder: str, expected: int) -> Sample:
    out = bench.fresh(folder)
    settings = [*from_topic(name), f"sinks.pin_table.delta.uri={out}/table"]
    sample = once(command(bench, "kafka-to-delta", out, settings, "--quiet"), bench.root, bench.log)
    expect_rows(bench, out / "table", expected)
    return sample


def expect_rows(bench: Bench, table: Path, expected: int) -> None:
    once(bench.python("delta_rows.py", table), bench.root, bench.log)
    if (rows := int(bench.log.read_text())) != expected:
        raise Failed(f"{table} has {rows} rows, and {expected} were sent")


def kafka(bench: Bench, source: Path) -> str:
    name = topic(bench, source, 1)
    brokers = variable("WASMILL_TEST_KAFKA")

    def bare() -> Sample:
        sample = once(bench.micro_command("bare", "--brokers", brokers, "--topic", name, "--out", bench.fresh("bare")), bench.root, bench.log)
        if (rows := int(bench.log.read_text())) != bench.rows:
            raise Failed(f"the bare loop read {rows} rows, and {bench.rows} were sent")
        return sample

    result = compare({"Wasmill": lambda: into_delta(bench, name, "kafka", bench.rows), "bare loop": bare}, bench.runs)
    lines = ["| program | median, s | fastest–slowest, s | rows a second | peak memory, MiB |", "|---|---|---|---|---|"]
    for program in result.samples:
        seconds = result.seconds(program)
        lines.append(f"| {program} | {seconds:.2f} | {result.spread(program)} | {bench.rows / seconds:,.0f} | {result.megabytes(program):.0f} |")
    speed = 1 / result.ratio("Wasmill", "bare loop")
    return section(
        "Kafka, cleaned by a plugin, into Delta",
        f"{bench.rows:,} posts (lz4) in {PARTITIONS} partitions of a broker on the same cores; two lanes. The bare loop has two consumers with the same options of librdkafka, "
        "decodes with arrow-json and writes Parquet: no plugin, no dead letters, no epochs, no guarantees. Whole processes, start included.",
        lines,
        f"Goal: at least 1.0 of the bare loop's rows a second: {verdict(speed >= 1.0)} ({speed:.2f}).",
    )


def kafka_memory(bench: Bench, source: Path) -> str:
    backlogs = {"1 ×": (topic(bench, source, 1), bench.rows), "10 ×": (topic(bench, source, 10), 10 * bench.rows)}
    result = compare(
        {label: lambda name=name, rows=rows: into_delta(bench, name, "backlog", rows) for label, (name, rows) in backlogs.items()}, max(1, bench.runs // 3)
    )
    lines = ["| backlog | rows | median, s | rows a second | peak memory, MiB |", "|---|---|---|---|---|"]
    for label, (_, rows) in backlogs.items():
        lines.append(f"| {label} | {rows:,} | {result.seconds(label):.2f} | {rows / result.seconds(label):,.0f} | {result.megabytes(label):.0f} |")
    small, large = result.megabytes("1 ×"), result.megabytes("10 ×")
    goals = f"Goals: flat: {verdict(large <= 1.15 * small)} ({large / small:.2f} ×); less than 250 MB: {verdict(large * 1.048576 < 250)} ({large * 1.048576:.0f} MB)."
    return section("Catching up with a topic", "The same pipeline behind a backlog and behind ten times as much.", lines, goals)


class Database:
    """A database of its own on the server of the run."""

    def __init__(self) -> None:
        self.server = variable("WASMILL_TEST_POSTGRES").rsplit("/", 1)[0]
        self.name = f"bench_{uuid.uuid4().hex}"
        self.ask(f"CREATE DATABASE {self.name}", database="postgres")
        self.url = f"{self.server}/{self.name}"

    def ask(self, sql: str, database: str | None = None) -> str:
        psql = max(Path("/usr/lib/postgresql").glob("*/bin/psql"), default=Path("psql"))
        asked = subprocess.run([psql, "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", f"{self.server}/{database or self.name}", "-c", sql], capture_output=True, text=True)
        if asked.returncode != 0:
            raise Failed(f"psql: {asked.stderr}")
        return asked.stdout.strip()


def into_postgres(bench: Bench, database: Database, name: str) -> Sample:
    database.ask("DROP TABLE IF EXISTS pins, wasmill_commits; CHECKPOINT")
    os.environ["PG_URL"] = database.url
    out = bench.fresh("postgres")
    sample = once(command(bench, "kafka-to-postgres", out, from_topic(name), "--quiet"), bench.root, bench.log)
    if (rows := int(database.ask("SELECT count(*) FROM pins"))) != bench.rows:
        raise Failed(f"the table has {rows} rows, and {bench.rows} were sent")
    return sample


def kafka_postgres(bench: Bench, source: Path) -> str:
    name, database = topic(bench, source, 1), Database()
    runs = max(1, bench.runs // 2)
    samples = [into_postgres(bench, database, name) for _ in range(runs + 1)][1:]
    seconds = statistics.median(sample.seconds for sample in samples)
    copies = []
    for _ in range(runs + 1):
        database.ask("DROP TABLE IF EXISTS again; CREATE TABLE again (LIKE pins); CHECKPOINT")
        begun = time.perf_counter()
        database.ask("INSERT INTO again SELECT * FROM pins")
        copies.append(time.perf_counter() - begun)
    copy = statistics.median(copies[1:])
    lines = ["| what | median, s | rows a second | peak memory, MiB |", "|---|---|---|---|"]
    lines.append(f"| Wasmill | {seconds:.2f} | {bench.rows / seconds:,.0f} | {statistics.median(sample.megabytes for sample in samples):.0f} |")
    lines.append(f"| the server alone: `INSERT … SELECT` of the same rows | {copy:.2f} | {bench.rows / copy:,.0f} | |")
    return section(
        "Kafka, cleaned by a plugin, into Postgres",
        f"The same topic into one table by binary COPY, spooled first, one transaction an epoch. The server writes the rows and its log of them on the same cores and disk: what it "
        "takes for them alone is the limit.",
        lines,
        f"The server alone takes {copy / seconds * 100:.0f} % of this time.",
    )


def s3_objects(bench: Bench, source: Path) -> str:
    folder = bench.scratch / f"objects-{bench.rows}"
    if not folder.exists():
        split_into(source, folder, SMALL_OBJECTS)
    prefix = f"s3://{variable('WASMILL_TEST_S3_BUCKET')}/bench/{uuid.uuid4().hex}"
    once(bench.python("s3_upload.py", folder, prefix), bench.root, bench.log)

    def run(uri: str | None) -> Sample:
        out = bench.fresh("objects")
        table = f"sinks.pin_table.delta.uri={out}/table"
        if uri:
            sample = once(command(bench, "s3-to-delta", out, [f"sources.pins.s3.uri={uri}", table], "--quiet"), bench.root, bench.log)
            expect_rows(bench, out / "table", bench.rows)
            return sample
        return bench.pipeline(f"{folder}/*.jsonl", "lanes=2", name="objects")

    result = compare({"objects in S3": lambda: run(f"{prefix}/*.jsonl"), "files on the disk": lambda: run(None)}, max(1, bench.runs // 2))
    lines = ["| source | median, s | fastest–slowest, s | rows a second | objects a second | peak memory, MiB |", "|---|---|---|---|---|---|"]
    for label in result.samples:
        seconds = result.seconds(label)
        lines.append(f"| {label} | {seconds:.2f} | {result.spread(label)} | {bench.rows / seconds:,.0f} | {SMALL_OBJECTS / seconds:,.0f} | {result.megabytes(label):.0f} |")
    slower = result.ratio("objects in S3", "files on the disk")
    return section(
        "Small objects in S3, cleaned by a plugin, into Delta",
        f"{SMALL_OBJECTS:,} objects of {bench.rows // SMALL_OBJECTS} posts, from a SeaweedFS on the same cores; the same files from the disk beside it.",
        lines,
        f"Objects take {slower:.2f} times as long as files: the limit is the store, which serves {SMALL_OBJECTS / result.seconds('objects in S3'):,.0f} requests a second here and takes its share of both cores for it.",
    )


def kinesis(bench: Bench, source: Path) -> str:
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    posts = bench.scratch / f"posts-{KINESIS_POSTS}.jsonl"
    with source.open("rb") as lines, posts.open("wb") as out:
        out.writelines(next(lines) for _ in range(KINESIS_POSTS))
    stream = f"bench-{uuid.uuid4().hex}"
    streams = [str(bench.wasmill), "streams", "create", stream, "--shards", str(KINESIS_SHARDS), "--endpoint", variable("WASMILL_TEST_KINESIS"), "--region", "us-east-1"]
    once(streams, bench.root, bench.log)
    out = bench.fresh("kinesis-fill")
    fill = [str(bench.wasmill), "run", "tests/bench/pipelines/kinesis-fill.yaml", "--quiet", "--state", f"{out}/state"]
    filled = once([*fill, "--set", f"sources.pins.files.path={posts}", "--set", f"sinks.stream.kinesis.stream={stream}"], bench.root, bench.log)

    def run(pipeline: str, *settings: str) -> Sample:
        out = bench.fresh("kinesis")
        sets = [f"sources.pins.kinesis.stream={stream}", *(setting.format(out=out) for setting in settings)]
        sample = once(command(bench, pipeline, out, sets, "--quiet"), bench.root, bench.log)
        if pipeline == "kinesis-to-delta":
            expect_rows(bench, out / "table", KINESIS_POSTS)
        return sample

    result = compare(
        {
            "cleaned, into Delta": lambda: run("kinesis-to-delta", "sinks.pin_table.delta.uri={out}/table"),
            "as it is, into files": lambda: run("kinesis-raw", "sinks.raw.files.path={out}/raw"),
        },
        max(1, bench.runs // 2),
    )
    lines = ["| what | median, s | fastest–slowest, s | rows a second | peak memory, MiB |", "|---|---|---|---|---|"]
    for label in result.samples:
        seconds = result.seconds(label)
        lines.append(f"| {label} | {seconds:.2f} | {result.spread(label)} | {KINESIS_POSTS / seconds:,.0f} | {result.megabytes(label):.0f} |")
    lines.append(f"| put by the sink `kinesis` | {filled.seconds:.2f} | | {KINESIS_POSTS / filled.seconds:,.0f} | {filled.megabytes:.0f} |")
    ratio = result.ratio("cleaned, into Delta", "as it is, into files")
    return section(
        "Kinesis, cleaned by a plugin, into Delta",
        f"{KINESIS_POSTS:,} posts in {KINESIS_SHARDS} shards, polled five times a second and shard as Kinesis allows; a server for tests (kinesis-local) on the same cores.",
        lines,
        f"Cleaning and Delta take {ratio:.2f} times as long as the records alone: the limit is the server, which answers with some thousand records a second. AWS gives 2 MB a second and shard.",
    )


def split_into(source: Path, folder: Path, parts: int) -> None:
    """Deals the lines of a file out, in order, to so many files."""
    unfinished = folder.with_name(folder.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with source.open("rb") as lines:
        count = sum(1 for _ in lines)
        lines.seek(0)
        for number in range(parts):
            share = (number + 1) * count // parts - number * count // parts
            with (unfinished / f"{number:05}.jsonl").open("wb") as out:
                out.writelines(next(lines) for _ in range(share))
    unfinished.rename(folder)


@contextmanager
def running(bench: Bench, arguments: list[str]) -> Iterator[subprocess.Popen]:
    """A pipeline that streams; it is asked to stop at the end, and has to end well."""
    with (bench.scratch / "stream.log").open("wb") as said:
        process = subprocess.Popen(arguments, cwd=bench.root, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if process.returncode != 0:
        raise Failed(f"{' '.join(arguments)}\nended with status {process.returncode}:\n{(bench.scratch / 'stream.log').read_text()[-3000:]}")


def wait_for(mill: subprocess.Popen, what: str, done) -> None:
    deadline = time.monotonic() + 120
    while not done():
        if mill.poll() is not None:
            return  # `running` says why.
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not come within 120 s")
        time.sleep(0.2)


def latency(bench: Bench, source: Path) -> str:
    database = Database()
    full = topic(bench, source, 1)
    alone = {
        "Postgres": bench.rows / min(into_postgres(bench, database, full).seconds for _ in range(2)),
        "Delta": bench.rows / min(into_delta(bench, full, "kafka", bench.rows).seconds for _ in range(2)),
    }
    lines = ["| sink | full load, posts a second | epochs of | at half of it: p50, ms | p99, ms |", "|---|---|---|---|---|"]
    worst = None
    for sink, most in alone.items():
        load = full_load(bench, source, database, sink, most)
        for every in ("100ms", "1s", "10s"):
            measured = measure_latency(bench, source, database, sink, every, load // 2)
            lines.append(f"| {sink} | {load:,} | {every} | {measured[0]:,.0f} | {measured[1]:,.0f} |")
            if (sink, every) == ("Postgres", "100ms"):
                worst = measured[1]
    return section(
        "From produce to visible row",
        f"Producer, broker and server run on the same cores as the pipeline. Full load is the most that it keeps up with then, at epochs of 100 ms: all rows are visible within {BEHIND_SECONDS:g} s after the last "
        f"was produced. Half of it is produced for {LOAD_SECONDS} s (the first {WARM_UP_SECONDS} s are left out) into {PARTITIONS} partitions; what earlier runs had left in memory is on the disk before. Each post carries "
        "the moment in which it was produced. A row is visible in Postgres with its transaction's commit time, and in Delta when the log entry that adds its file was put.",
        lines,
        f"Goal: p99 below 250 ms for Postgres with epochs of 100 ms: {verdict(worst < 250)} ({worst:,.0f}).",
    )


def full_load(bench: Bench, source: Path, database: Database, sink: str, most: float) -> int:
    """The posts a second that the pipeline keeps up with while they are produced; `most` is what it reads when nobody produces."""
    low, high = most / 5, most
    for _ in range(PROBES):
        rate = int((low + high) / 2)
        try:
            _, behind = stream(bench, source, database, sink, "100ms", rate, PROBE_SECONDS)
        except TooFast:
            behind = PROBE_SECONDS
        low, high = (rate, high) if behind <= BEHIND_SECONDS else (low, rate)
    return int(low)


def stream(bench: Bench, source: Path, database: Database, sink: str, every: str, rate: int, seconds: int) -> tuple[Path, float]:
    """Produces into a pipeline that streams. Answers its folder, and how long after the last post the last row was committed."""
    name, out = topic(bench, source, 0), bench.fresh("latency")
    # The system writes for half a minute what earlier runs have left in memory, and a program that makes a file durable waits for it.
    os.sync()
    database.ask("DROP TABLE IF EXISTS pins, wasmill_commits; CHECKPOINT")
    settings = [*from_topic(name), f"epoch.every={every}", "epoch.rows=100000000"]
    if sink == "Delta":
        settings.append(f"sinks.pin_table.delta.uri={out}/table")
    pipeline = {"Delta": "kafka-to-delta", "Postgres": "kafka-to-postgres"}[sink]
    with running(bench, command(bench, pipeline, out, settings, "--mode", "stream", "--json")) as mill:
        said = bench.scratch / "stream.log"
        wait_for(mill, "the start of the pipeline", lambda: '"event":"progress"' in said.read_text())
        where = ["--brokers", variable("WASMILL_TEST_KAFKA"), "--topic", name]
        try:
            once(bench.micro_command("load", *where, "--partitions", PARTITIONS, "--rate", rate, "--seconds", seconds, "--input", source), bench.root, bench.log)
        except Failed as failed:
            if "more than this machine produces" in str(failed):
                raise TooFast from failed
            raise
        produced = time.monotonic()
        wait_for(mill, "the last row", lambda: committed_rows(said) >= rate * seconds)
        return out, time.monotonic() - produced


def measure_latency(bench: Bench, source: Path, database: Database, sink: str, every: str, rate: int) -> tuple[float, float]:
    out, _ = stream(bench, source, database, sink, every, rate, LOAD_SECONDS)
    total = rate * LOAD_SECONDS
    if sink == "Delta":
        once(bench.python("delta_latency.py", out / "table", WARM_UP_SECONDS), bench.root, bench.log)
        rows, p50, p99 = json.loads(bench.log.read_text())
    else:
        late = "extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000 - ind / 1000.0"
        found = database.ask(
            f"SELECT (SELECT count(*) FROM pins), percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY {late}) FROM pins "
            f"WHERE ind >= (SELECT min(ind) FROM pins) + {WARM_UP_SECONDS * 1_000_000}"
        )
        rows, both = found.split("|")
        p50, p99 = map(float, both.strip("{}").split(","))
    if int(rows) != total:
        raise Failed(f"{sink} has {rows} rows, and {total} were produced")
    return p50, p99


def committed_rows(said: Path) -> int:
    events = (json.loads(line) for line in said.read_text().splitlines() if line.startswith('{"event":"epoch"'))
    return sum(event["rows"] for event in events)


STREAMS = {
    "kafka": kafka,
    "kafka-memory": kafka_memory,
    "kafka-postgres": kafka_postgres,
    "s3-objects": s3_objects,
    "kinesis": kinesis,
    "latency": latency,
}

__all__ = ["STREAMS"]
