"""Another S3 store: MinIO, which lists uploads for a whole key only, refuses keys with odd parts, and forgets uploads after a day."""

import os
import urllib.error
import urllib.request
from pathlib import Path

import install
from s3 import ACCESS_KEY, BUCKET, SECRET_KEY


class MinIO:
    name = "minio"
    ports = 2

    def __init__(self, folder: Path, ports: list[int]):
        self.folder, self.ports_taken = folder, ports
        self.port, self.console = ports

    def environment(self) -> dict[str, str]:
        return {"WASMILL_TEST_MINIO": f"http://127.0.0.1:{self.port}"}

    def exec(self):
        data = self.folder / "data"
        # A folder of the data is a bucket.
        (data / BUCKET).mkdir(parents=True, exist_ok=True)
        os.environ |= {
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": SECRET_KEY,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            # Its own configuration files.
            "HOME": str(self.folder),
        }
        minio = str(install.minio())
        os.execv(minio, [
            minio, "server", str(data), "--quiet", "--address", f"127.0.0.1:{self.port}", "--console-address", f"127.0.0.1:{self.console}",
        ])

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/minio/health/ready", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
