"""PostgreSQL."""

import os
import pwd
import subprocess
from pathlib import Path

import install


class Postgres:
    name = "postgres"
    ports = 1

    def __init__(self, folder: Path, ports: list[int]):
        self.folder, self.ports_taken, self.port = folder, ports, ports[0]
        self.bin = install.postgres_bin()

    def environment(self) -> dict[str, str]:
        return {"WASMILL_TEST_POSTGRES": f"postgres://postgres@127.0.0.1:{self.port}/postgres"}

    def as_postgres(self) -> list[str]:
        # It refuses to run as root.
        if os.getuid() != 0:
            return []
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def exec(self):
        data = self.folder / "data"
        if not data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            if os.getuid() == 0:
                user = pwd.getpwnam("postgres")
                os.chown(self.folder, user.pw_uid, user.pw_gid)
            subprocess.run(
                [*self.as_postgres(), self.bin / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8",
                 "--locale=C.UTF-8", "--no-sync"],
                check=True, stdout=subprocess.DEVNULL, cwd=self.folder,
            )
        os.chdir(self.folder)
        command = [*self.as_postgres(), str(self.bin / "postgres"), "-D", str(data), "-p", str(self.port), "-k", str(self.folder),
                   "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]
        os.execvp(command[0], command)

    def ready(self) -> bool:
        asked = subprocess.run(
            [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL, check=False
        )
        return asked.returncode == 0
