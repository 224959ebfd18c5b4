"""PostgreSQL, which offers TLS, and lets in anybody but two users: `client` with its certificate, `with_password` with a password."""

import os
import pwd
import subprocess
from pathlib import Path

import install
import tls


class Postgres:
    name = "postgres"
    ports = 1
    usual_ports = [5432]

    def __init__(self, folder: Path, ports: list[int]):
        self.folder, self.ports_taken, self.port = folder, ports, ports[0]
        self.bin = install.postgres_bin()

    def environment(self) -> dict[str, str]:
        return {
            "WASMILL_TEST_POSTGRES": f"postgres://postgres@127.0.0.1:{self.port}/postgres",
            "WASMILL_TEST_POSTGRES_TLS": str(self.folder / "tls"),
        }

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
            self.protect(data)
        os.chdir(self.folder)
        certificates = self.folder / "tls"
        command = [*self.as_postgres(), str(self.bin / "postgres"), "-D", str(data), "-p", str(self.port), "-k", str(self.folder),
                   "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "track_commit_timestamp=on", "-c", "ssl=on",
                   "-c", f"ssl_cert_file={certificates}/server.crt", "-c", f"ssl_key_file={certificates}/server.key",
                   "-c", f"ssl_ca_file={certificates}/ca.pem"]
        os.execvp(command[0], command)

    def protect(self, data: Path) -> None:
        tls.make(self.folder / "tls")
        key = self.folder / "tls" / "server.key"
        key.chmod(0o600)
        if os.getuid() == 0:
            os.chown(key, pwd.getpwnam("postgres").pw_uid, -1)
        rules = data / "pg_hba.conf"
        rules.write_text(
            "hostssl all client all cert\nhost all client all reject\nhost all with_password all scram-sha-256\n" + rules.read_text()
        )

    def ready(self) -> bool:
        asked = subprocess.run(
            [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL, check=False
        )
        return asked.returncode == 0
