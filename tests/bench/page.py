"""The pages below docs/benchmarks: what was measured, where and when."""

import importlib.metadata
import os
import platform
import subprocess
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def machine() -> str:
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{len(os.sched_getaffinity(0))} cores of {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def versions(wasmill: Path) -> str:
    said = subprocess.run([wasmill, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    others = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("polars", "duckdb"))
    return f"{said}, {others}, Python {platform.python_version()}"


def circumstances(wasmill: Path, how: str) -> str:
    return f"{date.today()} · {machine()} · {versions(wasmill)} · {how} · load before: {os.getloadavg()[0]:.1f}"


def write(name: str, parts: list[str]) -> None:
    path = ROOT / "docs/benchmarks" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n")
    print(f"written to {path.relative_to(ROOT)}", flush=True)
