"""A private PostgreSQL server in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import pg8000.exceptions  # type: ignore[import-untyped]  # pg8000 has no types
import pg8000.native  # type: ignore[import-untyped]  # pg8000 has no types

__all__ = ["PASSWORD", "Postgresql", "PostgresqlMissingError"]

PASSWORD: Final = "pa55w0rd-of-the-reader"
_FOLDERS: Final = "/usr/lib/postgresql"  # where Debian has them, by version
_SECONDS: Final = 100


class PostgresqlMissingError(Exception):
    """There is no PostgreSQL on this machine."""


def program(name: str) -> str:
    """Where a program of PostgreSQL is: on the path, or in Debian's place."""
    found = [*sorted(Path(_FOLDERS).glob(f"*/bin/{name}"))]
    path = shutil.which(name) or (str(found[-1]) if found else None)
    if path is None:
        raise PostgresqlMissingError(f"{name} was not found: install the Debian package postgresql")
    return path


class Postgresql:
    """A server that only this process knows, on a free port; it refuses to run as root, so root starts it as another."""

    def __init__(self) -> None:
        initdb, postgres = program("initdb"), program("postgres")
        self._as = _other_user() if os.geteuid() == 0 else {}
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if self._as:
            for path in (self._folder, secret):
                shutil.chown(path, self._as["user"], self._as["group"])
        data = self._folder / "data"
        command = [initdb, "-D", data, "-U", "app", "-A", "scram-sha-256", f"--pwfile={secret}"]
        self._run([*command, "-E", "UTF8", "--locale=C", "--no-sync"])
        for last in (False, False, False, False, True):
            self._start(postgres, data)
            if self._is_ready():
                break
            # Another process may have taken the port before PostgreSQL did.
            if last:
                self.stop()
                raise RuntimeError("PostgreSQL did not start")

    def _start(self, postgres: str, data: Path) -> None:
        self.port = _free_port()
        options = [
            "-c",
            "fsync=off",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"unix_socket_directories={self._folder}",
        ]
        self._server = subprocess.Popen(
            [postgres, "-D", data, "-p", str(self.port), *options],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as,
        )

    def url(self, database: str = "postgres", *, password: str = PASSWORD, user: str = "app") -> str:
        """The URL of a database."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self._server.terminate()
        try:
            self._server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, command: list[Any]) -> None:
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False, **self._as)
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr}")

    def _is_ready(self) -> bool:
        """Whether it has started, or has ended instead."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end and self._server.poll() is None:
            try:
                pg8000.native.Connection("app", "127.0.0.1", "postgres", self.port, PASSWORD, timeout=10).close()
            # It does not listen yet, or says that it is starting; or another process has the port.
            except (pg8000.exceptions.Error, OSError):
                time.sleep(0.05)
            else:
                return True
        return False


def _other_user() -> dict[str, Any]:
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise PostgresqlMissingError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
