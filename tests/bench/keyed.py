"""The scenarios of keyed stages that need no servers: aggregates of many keys against Polars and DuckDB, plugins against native code, memory."""

import json
import statistics
from pathlib import Path

from measure import Compared, Failed, Sample, compare, once
from scenarios import Bench, cached, finished, section, verdict

MEMORY_BOUND = "128MiB"


def mill(bench: Bench, pipeline: str, out: Path, settings: list[str], *more: str) -> list[str]:
    """A run of a pipeline of this folder, with its state and dead letters below `out`."""
    sets = [f"dead_letters.files.path={out}/dead_letters", *settings]
    arguments = [argument for setting in sets for argument in ("--set", setting)]
    return [str(bench.wasmill), "run", f"tests/bench/pipelines/{pipeline}.yaml", "--state", f"{out}/state", *more, *arguments]


def make_rows(bench: Bench, name: str, rows: int, keys: int, *more: object) -> Path:
    """A file of keys and values. The same seed gives the same bytes, so it is made once."""
    path = bench.scratch / f"rows/{name}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = ["--rows", rows, "--keys", keys, "--format", path.suffix[1:], "--out", path]
        once(bench.micro_command("rows", *shape, *more), bench.root, bench.log)
    return cached(path)


def key_counts(bench: Bench) -> list[int]:
    """Few, many and very many keys: 100, 100,000 and 1,000,000 of 10 million rows."""
    return [100, bench.keyed_rows // 100, bench.keyed_rows // 10]


def short(count: int) -> str:
    return f"{count // 1_000_000} million" if count >= 1_000_000 and count % 1_000_000 == 0 else f"{count:,}"


def keys_of(bench: Bench, path: Path) -> tuple[Compared, dict]:
    """What the programs take for a file, the reading alone, and what a run of Wasmill reports of its nodes."""

    def wasmill(name: str, *more: str, how: str = "--quiet") -> Sample:
        out = bench.fresh(name)
        settings = [f"sources.rows.files.path={path}", f"sinks.results.files.path={out}/results", *more]
        return once(mill(bench, "keys", out, settings, how), bench.root, bench.log)

    def baseline(script: str, name: str) -> Sample:
        return once(bench.python(script, path, bench.fresh(name) / "results.parquet"), bench.root, bench.log)

    programs = {
        "Wasmill": lambda: wasmill("keys"),
        "Polars": lambda: baseline("keys_polars.py", "keys-polars"),
        "DuckDB": lambda: baseline("keys_duckdb.py", "keys-duckdb"),
        "reading": lambda: wasmill("keys-reading", "stages.per_key.aggregate=", 'stages.per_key.filter="key < 0"'),
    }
    result = compare(programs, max(1, bench.runs // 2))
    out = bench.scratch / "out"
    same = bench.python("same_keys.py", out / "keys/results", out / "keys-polars/results.parquet", out / "keys-duckdb/results.parquet")
    once(same, bench.root, bench.log)
    wasmill("keys", how="--json")
    return result, finished(bench)


def keys(bench: Bench, source: Path) -> str:
    del source
    lines = [
        "| input | keys | Wasmill, s | fastest–slowest, s | Polars, s | DuckDB, s | ÷ Polars | ÷ DuckDB | peak memory of the three, MiB | Wasmill reading alone, s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    nodes = ["| input | keys | wall time, s | source, s | aggregate, s | sink, s |", "|---|---|---|---|---|---|"]
    ratios, beyond = [], []
    for extension, title in (("jsonl", "JSON lines"), ("parquet", "Parquet")):
        for count in key_counts(bench):
            path = make_rows(bench, f"keys-{bench.keyed_rows}-{count}.{extension}", bench.keyed_rows, count)
            result, summary = keys_of(bench, path)
            ratio = {other: result.ratio("Wasmill", other) for other in ("Polars", "DuckDB")}
            ratios += ratio.values()
            aggregating = result.seconds("Wasmill") - result.seconds("reading")
            beyond.append(f"{aggregating:.2f}")
            memory = " / ".join(f"{result.megabytes(name):.0f}" for name in ("Wasmill", "Polars", "DuckDB"))
            times = " | ".join(f"{result.seconds(name):.2f}" for name in ("Polars", "DuckDB"))
            lines.append(
                f"| {title} | {count:,} | {result.seconds('Wasmill'):.2f} | {result.spread('Wasmill')} | {times} | {ratio['Polars']:.2f} | {ratio['DuckDB']:.2f} "
                f"| {memory} | {result.seconds('reading'):.2f} |"
            )
            seconds = {node["kind"]: node["counts"]["time"] for node in summary["nodes"]}
            nodes.append(f"| {title} | {count:,} | {summary['time']:.2f} | {seconds['source']:.2f} | {seconds['stage']:.2f} | {seconds['sink']:.2f} |")
    goals = f"Goal: at most 2 × the time of Polars and of DuckDB: {verdict(max(ratios) <= 2)} ({min(ratios):.2f} to {max(ratios):.2f})."
    return section(
        "Count, mean and median of every key",
        f"{bench.keyed_rows:,} rows of a key and a value, over 100 to {key_counts(bench)[-1]:,} keys; two lanes or two threads. All programs read the same file and write "
        "Parquet (zstd, level 1). Wasmill is exactly-once: checkpoint, `fsync` and commit are in its time. Whole processes, start included. Reading alone is the "
        "same pipeline with a filter that drops every row in place of the aggregate.",
        lines,
        f"{goals} The results are the same, compared key by key: counts and medians to the last bit but one, means up to 1e-12.\n\n"
        f"Where the rest goes: without reading, the aggregates and the writing take {', '.join(beyond)} s, in the order of the table. What runs report of their nodes, summed over both lanes:\n\n"
        + "\n".join(nodes),
    )


def plugin_aggregate(bench: Bench, source: Path) -> str:
    del source
    groups = key_counts(bench)
    asked = ["--rows", bench.keyed_rows, "--groups", ",".join(map(str, groups)), "--runs", max(1, bench.runs // 2)]
    once(bench.micro_command("aggregates", *asked), bench.root, bench.log)
    measured = json.loads(bench.log.read_text().splitlines()[-1])
    lines = [
        "| plugin | groups | plugin, s | native, s | plugin ÷ native | update | take state | merge | finish |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    ratios = []
    for row in measured:
        pairs = list(zip(row["in_sandbox"], row["native"], strict=True))
        totals = [(sum(plugin.values()), sum(native.values())) for plugin, native in pairs]
        ratios.append(statistics.median(plugin / native for plugin, native in totals))
        both = [statistics.median(side) for side in zip(*totals, strict=True)]

        def phase(name: str, side: int) -> float:
            return statistics.median(pair[side][name] for pair in pairs)

        phases = " | ".join(f"{phase(name, 0):.2f} ÷ {phase(name, 1):.2f}" for name in ("update", "take_state", "merge", "finish"))
        lines.append(f"| `{row['plugin']}` | {row['groups']:,} | {both[0]:.2f} | {both[1]:.2f} | {ratios[-1]:.2f} | {phases} |")
    goals = f"Goal: at most 1.25 × the time of native code: {verdict(max(ratios) <= 1.25)} ({min(ratios):.2f} to {max(ratios):.2f})."
    return section(
        "Aggregating plugins against native code",
        f"{bench.keyed_rows:,} rows in batches of 8,192, one core. `quantile` (the exact median) and `weighted-mean` in their sandbox, and the code of the same crates linked natively. Both "
        "are called as a keyed stage calls them: a batch with the group of each row, the state after 500,000 rows, then all states of some keys and their results. "
        "The program checks that both give the same bits. What the sandbox adds: the copy of rows and states, bounds checks, and batches that the host keeps to "
        "build groups again after a fault.",
        lines,
        goals,
    )


def keyed_memory(bench: Bench, source: Path) -> str:
    del source
    count, tenfold = bench.keyed_rows, 10
    folders = {"1 ×": 1, f"{tenfold} ×": tenfold}
    files = [make_rows(bench, f"many-{count}/{seed:02}.parquet", count, count, "--seed", seed) for seed in range(1, tenfold + 1)]

    def run(parts: int) -> Sample:
        out = bench.fresh("keyed-memory")
        settings = [
            f"sources.rows.files.path=[{','.join(map(str, files[:parts]))}]", f"sinks.results.files.path={out}/results",
            "stages.per_key.aggregate.compute={n: count(*), total: sum(value)}", f"state.memory={MEMORY_BOUND}",
        ]
        sample = once(mill(bench, "keys", out, settings, "--json"), bench.root, bench.log)
        rows = {node["kind"]: node["counts"] for node in finished(bench)["nodes"]}
        if rows["source"]["rows_in"] != parts * count or rows["sink"]["rows_in"] != count:
            raise Failed(f"{rows['source']['rows_in']} rows of {rows['sink']['rows_in']} keys, and not {parts * count} of {count}")
        return sample

    result = compare({label: lambda parts=parts: run(parts) for label, parts in folders.items()}, max(1, bench.runs // 3))
    bench.fresh("keyed-memory")
    lines = ["| input | rows | keys | median, s | rows a second | peak memory, MiB |", "|---|---|---|---|---|---|"]
    for label, parts in folders.items():
        rows = parts * count
        lines.append(f"| {label} | {rows:,} | {count:,} | {result.seconds(label):.2f} | {rows / result.seconds(label):,.0f} | {result.megabytes(label):.0f} |")
    small, large = (result.megabytes(label) for label in folders)
    most = max(small, large) * 1.048576
    goals = f"Goals: less than 512 MB: {verdict(most < 512)} ({most:.0f} MB); flat: {verdict(large <= 1.15 * small)} ({large / small:.2f} ×)."
    return section(
        "Memory of many keys",
        f"Count and sum of {short(count)} keys from Parquet, two lanes, with `state: {{ memory: {MEMORY_BOUND} }}`: groups beyond it are written to disk as sorted runs and merged "
        f"at the end. Every file has every key once, in another order.",
        lines,
        goals,
    )


ALONE = {"keys": keys, "plugin-aggregate": plugin_aggregate, "keyed-memory": keyed_memory}
