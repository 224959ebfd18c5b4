"""The scenarios of keyed stages in streams: windows of a topic, and what an epoch writes of a large state."""

import json
import os
import signal
import statistics
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keyed import make_rows, mill, short
from measure import Failed, Sample, compare, once
from scenarios import Bench, section, verdict
from streams import PARTITIONS, variable

WINDOW_KEYS = 1_000
PATIENCE_SECONDS = 900


class Streaming:
    """A pipeline that streams, and the events that it prints."""

    def __init__(self, process: subprocess.Popen, begun: float) -> None:
        self.process, self.begun, self.megabytes = process, begun, 0.0

    def events(self) -> Iterator[dict]:
        """Each event when it comes, until the end."""
        for line in self.process.stdout:
            if line.startswith(b"{"):
                yield json.loads(line)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@contextmanager
def streaming(bench: Bench, command: list[str]) -> Iterator[Streaming]:
    """Starts a pipeline with `--json`; the caller stops it. It has to end well, and within bounds."""
    with bench.log.open("wb") as said:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=bench.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
        patience = threading.Timer(PATIENCE_SECONDS, process.kill)
        patience.start()
        stream = Streaming(process, begun)
        try:
            yield stream
            for _ in stream.events():
                pass
        except BaseException:
            process.kill()
            raise
        finally:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            process.stdout.close()
            patience.cancel()
    stream.megabytes = usage.ru_maxrss / 1024
    if process.returncode != 0:
        raise Failed(f"{' '.join(command)}\nended with status {process.returncode}:\n{bench.log.read_text(errors='replace')[-3000:]}")


def until_committed(bench: Bench, command: list[str], rows: int) -> Sample:
    """Runs a stream until so many rows are committed. It is asked to stop when it has read them, so that none waits for the end of an epoch."""
    with streaming(bench, command) as stream:
        seconds, committed, asked = None, 0, False
        for event in stream.events():
            committed += event["rows"] if event["event"] == "epoch" else 0
            if committed >= rows and seconds is None:
                seconds = time.perf_counter() - stream.begun
            has_read = event["event"] == "progress" and event["progress"]["rows"] >= rows
            if not asked and (has_read or seconds is not None):
                asked = True
                stream.stop()
    if seconds is None:
        raise Failed(f"{committed} of {rows} rows were committed within {PATIENCE_SECONDS} s")
    return Sample(seconds, stream.megabytes)


