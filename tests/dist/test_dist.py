"""What is shipped, as a user gets it: in an empty folder, with an environment that knows nothing of this repository."""

import hashlib
import subprocess
import tarfile
import venv
from pathlib import Path

import pytest
from deltalake import DeltaTable

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
# Guards against growth: docs/decisions/build.md says what is aimed at.
MOST_BYTES = 90_000_000
ROWS = 20_000


def only(pattern: str) -> Path:
    found = list(DIST.glob(pattern))
    assert len(found) == 1, f"{pattern} in {DIST}: {found}; `make dist` builds them"
    return found[0]


@pytest.fixture(scope="module")
def from_tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tarball")
    with tarfile.open(only("*.tar.gz")) as tarball:
        tarball.extractall(folder, filter="data")
    (inside,) = folder.iterdir()
    return inside / "bin/wasmill"


@pytest.fixture(scope="module")
def from_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", only("*.whl")]
    subprocess.run(pip, check=True, timeout=300)
    return folder / "bin/wasmill"


@pytest.fixture(params=["from_tarball", "from_wheel"])
def wasmill(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def run(wasmill: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder / "home"), "LANG": "C.UTF-8"}
    command = [str(wasmill), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_the_checksums_are_those_of_the_files() -> None:
    lines = (DIST / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    files = {path.name for path in DIST.iterdir()} - {"SHA256SUMS"}
    assert set(sums) == files
    for name, digest in sums.items():
        assert hashlib.sha256((DIST / name).read_bytes()).hexdigest() == digest, name


def test_the_binary_does_not_grow_and_needs_nothing_but_the_c_library(wasmill: Path) -> None:
    size = wasmill.stat().st_size
    assert size <= MOST_BYTES, f"{size} bytes"
    linked = subprocess.run(["ldd", wasmill], capture_output=True, text=True, check=True, timeout=60).stdout
    libraries = {line.split()[0].split("/")[-1] for line in linked.splitlines()}
    of_glibc_and_gcc = {"linux-vdso.so.1", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2",
                        "libgcc_s.so.1", "libstdc++.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}  # fmt: skip
    assert libraries <= of_glibc_and_gcc, libraries - of_glibc_and_gcc


def test_every_connector_is_inside(wasmill: Path, tmp_path: Path) -> None:
    listed = run(wasmill, tmp_path, "list")
    assert listed.returncode == 0, listed.stderr
    assert "not built" not in listed.stdout
    for connector in ["files", "s3", "emulator", "kafka", "kinesis", "delta", "postgres", "console"]:
        assert f" {connector} " in listed.stdout, connector


def test_the_demo_runs_in_an_empty_folder(wasmill: Path, tmp_path: Path) -> None:
    first = run(wasmill, tmp_path, "demo", "--rows", str(ROWS))
    assert first.returncode == 0, first.stdout + first.stderr
    table = DeltaTable(tmp_path / "out/pin_table").to_pyarrow_table()
    dead = [line for path in (tmp_path / "out/dead_letters").rglob("*.jsonl") for line in path.read_text().splitlines()]
    written = sum(len(path.read_text().splitlines()) for path in (tmp_path / "data/pin").glob("*.jsonl"))
    assert written == ROWS and table.num_rows + len(dead) == written and dead
    assert "follower_count" in table.column_names, "the plugin has cleaned them"
    again = run(wasmill, tmp_path, "demo", "--rows", str(ROWS))
    assert again.returncode == 0, again.stdout + again.stderr
    assert DeltaTable(tmp_path / "out/pin_table").to_pyarrow_table().equals(table), "nothing is added"


def test_a_plugin_is_found_by_its_name_and_by_nothing_of_the_folder(wasmill: Path, tmp_path: Path) -> None:
    inspected = run(wasmill, tmp_path, "plugin", "inspect", "clean-user")
    assert inspected.returncode == 0, inspected.stderr
    assert "name_separator" in inspected.stdout


