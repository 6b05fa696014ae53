"""A Postgres server of a test's own, from the programs of the system's package."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def programs() -> Path | None:
    """The folder of initdb and postgres, None where they are not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").is_file()), None)


@contextmanager
def postgres_server() -> Generator[PostgresServer]:
    """A server of one's own, that ends with the block."""
    folder = programs()
    if folder is None:
        pytest.skip("no Postgres on this machine: Debian's package postgresql has its programs")
    server = PostgresServer(folder)
    try:
        yield server
    finally:
        server.close()


class PostgresServer:
    """A cluster in a folder of its own, on a free port of 127.0.0.1. It is stopped, killed and started at will."""

    def __init__(self, folder: Path) -> None:
        self._programs = folder
        self._home = Path(tempfile.mkdtemp(prefix="r2-postgres-"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            import pwd

            nobody = pwd.getpwnam("nobody")
            os.chown(self._home, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        with socket.create_server(("127.0.0.1", 0)) as held:
            self.port = int(held.getsockname()[1])
        self._run("initdb", "-D", "data", "-U", "r2", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, cwd=self._home, capture_output=True, text=True, check=False, **self._user)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """End it: "fast" breaks every connection; "immediate" is what a crash is."""
        self._run("pg_ctl", "-D", "data", "-m", mode, "-w", "stop")

    def url(self, database: str) -> str:
        return f"postgresql://r2@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The address of a new, empty database."""
        import psycopg

        name = f"t{secrets.token_hex(6)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")  # pyright: ignore[reportArgumentType]
        return self.url(name)

    def close(self) -> None:
        pid = self._home / "data" / "postmaster.pid"
        if pid.is_file():
            os.kill(int(pid.read_text().splitlines()[0]), signal.SIGQUIT)
        shutil.rmtree(self._home, ignore_errors=True)
