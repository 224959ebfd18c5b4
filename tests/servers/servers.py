#!/usr/bin/env python3
"""Real servers for tests and for trying pipelines by hand: Kafka, Kinesis, S3 (SeaweedFS and MinIO), Postgres, MariaDB, on free ports of 127.0.0.1.

    servers.py install                  fetches them, into the build cache
    servers.py run -- COMMAND           starts all, runs COMMAND with their addresses in its environment, stops them
    servers.py up                       starts all at their usual ports, prints how to reach them, stops them at Ctrl-C
    servers.py usual                    prints the usual ports and what is told to people, as JSON; starts nothing
    servers.py exec NAME FOLDER PORT…   becomes one server, for a test that restarts or kills its own
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

if "up" in sys.argv[1:2] or "usual" in sys.argv[1:2]:
    # Before anything is imported: servers are told apart by it, and so are those that they become.
    os.environ["WASMILL_SERVICES"] = "1"

import install
import people
from ports import free_ports
from postgres import Postgres
from kafka import Kafka
from kinesis import Kinesis
from minio import MinIO
from mysql import Mysql
from s3 import S3

SERVERS = {server.name: server for server in (Kafka, Kinesis, S3, MinIO, Postgres, Mysql)}
# People need one store.
STARTED = {name: server for name, server in SERVERS.items() if server is not MinIO or not people.are_served()}
# A machine that compiles at the same time takes its time.
START_SECONDS = 120


def start(folder: Path) -> tuple[list[subprocess.Popen], dict[str, str]]:
    """Starts every server at once and waits until each answers."""
    running, addresses, waiting = [], {}, []
    try:
        # All at once: a server that has not come up yet does not hold its own.
        free = iter([] if people.are_served() else free_ports(sum(kind.ports for kind in STARTED.values())))
        for name, kind in STARTED.items():
            server = kind(folder / name, people.usual_ports(kind) if people.are_served() else list(islice(free, kind.ports)))
            log = open(folder / f"{name}.log", "wb")
            process = subprocess.Popen(
                [sys.executable, __file__, "exec", name, str(server.folder), *map(str, server.ports_taken)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )
            running.append(process)
            waiting.append((server, process))
            addresses |= server.environment()
        for server, process in waiting:
            wait_until_ready(server, process, folder)
        return running, addresses
    except BaseException:
        stop(running)
        raise


def wait_until_ready(server, process: subprocess.Popen, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.ready():
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            log = (folder / f"{server.name}.log").read_text(errors="replace")[-3000:]
            why = f"ended with {process.returncode}" if ended else f"does not answer after {START_SECONDS} s"
            raise SystemExit(f"error: the server {server.name} {why}:\n{log}")
        time.sleep(0.05)


def stop(running: list[subprocess.Popen]) -> None:
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGINT if "postgres" in process.args else signal.SIGTERM)
    deadline = time.monotonic() + 15
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        # Whatever it started, too.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def run(command: list[str]) -> int:
    folder = Path(tempfile.mkdtemp(prefix="wasmill-servers-"))
    folder.chmod(0o755)
    # A stop from outside must stop the servers as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    running: list[subprocess.Popen] = []
    try:
        began = time.monotonic()
        running, addresses = start(folder)
        print(f"==> servers ready after {time.monotonic() - began:.1f} s", flush=True)
        if command:
            return subprocess.call(command, env={**os.environ, **addresses})
        print("# For the files under pipelines/: run these in the shell that runs wasmill.")
        for name, value in people.environment(addresses).items():
            print(f"export {name}={value}")
        print(f"# Kafka is at {addresses['WASMILL_TEST_KAFKA']}; a topic is made by its first record. The bucket is s3://{people.BUCKET}.")
        print(f"# Streams of Kinesis: {' '.join(people.STREAMS)}")
        print("# For single tests:")
        for name, value in addresses.items():
            print(f"export {name}={value}")
        print("Ctrl-C stops them", flush=True)
        signal.pause()
        return 0
    except KeyboardInterrupt:
        return 130
    finally:
        stop(running)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("install")
    verbs.add_parser("up")
    verbs.add_parser("usual")
    verbs.add_parser("run").add_argument("command", nargs=argparse.REMAINDER)
    one = verbs.add_parser("exec")
    one.add_argument("server", choices=SERVERS)
    one.add_argument("folder", type=Path)
    one.add_argument("ports", type=int, nargs="+")
    options = parser.parse_args()
    if options.verb == "install":
        install.everything()
        return 0
    if options.verb == "usual":
        servers = {name: kind(Path("/nowhere") / name, kind.usual_ports) for name, kind in STARTED.items()}
        addresses = {key: value for server in servers.values() for key, value in server.environment().items()}
        told = {"ports": {name: server.ports_taken for name, server in servers.items()}, "environment": people.environment(addresses),
                "kafka": addresses["WASMILL_TEST_KAFKA"], "bucket": people.BUCKET, "streams": people.STREAMS}
        print(json.dumps(told))
        return 0
    if options.verb == "exec":
        return SERVERS[options.server](options.folder.absolute(), options.ports).exec()
    command = options.command[1:] if options.verb == "run" and options.command[:1] == ["--"] else getattr(options, "command", [])
    return run(command)


if __name__ == "__main__":
    sys.exit(main())
