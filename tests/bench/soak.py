"""Streams posts for a while and looks at the process: memory, file handles and threads have to stay flat, and no row may be lost.

Writes docs/benchmarks/soak.md. Run by `make soak`, for half an hour; `--seconds` makes it shorter.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import page
from measure import Failed
from scenarios import Bench, make_input, verdict
from streams import PARTITIONS, Database, command, committed_rows, expect_rows, from_topic, running, topic, variable, wait_for

LOOK_EVERY = 10.0
# The first looks see caches fill.
YOUNG = 0.2


def look(pid: int) -> tuple[float, int, int]:
    """Resident memory in MiB, open file handles, threads."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) / 1024, len(os.listdir(f"/proc/{pid}/fd")), int(fields["Threads"])


def soak(bench: Bench, seconds: int, rate: int) -> list[tuple[float, int, int]]:
    source, database = make_input(bench), Database()
    os.environ["PG_URL"] = database.url
    name, out = topic(bench, source, 0), bench.fresh("soak")
    settings = [*from_topic(name), f"sinks.pin_table.delta.uri={out}/table"]
    looks = []
    with running(bench, command(bench, "soak", out, settings, "--json")) as mill:
        said = bench.scratch / "stream.log"
        wait_for(mill, "the start of the pipeline", lambda: '"event":"progress"' in said.read_text())
        where = ["--brokers", variable("WASMILL_TEST_KAFKA"), "--topic", name, "--partitions", PARTITIONS]
        producer = subprocess.Popen(bench.micro_command("load", *where, "--rate", rate, "--seconds", seconds, "--input", source))
        while producer.poll() is None:
            looks.append(look(mill.pid))
            time.sleep(LOOK_EVERY)
            if len(looks) % 6 == 0:
                print(f"{len(looks) * LOOK_EVERY:6.0f} s: {looks[-1][0]:.0f} MiB, {looks[-1][1]} file handles, {looks[-1][2]} threads", flush=True)
        if producer.returncode != 0:
            raise Failed("the producer failed")
        wait_for(mill, "the last row", lambda: committed_rows(said) >= rate * seconds)
    expect_rows(bench, out / "table", rate * seconds)
    if (rows := int(database.ask("SELECT count(*) FROM pins"))) != rate * seconds:
        raise Failed(f"PostgreSQL has {rows} rows, and {rate * seconds} were produced")
    return looks[int(len(looks) * YOUNG):]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--rate", type=int, default=5000)
    arguments = parser.parse_args()
    target = page.target()
    (target / "bench").mkdir(parents=True, exist_ok=True)
    bench = Bench(page.ROOT, target / "bench", target / "dist/wasmill", target / "dist/wasmill-bench", 500_000, 1)
    before = page.circumstances(bench.wasmill, f"{arguments.seconds / 60:g} minutes")
    try:
        looks = soak(bench, arguments.seconds, arguments.rate)
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    table, flat = judge(looks)
    parts = [
        "# Benchmarks: streaming for long",
        before,
        f"{arguments.rate:,} posts a second from Kafka through the plugin into Delta and Postgres at once, with epochs of a second. The first third of the time against the last.",
        "\n".join(table),
        f"Goal: all of them flat: {verdict(flat)}. Every one of {arguments.rate * arguments.seconds:,} posts is in both tables once.",
    ]
    print("\n\n".join(parts), flush=True)
    page.write("soak", parts)
    return 0 if flat else 1


def judge(looks: list[tuple[float, int, int]]) -> tuple[list[str], bool]:
    """A table of what was seen, and whether nothing of it grew."""
    third = max(1, len(looks) // 3)
    lines, flat = ["| | first third | last third | at most |", "|---|---|---|---|"], True
    for index, (what, room) in enumerate((("memory, MiB", 1.15), ("file handles", 1.1), ("threads", 1.0))):
        early, late = (statistics.median(look[index] for look in part) for part in (looks[:third], looks[-third:]))
        flat &= late <= early * room
        lines.append(f"| {what} | {early:.0f} | {late:.0f} | {max(look[index] for look in looks):.0f} |")
    return lines, flat


if __name__ == "__main__":
    sys.exit(main())
