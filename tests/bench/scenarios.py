"""The scenarios: what is run, and what is said of it."""

import json
import os
import shutil
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

from measure import Compared, Failed, Sample, compare, once, until_first_byte

# Values that a reader with fixed column types can't take are left out, so that all programs read the same and give the same rows.
DIRT = json.dumps({"base": "real", "numbers_as_strings": 0, "wrapped": 0, "wrong_table": 0, "merged": 0, "duplicates": 0})
MIB = 1 << 20


@dataclass
class Bench:
    """Where things are, and how often to run."""

    root: Path
    scratch: Path
    wasmill: Path
    micro: Path
    rows: int
    runs: int
    keyed_rows: int = 10_000_000
    log: Path = field(init=False)
    turn: int = 0

    def __post_init__(self) -> None:
        self.log = self.scratch / "last.log"

    def micro_command(self, *arguments: object) -> list[str]:
        """The Rust program, with what it can't guess under another target folder."""
        plugin = self.wasmill.parents[1] / "wasm32-wasip2/plugin/clean_pin.wasm"
        return [str(self.micro), "--plugin", str(plugin), "--cache", str(self.scratch / "cache"), *map(str, arguments)]

    def python(self, script: str, *arguments: object) -> list[str]:
        return [sys.executable, str(self.root / "tests/bench/baselines" / script), *map(str, arguments)]

    def fresh(self, name: str) -> Path:
        """An empty folder; the one of the turn before is removed, outside the measured time."""
        folder = self.scratch / "out" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def pipeline(self, source: str, *settings: str, name: str = "wasmill") -> Sample:
        """Runs pipelines/pin-to-delta.yaml as a user would, into an empty table."""
        out = self.fresh(name)
        sets = [
            f"sources.pins.files.path={source}",
            f"sinks.pin_table.delta.uri={out}/table",
            f"dead_letters.files.path={out}/dead_letters",
            *settings,
        ]
        arguments = [argument for setting in sets for argument in ("--set", setting)]
        command = [str(self.wasmill), "run", "pipelines/pin-to-delta.yaml", "--quiet", "--state", f"{out}/state", *arguments]
        return once(command, self.root, self.log)


def make_input(bench: Bench) -> Path:
    """Emulated posts in one file. The same seed gives the same bytes, so it is made once."""
    folder = bench.scratch / f"input-{bench.rows}"
    path = folder / "pin/pin-00000.jsonl"
    if not path.exists():
        emulate(bench, folder, DIRT)
    return cached(path)


def cached(path: Path) -> Path:
    """The file, read into the page cache, piece by piece: see measure.once."""
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass
    return path


def emulate(bench: Bench, folder: Path, dirt: str) -> None:
    """Posts of one seed, in pin/pin-00000.jsonl below a folder."""
    once([str(bench.wasmill), "emulate", "--out", str(folder), "--tables", "pin", "--rows", str(bench.rows), "--seed", "1", "--dirt", dirt], bench.root, bench.log)


def finished(bench: Bench) -> dict:
    """The summary of the last run with `--json`."""
    for line in reversed(bench.log.read_text().splitlines()):
        if line.startswith('{"event":"finished"'):
            return json.loads(line)["summary"]
    raise Failed(f"no summary in {bench.log}")


def verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def against_baselines(bench: Bench, source: Path) -> str:
    out = bench.scratch / "out"

    def baseline(script: str, name: str) -> Sample:
        return once(bench.python(script, source, bench.fresh(name) / "pins.parquet"), bench.root, bench.log)

    result = compare(
        {
            "Wasmill": lambda: bench.pipeline(str(source)),
            "Polars": lambda: baseline("clean_polars.py", "polars"),
            "DuckDB": lambda: baseline("clean_duckdb.py", "duckdb"),
        },
        bench.runs,
    )
    once(bench.python("same_rows.py", out / "wasmill/table", out / "polars/pins.parquet", out / "duckdb/pins.parquet"), bench.root, bench.log)
    same = bench.log.read_text().strip()
    lines = ["| program | median, s | fastest–slowest, s | peak memory, MiB | time of Wasmill ÷ its time |", "|---|---|---|---|---|"]
    for name in result.samples:
        lines.append(f"| {name} | {result.seconds(name):.2f} | {result.spread(name)} | {result.megabytes(name):.0f} | {result.ratio('Wasmill', name):.2f} |")
    time_ratio, memory = result.ratio("Wasmill", "Polars"), result.megabytes("Wasmill")
    goals = f"Goals: at most 0.55 × the time of Polars: {verdict(time_ratio <= 0.55)} ({time_ratio:.2f}); at most 150 MB: {verdict(memory * 1.048576 <= 150)} ({memory * 1.048576:.0f})."
    rate = bench.rows / result.seconds("Wasmill")
    return section(
        "JSON lines, cleaned by a plugin, into Delta",
        f"{bench.rows:,} distinct posts, {source.stat().st_size / bench.rows:.0f} bytes each on average, all cores. Wasmill runs `pipelines/pin-to-delta.yaml`: sandboxed plugin, "
        "dead letters, checkpoint, Delta commit. Polars and DuckDB write one Parquet file (zstd, level 1 everywhere). Whole processes, start included.",
        lines,
        f"{goals} That is {rate:,.0f} posts a second. {same}",
    )


