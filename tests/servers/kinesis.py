"""A Kinesis API server."""

import os
import urllib.error
import urllib.request
from pathlib import Path

import install
import people


class Kinesis:
    name = "kinesis"
    ports = 2
    usual_ports = [4568, 4567]

    def __init__(self, folder: Path, ports: list[int]):
        self.folder, self.ports_taken, self.port = folder, ports, ports[0]

    def environment(self) -> dict[str, str]:
        return {"WASMILL_TEST_KINESIS": f"http://127.0.0.1:{self.port}"}

    def exec(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        package = install.kinesis_package()
        os.environ |= {
            "KINESIS_MOCK_CERT_PATH": str(package / "server.json"),
            "KINESIS_MOCK_PLAIN_PORT": str(self.port),
            "KINESIS_MOCK_TLS_PORT": str(self.ports_taken[1]),
            "SHARD_LIMIT": "100",
            # Nobody restarts it, and it would write all that it holds again and again.
            "SHOULD_PERSIST_DATA": "false",
        }
        if people.are_served():
            os.environ["INITIALIZE_STREAMS"] = ",".join(f"{stream}:2:{people.REGION}" for stream in people.STREAMS)
        loopback = Path(__file__).parent / "loopback.js"
        os.execvp("node", ["node", "-r", str(loopback), str(package / "main.js")])

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthcheck", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
