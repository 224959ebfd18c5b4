"""An S3 store: SeaweedFS, whose conditional puts have one winner."""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import install
import people

ACCESS_KEY, SECRET_KEY = "wasmill-tests", "wasmill-tests-secret"
BUCKET = people.BUCKET if people.are_served() else "mill"
ROLES = ["master", "volume", "filer", "s3", "admin"]


class S3:
    name = "s3"
    ports = 2 * len(ROLES)
    usual_ports = [port for plain in (9333, 9340, 8888, 8333, 23646) for port in (plain, plain + 10_000)]

    def __init__(self, folder: Path, ports: list[int]):
        self.folder, self.ports_taken = folder, ports
        self.by_role = {role: (ports[2 * index], ports[2 * index + 1]) for index, role in enumerate(ROLES)}
        self.port = self.by_role["s3"][0]

    def environment(self) -> dict[str, str]:
        return {
            "WASMILL_TEST_S3": f"http://127.0.0.1:{self.port}",
            "WASMILL_TEST_S3_BUCKET": BUCKET,
            "WASMILL_TEST_S3_ACCESS_KEY": ACCESS_KEY,
            "WASMILL_TEST_S3_SECRET_KEY": SECRET_KEY,
        }

    def exec(self):
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        credentials = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        identity = {"name": "tests", "credentials": [credentials], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}))
        ports = [flag for role, (plain, grpc) in self.by_role.items() for flag in (f"-{role}.port={plain}", f"-{role}.port.grpc={grpc}")]
        os.chdir(self.folder)
        # It leaves sockets in the folder for temporary files.
        os.environ["TMPDIR"] = str(self.folder)
        weed = str(install.weed())
        os.execv(weed, [
            weed, "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-bucket={BUCKET}", "-admin.ui=false", "-webdav=false",
            f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", *ports,
        ])

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