def plugin_or_native(bench: Bench, source: Path) -> str:
    def run(how: str) -> Sample:
        return once(bench.micro_command("pipeline", "--cleaning", how, "--input", source, "--out", bench.fresh(how)), bench.root, bench.log)

    once(bench.micro_command("check", "--input", source), bench.root, bench.log)
    result = compare({"plugin": lambda: run("plugin"), "native": lambda: run("native")}, bench.runs)
    ratio = result.ratio("plugin", "native")
    batches = -(-bench.rows // 8192)
    cores = len(os.sched_getaffinity(0))
    differences = [p.seconds - n.seconds for p, n in zip(result.samples["plugin"], result.samples["native"], strict=True)]
    # Lanes work side by side: a second of wall time is a second of every core.
    per_batch = statistics.median(differences) * cores * 1000 / batches
    lines = rows_of("cleaning", result)
    goals = (
        f"Goals: WASM adds at most 10 % of the time: {verdict(ratio <= 1.1)} ({(ratio - 1) * 100:+.1f} %); at most 1.3 ms of one core "
        f"a batch of 8,192: {verdict(per_batch <= 1.3)} ({per_batch:+.2f} ms)."
    )
    return section(
        "The same pipeline with the cleaning linked natively",
        "One program, the same source, engine and Delta sink; only the stage differs: the sandboxed plugin, or the same rules as Rust that is "
        "compiled in, Arrow in and Arrow out. Before measuring, the program checks that both give the same rows. What the plugin adds is the copy of "
        "eleven columns into its memory (the boundary alone, below), and cleaning in WebAssembly instead of native code. Next would be encoding "
        "straight into the plugin's memory, which saves one of two copies.",
        lines,
        goals,
    )


def boundary(bench: Bench, source: Path) -> str:
    once(bench.micro_command("boundary", "--input", source), bench.root, bench.log)
    measured = json.loads(bench.log.read_text().splitlines()[-1])
    lines = ["| table | rows a batch | plugin, µs a batch | native, µs a batch | boundary adds, µs a batch | boundary adds, ns a row |", "|---|---|---|---|---|---|"]
    for row in measured:
        added = row["plugin_us"] - row["native_us"]
        lines.append(
            f"| {row['table']} | {row['rows']:,} | {row['plugin_us']:,.1f} | {row['native_us']:,.1f} | {added:,.1f} | {added * 1000 / row['rows']:,.0f} |"
        )
    return section(
        "The boundary alone",
        "One core, one instance, `clean-pin` over decoded batches: encoding what crosses, the call, checking what comes back, putting the "
        "columns together. Wide: all 11 columns. Narrow: the row number and the number of followers.",
        lines,
        "",
    )


def lanes(bench: Bench, source: Path) -> str:
    result = compare(
        {"one lane": lambda: bench.pipeline(str(source), "lanes=1", name="one"), "two lanes": lambda: bench.pipeline(str(source), "lanes=2", name="two")},
        bench.runs,
    )
    faster = 1 / result.ratio("two lanes", "one lane")
    lines = rows_of("lanes", result)
    return section(
        "One lane against two",
        "The first scenario again. Both use the same processor time in all; what two lanes lose is idle time at the start (check, sandbox, inferring "
        "what to read), at the end of the last splits, and in the commit. Next would be preparing the second lane's sandbox beside the first.",
        lines, f"Goal: at least 1.9 times as fast: {verdict(faster >= 1.9)} ({faster:.2f}).",
    )


def bad_lines(bench: Bench, source: Path) -> str:
    broken = bench.scratch / f"broken-{bench.rows}.jsonl"
    if not broken.exists():
        with source.open("rb") as lines, broken.open("wb") as out:
            out.writelines(line[:-2] + b"\n" if number % 10 == 0 else line for number, line in enumerate(lines))
    share = "sources.pins.max_reject_share=20%"
    result = compare(
        {
            "no line is broken": lambda: bench.pipeline(str(source), share, name="whole"),
            "one line in ten lacks its end": lambda: bench.pipeline(str(broken), share, name="broken"),
        },
        bench.runs,
    )
    slower = result.ratio("one line in ten lacks its end", "no line is broken")
    lines = rows_of("input", result)
    return section(
        "Broken lines",
        "The first scenario, and the same posts with the last brace of every tenth line missing: each of them goes to the dead letters, with its bytes.",
        lines,
        f"Goal: at most 1.5 times the time: {verdict(slower <= 1.5)} ({slower:.2f}).",
    )


def rejects(bench: Bench, source: Path) -> str:
    del source
    folder = bench.scratch / f"rejects-{bench.rows}"
    none, some = folder / "pin/pin-00000.jsonl", folder / "one-in-800.jsonl"
    if not some.exists():
        emulate(bench, folder, "none")
        with none.open() as lines, some.open("w") as out:
            for number, line in enumerate(lines):
                out.write(json.dumps({**json.loads(line), "follower_count": "many"}) + "\n" if number % 800 == 0 else line)

    def run(path: Path, name: str, expected: int) -> Sample:
        sample = bench.pipeline(str(path), name=name)
        letters = (bench.scratch / "out" / name / "dead_letters").rglob("*.jsonl")
        found = sum(len(file.read_bytes().splitlines()) for file in letters)
        if found != expected:
            raise Failed(f"{path}: {found} rows were rejected, and not {expected}")
        return sample

    names = ("none is rejected", "one in 800 is rejected")
    bad = -(-bench.rows // 800)
    result = compare({names[0]: lambda: run(none, "none", 0), names[1]: lambda: run(some, "some", bad)}, bench.runs)
    slower = result.ratio(names[1], names[0])
    lines = rows_of("rows of which", result)
    return section(
        "A row here and there is rejected",
        "Posts without any dirt, and the same posts of which every 800th has a follower count that the plugin rejects, so that every batch has some rejects and the columns that "
        "pass the plugin by have to be filtered.",
        lines,
        f"Goal: at most 1.1 times the time: {verdict(slower <= 1.1)} ({slower:.3f}).",
    )


def memory(bench: Bench, source: Path) -> str:
    folder = bench.scratch / "tenfold"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(10):
        os.link(source, folder / f"{number}.jsonl")
    result = compare(
        {"1 ×": lambda: bench.pipeline(str(source), name="single"), "10 ×": lambda: bench.pipeline(f"{folder}/*.jsonl", name="tenfold")},
        max(1, bench.runs // 3),
    )
    once_, ten = result.megabytes("1 ×"), result.megabytes("10 ×")
    lines = ["| input | rows | median, s | peak memory, MiB |", "|---|---|---|---|"]
    for name, rows in (("1 ×", bench.rows), ("10 ×", 10 * bench.rows)):
        lines.append(f"| {name} | {rows:,} | {result.seconds(name):.2f} | {result.megabytes(name):.0f} |")
    growth = ten / once_
    goals = f"Goals: flat: {verdict(growth <= 1.1)} ({growth:.2f} ×); at most 200 MiB: {verdict(max(once_, ten) <= 200)} ({max(once_, ten):.0f})."
    bench.fresh("tenfold")
    return section("Memory and the size of the input", "The same file once, and ten times over.", lines, goals)


def partitions(bench: Bench, source: Path) -> str:
    del source
    folder = bench.scratch / "flights"
    if not (folder / "flights.csv").exists():
        once(bench.python("flights.py", "make", folder), bench.root, bench.log)

    def said() -> dict:
        return json.loads(bench.log.read_text().splitlines()[-1])

    def wasmill(file: Path) -> Sample:
        out = bench.fresh("flights-wasmill")
        sets = (f"sources.flights.files.path={file}", f"sinks.table.delta.uri={out}/table", f"dead_letters.files.path={out}/dead_letters")
        arguments = [argument for setting in sets for argument in ("--set", setting)]
        return once([str(bench.wasmill), "run", "tests/bench/pipelines/flights.yaml", "--quiet", "--state", f"{out}/state", *arguments], bench.root, bench.log)

    def deltalake(file: Path) -> Sample:
        sample = once(bench.python("flights.py", "deltalake", file, bench.fresh("flights-deltalake") / "table"), bench.root, bench.log)
        return Sample(said()["seconds"], sample.megabytes)

    lines = ["| input | program | files | median, s | fastest–slowest, s | peak memory, MiB |", "|---|---|---|---|---|---|"]
    ratios, most = {}, 0
    for file in (folder / "flights.parquet", folder / "flights.csv"):
        result = compare({"Wasmill": lambda file=file: wasmill(file), "deltalake": lambda file=file: deltalake(file)}, bench.runs)
        ratios[file.suffix] = result.ratio("Wasmill", "deltalake")
        for name in result.samples:
            once(bench.python("flights.py", "count", bench.scratch / f"out/flights-{name.lower()}/table"), bench.root, bench.log)
            found = said()
            if found["rows"] != 336_776:
                raise Failed(f"{name} wrote {found['rows']} rows")
            if name == "Wasmill":
                most = max(most, found["files"])
            lines.append(
                f"| {file.suffix[1:]} | {name} | {found['files']} | {result.seconds(name):.2f} | {result.spread(name)} | {result.megabytes(name):.0f} |"
            )
    lanes = len(os.sched_getaffinity(0))
    goals = (
        f"Goals: at most 2 × the time of deltalake: {verdict(ratios['.parquet'] <= 2)} ({ratios['.parquet']:.2f} from Parquet, {ratios['.csv']:.2f} from CSV); "
        f"at most one file per destination, lane and epoch: {verdict(most <= 105 * lanes)} ({most} files, {lanes} lanes)."
    )
    return section(
        "Many partitions",
        "336,776 flights into a Delta table with a partition for each of 105 destinations. Wasmill is the whole process, check, state, `fsync` and commit included; of "
        "deltalake only reading the file and `write_deltalake` count, and it makes nothing durable.",
        lines,
        goals,
    )


def start(bench: Bench, source: Path) -> str:
    del source
    times = []
    for number in range(max(bench.runs, 5) + 1):
        out = bench.fresh("start")
        command = [
            str(bench.wasmill), "run", "pipelines/pin-to-console.yaml", "--quiet", "--state", f"{out}/state", "--set", "sources.pins.emulator.rows=10",
            "--set", f"dead_letters.files.path={out}/dead_letters",
        ]
        seconds = until_first_byte(command, bench.root)
        if number > 0:
            times.append(seconds * 1000)
    median = statistics.median(times)
    lines = ["| median, ms | fastest–slowest, ms |", "|---|---|", f"| {median:.0f} | {min(times):.0f}–{max(times):.0f} |"]
    return section(
        "Start to first row",
        "`wasmill run pipelines/pin-to-console.yaml` with 10 rows and a compiled plugin in the cache: from starting the process to the first byte of "
        "the table on standard output, check, state folder, sandbox and commit included.",
        lines,
        f"Goal: less than 100 ms: {verdict(median < 100)} ({median:.0f}).",
    )


def rows_of(heading: str, result: Compared) -> list[str]:
    """A table of what was compared, one row each."""
    lines = [f"| {heading} | median, s | fastest–slowest, s | peak memory, MiB |", "|---|---|---|---|"]
    return lines + [f"| {name} | {result.seconds(name):.2f} | {result.spread(name)} | {result.megabytes(name):.0f} |" for name in result.samples]


def section(title: str, text: str, table: list[str], conclusion: str) -> str:
    return "\n\n".join(part for part in (f"## {title}", text, "\n".join(table), conclusion) if part)


ALONE = {
    "baselines": against_baselines,
    "native": plugin_or_native,
    "boundary": boundary,
    "lanes": lanes,
    "bad-lines": bad_lines,
    "rejects": rejects,
    "memory": memory,
    "partitions": partitions,
    "start": start,
}

__all__ = ["ALONE", "Bench", "Compared", "cached", "finished", "make_input", "rows_of", "section", "verdict"]