def windowed_stream(bench: Bench, source: Path) -> str:
    del source
    rows = bench.keyed_rows // 2
    path = make_rows(bench, f"windows-{rows}.jsonl", rows, WINDOW_KEYS, "--times")
    name, brokers = f"bench-{uuid.uuid4().hex}", variable("WASMILL_TEST_KAFKA")
    where = ["--brokers", brokers, "--topic", name, "--partitions", PARTITIONS]
    once(bench.micro_command("fill", *where, "--input", path), bench.root, bench.log)

    def run(folder: str, *more: str) -> Sample:
        out = bench.fresh(folder)
        settings = [f"sources.rows.kafka.connection.brokers={brokers}", f"sources.rows.kafka.topics=[{name}]", f"sinks.table.delta.uri={out}/table", *more]
        return until_committed(bench, mill(bench, "kafka-windows", out, settings, "--json"), rows)

    windowed, stateless = "windows", "rows as they are"
    result = compare(
        {windowed: lambda: run("windows"), stateless: lambda: run("no-windows", "stages.per_window=", "sinks.table.from=rows")}, max(1, bench.runs // 2)
    )
    out = bench.scratch / "out"
    once(bench.python("same_windows.py", path, out / "windows/table", out / "no-windows/table"), bench.root, bench.log)
    same = bench.log.read_text().strip()
    lines = ["| stream | median, s | fastest–slowest, s | rows a second | peak memory, MiB |", "|---|---|---|---|---|"]
    for label in result.samples:
        seconds = result.seconds(label)
        lines.append(f"| {label} | {seconds:.2f} | {result.spread(label)} | {rows / seconds:,.0f} | {result.megabytes(label):.0f} |")
    share = 1 / result.ratio(windowed, stateless)
    return section(
        "Windows of a stream",
        f"{rows:,} rows of {WINDOW_KEYS:,} keys in {PARTITIONS} partitions of a Kafka broker on the same cores, two lanes, epochs of a second, into Delta. One stream counts and sums per key "
        "in windows of ten seconds of event time, which are emitted when they close; the other writes the rows. From the start of the process until all rows are "
        "committed; the last epoch is closed when all rows are read.",
        lines,
        f"Goal: at least 0.7 of the rows a second of the stateless stream: {verdict(share >= 0.7)} ({share:.2f}). {same}",
    )


@dataclass
class Epoch:
    """How an epoch ended that a request to stop had closed."""

    rows: int
    seconds: float
    """From the request until the epoch was committed."""
    commit_seconds: float
    """The part of it in which the sink committed."""
    state_bytes: int
    """The size of the files that it added to the state, without the checkpoint itself."""


def close_epoch(bench: Bench, out: Path, settings: list[str], rows: int) -> Epoch:
    """Runs the pipeline until it has read its rows, and has it close the epoch."""
    before = state_files(out)
    settings = [f"sources.rows.files.path={out}/rows/*.jsonl", f"sinks.results.delta.uri={out}/table", *settings]
    with streaming(bench, mill(bench, "changes", out, settings, "--json")) as stream:
        asked, ended, epoch = None, None, None
        for event in stream.events():
            if event["event"] == "progress" and event["progress"]["rows"] >= rows and asked is None:
                asked = time.perf_counter()
                stream.stop()
            elif event["event"] == "epoch":
                ended, epoch = time.perf_counter(), event
    if asked is None or ended is None or epoch["rows"] != rows:
        raise Failed(f"no epoch with {rows} rows was committed: {epoch}")
    added = sum(size for path, size in state_files(out).items() if path not in before)
    return Epoch(rows, ended - asked, epoch["commit_seconds"], added)


def state_files(out: Path) -> dict[Path, int]:
    """The files of keyed stages below the state, with their sizes."""
    return {path: path.stat().st_size for path in (out / "state").rglob("*") if path.is_file() and path.suffix == ".run"}


def checkpoint(bench: Bench, source: Path) -> str:
    del source
    keys = bench.keyed_rows // 10
    changed = keys // 100
    every = make_rows(bench, f"every-{keys}.jsonl", keys, keys)
    some = make_rows(bench, f"some-{keys}.jsonl", changed, keys, "--seed", 2)
    fresh = make_rows(bench, f"fresh-{keys}.jsonl", changed, changed, "--first-key", keys)
    dedup = ["stages.per_key.aggregate=", "stages.per_key.dedup.by=[key]", "sinks.results.delta.write=append", "sinks.results.delta.key="]
    works = {"running results": (some, []), "duplicates": (fresh, dedup)}
    lines = ["| stage | epoch | rows | its end, s | of that the sink's commit, s | new state, bytes | bytes per row |", "|---|---|---|---|---|---|---|"]
    times, sizes = [], []
    for work, (second, settings) in works.items():
        pairs = []
        for _ in range(max(1, bench.runs // 2)):
            out = bench.fresh("changes")
            (out / "rows").mkdir()
            os.link(every, out / "rows/1.jsonl")
            full = close_epoch(bench, out, settings, keys)
            os.link(second, out / "rows/2.jsonl")
            pairs.append((full, close_epoch(bench, out, settings, changed)))
        times.append(statistics.median(part.seconds / full.seconds for full, part in pairs))
        full, part = pairs[-1]
        sizes.append(part.state_bytes / part.rows / (full.state_bytes / full.rows))
        for index, label in enumerate(("all keys", "1 % of the keys")):
            epochs = [pair[index] for pair in pairs]
            seconds, commit = (statistics.median(getattr(epoch, name) for epoch in epochs) for name in ("seconds", "commit_seconds"))
            size = epochs[-1].state_bytes
            lines.append(f"| {work} | {label} | {epochs[0].rows:,} | {seconds:.3f} | {commit:.3f} | {size:,} | {size / epochs[0].rows:.1f} |")
    bench.fresh("changes")
    goals = (
        f"Goals: an epoch that changes 1 % writes at most 1.5 × its share of the state: {verdict(max(sizes) <= 1.5)} ({' and '.join(f'{size:.2f}' for size in sizes)}); "
        f"it ends in at most 0.2 × the time of one that writes all: {verdict(max(times) <= 0.2)} ({' and '.join(f'{ratio:.2f}' for ratio in times)})."
    )
    return section(
        "What an epoch writes",
        f"A first epoch with {short(keys)} keys, then one with {changed:,} rows: running results (`emit: every_epoch`, count and sum) of keys that are there, and new keys of `dedup`. "
        "The end of an epoch goes from the request to stop until it is committed: exchange between lanes, state, results, checkpoint, commit into Delta. "
        "New state is the sorted runs that it adds, without the checkpoint that names them.",
        lines,
        goals,
    )


STREAMS = {"windowed-stream": windowed_stream, "checkpoint": checkpoint}
