"""The scenario of gateways: what they take per second, beside an equal producer straight into Kafka."""

import json
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import Failed, once
from scenarios import Bench, section, verdict
from streams import PARTITIONS, topic, variable

CONNECTIONS = (1, 16, 256)
ROWS = (1, 500)
SECONDS = 5
GOAL = 20_000


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@contextmanager
def listening(bench: Bench, arguments: list[str], port: int) -> Iterator[None]:
    """A process of Wasmill that listens; it has to end well."""
    with bench.log.open("wb") as said:
        process = subprocess.Popen([str(bench.wasmill), *arguments], cwd=bench.root, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise Failed(f"it does not listen: {bench.log.read_text()}") from None
            time.sleep(0.05)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout=120) != 0:
            raise Failed(bench.log.read_text())
    finally:
        process.kill()


def measured(bench: Bench, command: list[str]) -> dict[str, float]:
    log = bench.scratch / "posted.log"
    once(command, bench.root, log)
    return json.loads(log.read_text().splitlines()[-1])


def gateway(bench: Bench, source: Path) -> str:
    out, name, brokers = bench.fresh("gateway"), topic(bench, source, 0), variable("WASMILL_TEST_KAFKA")
    ports = {"REST proxy": free_port(), "pipeline": free_port()}
    file, pipeline = out / "gateway.yaml", out / "posted.yaml"
    file.write_text(
        f'gateway: bench\nserver: {{ listen: "127.0.0.1:{ports["REST proxy"]}" }}\nroutes:\n  proxy:\n    protocol: kafka_rest\n'
        f'    to: {{ kafka: {{ connection: {{ brokers: "{brokers}" }} }} }}\n'
    )
    pipeline.write_text(
        f'name: bench-{uuid.uuid4().hex[:8]}\nmode: stream\nsources:\n  pins:\n    http: {{ server: {{ listen: "127.0.0.1:{ports["pipeline"]}" }}, max_log: 16GiB }}\n'
        f"    schema: {{ index: int64, title: text }}\nsinks:\n  table: {{ from: pins, delta: {{ uri: {out}/table, write: append }} }}\n"
    )
    lines = ["| rows per request | connections | program | requests/s | rows/s | p50, ms | p99, ms |", "|---|---|---|---|---|---|---|"]
    best = 0.0
    processes = {"REST proxy": ["gateway", str(file)], "pipeline": ["run", str(pipeline), "--state", f"{out}/state", "--quiet"]}
    paths = {"REST proxy": f"topics/{name}", "pipeline": "ingest/pins"}
    for rows in ROWS:
        for connections in CONNECTIONS:
            load = ["--connections", str(connections), "--rows", str(rows), "--seconds", str(SECONDS), "--input", str(source)]
            for program, arguments in processes.items():
                with listening(bench, arguments, ports[program]):
                    url = f"http://127.0.0.1:{ports[program]}/{paths[program]}"
                    found = measured(bench, bench.micro_command("post", *load, "--url", url))
                lines.append(line(rows, connections, program, found))
                best = max(best, found["requests_per_second"]) if rows == 1 else best
            found = measured(bench, bench.micro_command("produce", *load, "--brokers", brokers, "--topic", name))
            lines.append(line(rows, connections, "straight into Kafka", found))
    return section(
        "Gateway and source `http`",
        f"The same posts again and again, each connection as fast as it is answered, for {SECONDS} s. REST proxy: `wasmill gateway` into {PARTITIONS} partitions, answered when Kafka has the "
        "records. Pipeline: the source `http` into Delta, answered when the log is synced. Straight into Kafka: as many threads as connections, each of which waits for its rows. Load, "
        "server and broker share the cores.",
        lines,
        f"Goal: at least {GOAL:,} requests of one row a second: {verdict(best >= GOAL)} ({best:,.0f}).",
    )


def line(rows: int, connections: int, program: str, found: dict[str, float]) -> str:
    return (
        f"| {rows} | {connections} | {program} | {found['requests_per_second']:,.0f} | {found['rows_per_second']:,.0f} "
        f"| {found['p50_ms']:.2f} | {found['p99_ms']:.2f} |"
    )
