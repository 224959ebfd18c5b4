"""Measures Wasmill and its baselines in one run, prints the ratios and writes the pages below docs/benchmarks, but for soak.md.

Run by `make bench`. `--only streams` measures one page's scenarios, and `--only kafka,latency` some, which writes nothing; `--rows`, `--keyed-rows`
and `--runs` make it shorter.
"""

import argparse
import os
import sys
import time

import keyed
import keyed_streams
import page
from analyses import ANALYSES
from gateway import gateway
from measure import Failed
from nexmark import NEXMARK
from scenarios import ALONE, Bench, make_input
from streams import STREAMS

KEYED = keyed.ALONE | ANALYSES | keyed_streams.STREAMS
PAGES = {
    "files": ("Benchmarks: files", ALONE),
    "streams": ("Benchmarks: streams", STREAMS),
    "keyed": ("Benchmarks: duplicates, joins, aggregates", KEYED),
    "nexmark": ("Benchmarks: Nexmark", NEXMARK),
}
# Not on a page yet: `--only gateway` measures it.
ALL = ALONE | STREAMS | KEYED | NEXMARK | {"gateway": gateway}


def measure(bench: Bench, title: str, names: list[str]) -> list[str]:
    parts = [
        f"# {title}",
        "Every ratio is the median of pair-wise ratios of runs that took turns on this machine; times of other machines say nothing.",
        page.circumstances(bench.wasmill, f"{bench.runs} runs after a warm-up"),
    ]
    print("\n\n".join(parts), flush=True)
    source = make_input(bench)
    for name in names:
        parts.append(ALL[name](bench, source))
        print("\n" + parts[-1], flush=True)
    return parts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000, help="posts; of the analyses also places and people")
    parser.add_argument("--keyed-rows", type=int, default=10_000_000, help="rows of the other keyed scenarios; their numbers of keys follow it")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PAGES), help=f"some of {','.join((*PAGES, *ALL))}")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.only if name not in ALL and name not in PAGES]:
        parser.error(f"there is no scenario {unknown[0]}; there are {', '.join((*PAGES, *ALL))}")

    scratch, built = page.target() / "bench", page.target() / "dist"
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WASMILL_PLUGINS", str(page.target() / "wasm32-wasip2/plugin"))
    bench = Bench(page.ROOT, scratch, built / "wasmill", built / "wasmill-bench", arguments.rows, arguments.runs, arguments.keyed_rows)
    begun = time.monotonic()
    try:
        for name in (name for name in arguments.only if name in PAGES):
            title, scenarios = PAGES[name]
            page.write(name, measure(bench, title, list(scenarios)))
        if some := [name for name in arguments.only if name in ALL]:
            measure(bench, "Some benchmarks", some)
    except Failed as failed:
        print(f"\nerror: {failed}", file=sys.stderr)
        return 1
    print(f"\n({time.monotonic() - begun:.0f} s)")
    return 0


sys.exit(main())
