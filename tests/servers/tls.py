"""Certificates for the tests: an authority of their own, a server's and a client's."""

import subprocess
from pathlib import Path


def make(folder: Path) -> None:
    """Writes `ca.pem`, `server.pem` (key, certificate and authority), `client.key` and `client.pem`."""
    folder.mkdir(parents=True)
    authority_key = folder / "ca.key"
    new_key(authority_key)
    openssl("req", "-x509", "-new", "-key", authority_key, "-days", "30", "-subj", "/CN=wasmill tests", "-out", folder / "ca.pem")
    for name in ("server", "client"):
        new_key(folder / f"{name}.key")
        request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        openssl("req", "-new", "-key", folder / f"{name}.key", "-subj", f"/CN={name}", "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", folder / "ca.pem", "-CAkey", authority_key, "-CAcreateserial", "-days", "30",
                "-extfile", extensions, "-out", folder / f"{name}.crt")
        chain = (folder / f"{name}.crt").read_text() + (folder / "ca.pem").read_text()
        (folder / f"{name}.pem").write_text(((folder / f"{name}.key").read_text() if name == "server" else "") + chain)


def new_key(path: Path) -> None:
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)


def openssl(*arguments) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"error: openssl {arguments[0]} failed:\n{done.stderr}")
