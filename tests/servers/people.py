"""Servers for people, who try the files under `pipelines/`, rather than for tests: ports that those files name, and what they read and write."""

import os
import sys

from ports import free_ports, is_free

FLAG = "WASMILL_SERVICES"
BUCKET = "pinterest"
STREAMS = ["streaming-mill-pin", "streaming-mill-geo", "streaming-mill-user"]
REGION = "us-east-1"


def are_served() -> bool:
    return FLAG in os.environ


def usual_ports(kind) -> list[int]:
    """The ports that everybody expects; others for those that are taken."""
    wanted = kind.usual_ports
    if len(wanted) != kind.ports:
        raise SystemExit(f"error: {kind.name} has {kind.ports} ports and {len(wanted)} usual ones")
    taken = [port for port in wanted if not is_free(port)]
    others = dict(zip(taken, free_ports(len(taken))))
    for port, other in others.items():
        print(f"port {port} of {kind.name} is taken: {other} instead", file=sys.stderr)
    return [others.get(port, port) for port in wanted]


def environment(addresses: dict[str, str]) -> dict[str, str]:
    """What pipelines and AWS's own tools look for."""
    return {
        "PG_URL": addresses["WASMILL_TEST_POSTGRES"],
        "MYSQL_URL": addresses["WASMILL_TEST_MYSQL"],
        "AWS_ENDPOINT_URL_S3": addresses["WASMILL_TEST_S3"],
        "AWS_ENDPOINT_URL_KINESIS": addresses["WASMILL_TEST_KINESIS"],
        "AWS_ACCESS_KEY_ID": addresses["WASMILL_TEST_S3_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": addresses["WASMILL_TEST_S3_SECRET_KEY"],
        "AWS_REGION": REGION,
    }
