"""The report of the eight analyses, as Chromium shows it by day and by night, and prints it.

`make test-browser` sets everything up and runs it. Nothing is skipped: what is missing fails.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

ROOT = Path(__file__).parents[2]
# As tall as the list of nodes and some tables.
WIDTH, HEIGHT = 1200, 8000


def variable(name: str) -> str:
    value = os.environ.get(name)
    if not value or not Path(value).exists():
        pytest.exit(f"{name} names nothing that is there ({value!r}): run the suite by `make test-browser`", returncode=1)
    return value


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    pipeline, wasmill = ROOT / "pipelines/analyses/analyses.yaml", variable("WASMILL_BINARY")

    def run(*arguments: object) -> None:
        subprocess.run([wasmill, *map(str, arguments)], cwd=folder, check=True, timeout=300, capture_output=True)

    run("emulate", "--out", "data", "--rows", 2000, "--seed", 1)
    plugins = ["--plugins", variable("WASMILL_PLUGIN_FOLDER")]
    run("run", pipeline, *plugins)
    run("report", pipeline, *plugins, "-o", "report.html")
    return folder / "report.html"


def chromium(report: Path, *arguments: str) -> None:
    browser = shutil.which("chromium")
    assert browser, "no chromium: run the suite by `make test-browser`"
    # A profile of its own, without network; root has no sandbox.
    own = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={report.parent}/profile", "--proxy-server=127.0.0.1:1"]
    subprocess.run([browser, *own, *arguments, report.as_uri()], check=True, timeout=120, capture_output=True)


def picture(report: Path, name: str, *arguments: str) -> Image.Image:
    path = report.parent / name
    chromium(report, f"--screenshot={path}", f"--window-size={WIDTH},{HEIGHT}", *arguments)
    return Image.open(path).convert("RGB")


def brightness(image: Image.Image) -> float:
    histogram = image.convert("L").histogram()
    return sum(value * count for value, count in enumerate(histogram)) / sum(histogram)


def share(image: Image.Image, colour: tuple[int, int, int]) -> float:
    """The share of the pixels that have this colour."""
    counts = {found: count for count, found in image.getcolors(maxcolors=1 << 24)}
    return counts.get(colour, 0) / (image.width * image.height)


def test_it_is_light_by_day_and_dark_by_night_and_shows_bars_in_both(report: Path) -> None:
    day = picture(report, "day.png")
    night = picture(report, "night.png", "--blink-settings=preferredColorScheme=0")
    assert day.size == night.size == (WIDTH, HEIGHT)
    assert brightness(day) > 200 and brightness(night) < 60, (brightness(day), brightness(night))
    # The colours of the bars: so much of the page is chart.
    assert share(day, (0x2F, 0x6F, 0x8F)) > 0.002, share(day, (0x2F, 0x6F, 0x8F))
    assert share(night, (0x5A, 0xA7, 0xCC)) > 0.002, share(night, (0x5A, 0xA7, 0xCC))


def test_it_prints_every_analysis(report: Path) -> None:
    path = report.parent / "report.pdf"
    chromium(report, f"--print-to-pdf={path}", "--no-pdf-header-footer")
    pages = PdfReader(path).pages
    text = "\n".join(page.extract_text() for page in pages)
    assert len(pages) > 2
    for name in ("q1_table", "q2_table", "q3a_table", "q3b_table", "q4_table", "q5_table", "q6_table", "q7_table", "q8_table", "Rejects"):
        assert name in text, name
    for header in ("median_follower_count", "number_users_joined", "category_count"):
        assert header in text, header
