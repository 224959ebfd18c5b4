"""MariaDB, which offers TLS and writes a binary log. `root` has no password, `with_password` has one, `client` logs in by its certificate."""

import os
import pwd
import subprocess
from pathlib import Path

import tls

# Accounts are made at every start, and are there already at most of them.
ACCOUNTS = """\
CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';
GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS 'with_password'@'127.0.0.1' IDENTIFIED BY 'hunter2';
GRANT SELECT ON *.* TO 'with_password'@'127.0.0.1';
CREATE USER IF NOT EXISTS 'client'@'127.0.0.1' REQUIRE X509;
GRANT SELECT ON *.* TO 'client'@'127.0.0.1';
CREATE DATABASE IF NOT EXISTS pinterest;
"""


class Mysql:
    name = "mysql"
    ports = 1
    usual_ports = [3306]

    def __init__(self, folder: Path, ports: list[int]):
        self.folder, self.ports_taken, self.port = folder, ports, ports[0]

    def environment(self) -> dict[str, str]:
        return {
            "WASMILL_TEST_MYSQL": f"mysql://root@127.0.0.1:{self.port}/pinterest",
            "WASMILL_TEST_MYSQL_TLS": str(self.folder / "tls"),
        }

    def exec(self):
        data = self.folder / "data"
        # It refuses to run as root without being asked.
        user = ["--user=mysql"] if os.getuid() == 0 else []
        if not data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            tls.make(self.folder / "tls")
            (self.folder / "accounts.sql").write_text(ACCOUNTS)
            if os.getuid() == 0:
                mysql = pwd.getpwnam("mysql")
                for path in [self.folder, *self.folder.rglob("*")]:
                    os.chown(path, mysql.pw_uid, mysql.pw_gid)
            subprocess.run(
                ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", *user, f"--datadir={data}"],
                check=True, stdout=subprocess.DEVNULL, cwd=self.folder,
            )
        os.chdir(self.folder)
        certificates = self.folder / "tls"
        command = [
            "mariadbd", "--no-defaults", *user, f"--datadir={data}", f"--socket={self.folder}/s.sock", f"--pid-file={self.folder}/pid",
            "--bind-address=127.0.0.1", f"--port={self.port}", "--skip-name-resolve", "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=2", "--max-connections=300", "--character-set-server=utf8mb4", "--sql-mode=STRICT_TRANS_TABLES",
            f"--init-file={self.folder}/accounts.sql", f"--ssl-ca={certificates}/ca.pem", f"--ssl-cert={certificates}/server.crt",
            f"--ssl-key={certificates}/server.key", "--server-id=1", "--log-bin=binlog", "--binlog-format=ROW",
            "--binlog-row-image=FULL", "--binlog-row-metadata=FULL",
        ]
        os.environ["PATH"] += ":/usr/sbin"
        os.execvp(command[0], command)

    def ready(self) -> bool:
        asked = subprocess.run(
            ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{self.port}", "-uroot", "--connect-timeout=1", "-e", "USE pinterest"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )
        return asked.returncode == 0
