"""Measures Wasmill and its baselines in one run, prints the ratios and writes docs/benchmarks.md.

Run by `make bench`. `--only baselines,start` runs a part and writes nothing; `--rows` and `--runs` make it shorter.
"""

import argparse
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from measure import Failed
from scenarios import ALONE, Bench, make_input
from streams import STREAMS

ALL = ALONE | STREAMS

ROOT = Path(__file__).resolve().parents[2]


def machine() -> str:
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{len(os.sched_getaffinity(0))} cores of {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def versions(wasmill: Path) -> str:
    said = subprocess.run([wasmill, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    others = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("polars", "duckdb"))
    return f"{said}, {others}, Python {platform.python_version()}"


def target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", type=lambda text: text.split(","), default=None, help=f"some of {','.join(ALL)}")
    arguments = parser.parse_args()
    wanted = arguments.only or list(ALL)
    if unknown := [name for name in wanted if name not in ALL]:
        parser.error(f"there is no scenario {unknown[0]}; there are {', '.join(ALL)}")

    scratch = target() / "bench"
    scratch.mkdir(parents=True, exist_ok=True)
    release = target() / "release"
    bench = Bench(ROOT, scratch, release / "wasmill", release / "wasmill-bench", arguments.rows, arguments.runs)
    begun = time.monotonic()
    parts = [
        "# Benchmarks",
        "Written by `make bench`. Every ratio is the median of pair-wise ratios of runs that took turns on this machine; times of other machines say nothing.",
        f"{date.today()} · {machine()} · {versions(bench.wasmill)} · {arguments.runs} runs after a warm-up · load before: {os.getloadavg()[0]:.1f}",
    ]
    print("\n\n".join(parts), flush=True)
    try:
        source = make_input(bench)
        for name in wanted:
            parts.append(ALL[name](bench, source))
            print("\n" + parts[-1], flush=True)
    except Failed as failed:
        print(f"\nerror: {failed}", file=sys.stderr)
        return 1
    print(f"\n({time.monotonic() - begun:.0f} s)")
    if arguments.only is None:
        path = ROOT / "docs/benchmarks.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n\n".join(parts) + "\n")
        print(f"written to {path.relative_to(ROOT)}")
    return 0


sys.exit(main())
